import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis.js';

const MAIN = join(process.cwd(), 'dist', 'apps', 'api', 'main.js');
const KEY = 'a-key-for-processes';

let redis: RedisServer;
let folder: string;
const running: ChildProcess[] = [];

beforeAll(async () => {
  if (!existsSync(MAIN)) throw new Error('dist/ is missing: npm run build');
  redis = await startRedis();
  folder = await mkdtemp(join(tmpdir(), 'semdistill-api-process-'));
});
afterAll(async () => {
  await redis.close();
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

function settings(over: Record<string, string | undefined> = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: folder,
    REDIS_URL: redis.url,
    SEMDISTILL_STORE: join(folder, 'store'),
    SEMDISTILL_PORT: '0',
    SEMDISTILL_API_KEY: KEY,
    ...over,
  };
}

interface Started {
  child: ChildProcess;
  url: string;
  ended: Promise<{ code: number | null; stderr: string }>;
}

function launch(env: NodeJS.ProcessEnv): { child: ChildProcess; ended: Started['ended'] } {
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let stderr = '';
  child.stderr?.on('data', (data) => {
    stderr += data;
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stderr }));
  return { child, ended };
}

async function start(over: Record<string, string> = {}): Promise<Started> {
  const { child, ended } = launch(settings(over));
  return { child, ended, url: await addressOf(child) };
}

async function addressOf(child: ChildProcess): Promise<string> {
  let stdout = '';
  for await (const data of child.stdout ?? []) {
    stdout += data;
    const url = /(http:\/\/\S+) /.exec(stdout)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`the API ended: ${stdout}`);
}

async function listenOnFreePort(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, port: address.port };
}

describe('the process says in one sentence why it does not start', () => {
  async function failure(over: Record<string, string | undefined>): Promise<string> {
    const { code, stderr } = await launch(settings(over)).ended;
    expect(code).toBe(1);
    expect(stderr.trim().split('\n'), stderr).toHaveLength(1);
    expect(stderr).not.toMatch(/ {4}at |node_modules/);
    return stderr;
  }

  it('without an API key', async () => {
    expect(await failure({ SEMDISTILL_API_KEY: undefined })).toContain('SEMDISTILL_API_KEY is not set');
  });

  it('with bad settings, naming each', async () => {
    const text = await failure({ SEMDISTILL_PORT: '99999', SEMDISTILL_BACKEND: 'abacus' });
    expect(text).toContain('SEMDISTILL_PORT');
    expect(text).toContain('SEMDISTILL_BACKEND');
  });

  it('when the port is in use', async () => {
    const { server, port } = await listenOnFreePort();
    expect(await failure({ SEMDISTILL_PORT: String(port) })).toContain(`Port ${port} on 127.0.0.1 is in use`);
    server.close();
  });

  it('when Redis is not there', async () => {
    const { server, port } = await listenOnFreePort();
    server.close();
    await once(server, 'close');
    expect(await failure({ REDIS_URL: `redis://127.0.0.1:${port}` })).toContain('Redis does not answer');
  });

  it('when the store cannot be written', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, 'not a folder');
    expect(await failure({ SEMDISTILL_STORE: join(file, 'store') })).toContain(file);
  });

  it('when this machine has no such address', async () => {
    expect(await failure({ SEMDISTILL_HOST: '192.0.2.1' })).toContain('This machine has no address 192.0.2.1');
  });
});

describe('the running process', () => {
  it('logs one JSON line a request', async () => {
    const { child, url, ended } = await start();
    await fetch(`${url}/v1/version?secret=hidden`, { headers: { 'x-api-key': KEY, 'x-request-id': 'logged' } });
    child.kill('SIGTERM');
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { service: 'api', method: 'GET', path: '/v1/version', status: 200, requestId: 'logged' },
    ]);
    expect(stderr).not.toContain('hidden');
  });

  it('finishes a request that is under way when told to stop, and takes no new one', async () => {
    const { child, url, ended } = await start();
    let push: (text: string | undefined) => void = () => {};
    const body = new ReadableStream({
      start(controller) {
        push = (text) => (text === undefined ? controller.close() : controller.enqueue(Buffer.from(text)));
      },
    });
    push('The first sentence of the text .\n');
    const upload = fetch(`${url}/v1/corpora?name=slow`, {
      method: 'POST',
      body,
      headers: { 'x-api-key': KEY, 'content-type': 'text/plain' },
      duplex: 'half',
    } as RequestInit);
    const isRefused = () =>
      fetch(`${url}/v1/health/live`)
        .then(() => false)
        .catch(() => true);
    expect(await isRefused()).toBe(false);
    child.kill('SIGTERM');
    await expect.poll(isRefused, { timeout: 5000 }).toBe(true);
    push('The second sentence of the text .\n');
    push(undefined);
    expect((await upload).status).toBe(202);
    expect((await ended).code).toBe(0);
  });

  it('ends open event streams when told to stop', async () => {
    const { child, url, ended } = await start();
    const headers = { 'x-api-key': KEY, 'content-type': 'application/json' };
    const live = await fetch(`${url}/v1/health/live`);
    expect(live.status).toBe(200);
    const keepAlive = await fetch(`${url}/v1/version`, { headers });
    await keepAlive.text();
    child.kill('SIGINT');
    expect((await ended).code).toBe(0);
  });

  it('ends with the parent it has a channel to', async () => {
    const child = fork(MAIN, { execArgv: [], env: settings(), stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    running.push(child);
    await addressOf(child);
    child.disconnect();
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  });
});
