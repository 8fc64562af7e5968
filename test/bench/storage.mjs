// Uploads and downloads in MB/s: our S3 store against the plain minio client, on the same server, in the same process, in
// interleaved rounds; medians. Ours also hashes, checks and looks at what was written, which the plain client does not.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client } from 'minio';
import { openStore } from '#storage';
import { waitUntilQuiet } from './quiet.mjs';
import { orderOf } from './rounds.mjs';
import { median } from './summary.mjs';

const MIB = 1024 ** 2;
const HELP = `npm run bench -- storage [options]

  --rounds N      rounds (5)
  --quick         one round of small files: does it work here?
  --server URL    http://KEY:SECRET@HOST:PORT of an S3 server; without it a MinIO is started
                  (MINIO_BIN, or minio in the cache folder's bin)
  --out FILE      every measurement as JSON
`;

/** What is moved: so many files of a size, so many at once. */
const LOADS = [
  { name: '1 MiB, 8 at once', size: MIB, count: 64, atOnce: 8 },
  { name: '12 MiB', size: 12 * MIB, count: 8, atOnce: 1 },
  { name: '64 MiB', size: 64 * MIB, count: 2, atOnce: 1 },
  { name: '300 MiB', size: 300 * MIB, count: 1, atOnce: 1 },
];
const QUICK_LOADS = [{ name: '1 MiB', size: MIB, count: 4, atOnce: 2 }];
const PART_SIZE = 16 * MIB;

/** Resolves to the exit status. */
export async function runStorage(args) {
  let options;
  try {
    options = parseArgs({
      args,
      options: {
        rounds: { type: 'string', default: '5' },
        quick: { type: 'boolean', default: false },
        server: { type: 'string' },
        out: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
    if (options.help) {
      console.log(HELP);
      return 0;
    }
    if (!/^[1-9]\d{0,2}$/.test(options.rounds))
      throw new Error(`--rounds must be from 1 to 999, not ${options.rounds}`);
    if (options.server && !URL.canParse(options.server))
      throw new Error(`--server must be an address, not ${options.server}`);
  } catch (error) {
    console.error(`${error.message.split('\n')[0]}\n\n${HELP}`);
    return 2;
  }
  const server = options.server ? namedServer(options.server) : await startServer();
  if (!server) {
    console.error('There is no MinIO to start; build one (docs/storage.md), name it in MINIO_BIN, or give --server.');
    return 2;
  }
  const folder = await mkdtemp(join(tmpdir(), 'semdistill-bench-storage-'));
  // Told to stop, the server and the files must not be left behind.
  const stop = async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const runs = await measure(server, folder, options);
    for (const line of tableOf(runs)) console.log(line);
    if (options.out) writeFileSync(options.out, `${JSON.stringify({ bench: 'storage', runs }, null, 2)}\n`);
    return 0;
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(server, folder, { quick, rounds }) {
  const loads = quick ? QUICK_LOADS : LOADS;
  const contestants = [await ours(server), await plain(server)];
  const runs = [];
  for (const load of loads) {
    const path = join(folder, 'body');
    await writeFile(path, randomBytes(load.size));
    // The first round of each is not counted: connections are opened, code is compiled, pages are touched.
    for (let round = -1; round < (quick ? 1 : Number(rounds)); round += 1) {
      const others = await waitUntilQuiet({ share: 0.05, limitMs: quick ? 0 : 20_000 });
      for (const contestant of orderOf(contestants, round + 1)) {
        const up = await timed(load, (index) => contestant.put(`bench/${contestant.name}/${index}`, path));
        const down = await timed(load, (index) =>
          contestant.get(`bench/${contestant.name}/${index}`, join(folder, `back-${index}`)),
        );
        if (round >= 0) runs.push({ load: load.name, contestant: contestant.name, round, up, down, others });
      }
    }
    console.error(`${load.name}: done`);
  }
  for (const { close } of contestants) await close();
  return runs;
}

/** MB/s of a whole load. */
async function timed({ size, count, atOnce }, move) {
  const waiting = Array.from({ length: count }, (_, index) => index);
  const startedAt = performance.now();
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await move(next);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return (size * count) / 1e6 / ((performance.now() - startedAt) / 1000);
}

async function ours({ settings }) {
  const store = await openStore(settings);
  return {
    name: 'semdistill',
    put: (key, path) => store.put(key, { path }),
    get: (key, path) => store.getToFile(key, path),
    close: () => store.close(),
  };
}

async function plain({ settings }) {
  const { endpoint, accessKey, secretKey, bucket, region } = settings;
  const client = new Client({
    endPoint: endpoint.hostname,
    port: Number(endpoint.port) || (endpoint.protocol === 'https:' ? 443 : 80),
    useSSL: endpoint.protocol === 'https:',
    accessKey,
    secretKey,
    region,
    partSize: PART_SIZE,
  });
  return {
    name: 'minio client',
    put: (key, path) => client.fPutObject(bucket, key, path),
    get: (key, path) => client.fGetObject(bucket, key, path),
    close: async () => {},
  };
}

function tableOf(runs) {
  const loads = [...new Set(runs.map(({ load }) => load))];
  const rate = (load, contestant, way) =>
    median(runs.filter((run) => run.load === load && run.contestant === contestant).map((run) => run[way]));
  const cell = (load, way) => {
    const [own, other] = [rate(load, 'semdistill', way), rate(load, 'minio client', way)];
    return `${own.toFixed(0)} | ${other.toFixed(0)} | ${(own / other).toFixed(2)}x`;
  };
  return [
    '',
    '| file | up: semdistill MB/s | minio client | ratio | down: semdistill MB/s | minio client | ratio |',
    '| ---- | ---- | ---- | ---- | ---- | ---- | ---- |',
    ...loads.map((load) => `| ${load} | ${cell(load, 'up')} | ${cell(load, 'down')} |`),
  ];
}

function settingsOf(endpoint, accessKey, secretKey) {
  const bucket = `bench-${Date.now()}`;
  return {
    kind: 's3',
    endpoint,
    publicEndpoint: endpoint,
    bucket,
    region: 'us-east-1',
    accessKey,
    secretKey,
    pathStyle: true,
  };
}

function namedServer(address) {
  const { origin, username, password } = new URL(address);
  return { settings: settingsOf(new URL(origin), username, password), close: async () => {} };
}

async function startServer() {
  const cache =
    process.env.SEMDISTILL_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'semdistill');
  const binary = process.env.MINIO_BIN || join(cache, 'bin', 'minio');
  if (!existsSync(binary)) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'semdistill-bench-minio-'));
  const [port, consolePort] = [await freePort(), await freePort()];
  const args = ['server', folder, '--address', `127.0.0.1:${port}`, '--console-address', `127.0.0.1:${consolePort}`];
  const env = {
    ...process.env,
    MINIO_ROOT_USER: 'benchuser',
    MINIO_ROOT_PASSWORD: 'benchsecret123',
    MINIO_BROWSER: 'off',
  };
  const child = spawn(binary, [...args, '--quiet'], { stdio: 'ignore', env });
  const endpoint = new URL(`http://127.0.0.1:${port}`);
  for (let turn = 0; turn < 300; turn += 1) {
    const answer = await fetch(new URL('/minio/health/ready', endpoint)).catch(() => undefined);
    if (answer?.ok) break;
    await sleep(100);
  }
  return {
    settings: settingsOf(endpoint, 'benchuser', 'benchsecret123'),
    close: async () => {
      const gone = once(child, 'exit');
      child.kill();
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
