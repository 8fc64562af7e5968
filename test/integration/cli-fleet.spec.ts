// How `semdistill up` keeps its processes: real Redis, real processes; API, workers and aggregator are small stand-ins
// that answer what `up` asks, so that their starting, dying and lingering can be arranged.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { processesNaming, processFile } from '../support/processes.js';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const isRoot = process.getuid?.() === 0;

const STAND_IN = {
  api: `import { createServer } from 'node:http';
    import { readdirSync } from 'node:fs';
    import { mode } from './mode.js';
    if (mode('api') === 'fails') { console.error('the API cannot listen'); process.exit(1); }
    createServer((request, response) => {
      const workers = readdirSync(process.env.TMPDIR).filter((name) => name.startsWith('worker-'));
      response.setHeader('content-type', 'application/json');
      response.end(request.url === '/v1/workers' ? JSON.stringify({ items: workers.map((workerId) => ({ workerId })) }) : '{}');
    }).listen(Number(process.env.SEMDISTILL_PORT), process.env.SEMDISTILL_HOST);
    process.on('SIGTERM', () => process.exit(0));`,
  worker: `import { spawn } from 'node:child_process';
    import { writeFileSync } from 'node:fs';
    import { join } from 'node:path';
    import { mode } from './mode.js';
    const name = process.env.SEMDISTILL_WORKER_NAME;
    if (mode('worker') === 'dies') { console.error('no device'); process.exit(3); }
    const trainer = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    writeFileSync(join(process.env.TMPDIR, name), JSON.stringify({ pid: process.pid, trainer: trainer.pid, threads: process.env.SEMDISTILL_THREADS }));
    if (mode('worker') === 'full') console.error('write failed: ENOSPC: no space left on device');
    process.on('SIGTERM', () => { if (mode('worker') !== 'deaf') process.exit(0); });
    setInterval(() => {}, 1000);`,
  aggregator: `process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000);`,
  // Read anew each time: a test changes it while processes run.
  mode: `import { existsSync, readFileSync } from 'node:fs';
    import { fileURLToPath } from 'node:url';
    export const mode = (name) => {
      const file = fileURLToPath(new URL('../../../mode-' + name, import.meta.url));
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    };`,
};

/** Starts a fleet as `up` does, in a process of its own that can be killed. */
const DRIVER = `import { LocalFleet } from ${JSON.stringify(join(repository, 'dist/apps/cli/fleet/local-fleet.js'))};
  import { textsIn } from ${JSON.stringify(join(repository, 'dist/apps/cli/texts.js'))};
  import { readLocalFleetConfig } from ${JSON.stringify(join(repository, 'dist/libs/config/index.js'))};
  const [root, statePath, port] = process.argv.slice(2);
  const controller = new AbortController();
  try {
    const fleet = await LocalFleet.start({ root, statePath, port: Number(port), workers: 2, config: readLocalFleetConfig(), texts: textsIn('en'), tell: (line) => console.error(line), signal: controller.signal });
    const stop = () => controller.abort();
    process.on('SIGTERM', stop);
    const end = new Promise((resolve) => controller.signal.addEventListener('abort', resolve));
    console.log('ready');
    await Promise.race([end, fleet.failed]).finally(() => fleet.stop());
    console.log('stopped');
    process.exit(0);
  } catch (error) {
    console.error('error: ' + error.message);
    process.exit(1);
  }`;

let folder: string;
let root: string;
let state: string;
let port: number;
let drivers: Driver[] = [];

class Driver {
  readonly child: ChildProcess;
  output = '';
  readonly exited: Promise<number | null>;

  constructor(environment: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [join(folder, 'driver.mjs'), root, state, String(port)], {
      env: { ...process.env, REDIS_URL: undefined, ...environment },
    });
    this.child.stdout?.on('data', (chunk) => {
      this.output += chunk;
    });
    this.child.stderr?.on('data', (chunk) => {
      this.output += chunk;
    });
    this.exited = new Promise((done) => this.child.once('close', (code) => done(code)));
    drivers.push(this);
  }

  async ready(): Promise<this> {
    await until(() => this.output.includes('ready\n') || this.child.exitCode !== null);
    expect(this.output).toContain('ready\n');
    return this;
  }
}

async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 40_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition did not come true');
    await new Promise((done) => setTimeout(done, 50));
  }
}

const processesOfTest = () => processesNaming(folder);

function setMode(app: 'api' | 'worker', mode: string): void {
  writeFileSync(join(root, `mode-${app}`), mode);
}

function worker(name: string): { pid: number; trainer: number; threads: string } {
  return JSON.parse(readFileSync(join(state, 'work', name), 'utf8'));
}

async function freePort(): Promise<number> {
  return await new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cli-fleet-'));
  root = join(folder, 'root');
  state = join(folder, 'state');
  port = await freePort();
  for (const app of ['api', 'worker', 'aggregator'] as const) {
    mkdirSync(join(root, 'dist', 'apps', app), { recursive: true });
    writeFileSync(join(root, 'dist', 'apps', app, 'main.js'), STAND_IN[app]);
    writeFileSync(join(root, 'dist', 'apps', app, 'mode.js'), STAND_IN.mode);
  }
  symlinkSync(join(repository, 'dist', 'apps', 'cli'), join(root, 'dist', 'apps', 'cli'));
  mkdirSync(join(root, 'node_modules'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'driver.mjs'), DRIVER);
});

afterEach(async () => {
  for (const driver of drivers) driver.child.kill('SIGTERM');
  await Promise.all(drivers.map((driver) => driver.exited));
  drivers = [];
  await until(() => processesOfTest().length === 0);
  rmSync(folder, { recursive: true, force: true });
});

describe('a local fleet', () => {
  it('is ready with two workers that share the cores, and leaves no process and no lock when it is stopped', async () => {
    const driver = await new Driver().ready();
    expect(Number(worker('worker-1').threads)).toBeGreaterThanOrEqual(1);
    expect(worker('worker-2').pid).toBeGreaterThan(0);
    expect(existsSync(join(state, 'redis', 'appendonlydir'))).toBe(true);
    const connection = JSON.parse(readFileSync(join(state, 'connection.json'), 'utf8'));
    expect(connection.url).toBe(`http://127.0.0.1:${port}`);
    expect(connection.apiKey).toBe(readFileSync(join(state, 'key'), 'utf8').trim());
    for (const file of ['connection.json', 'key']) expect(modeOf(join(state, file))).toBe(0o600);
    expect(modeOf(state)).toBe(0o700);
    driver.child.kill('SIGTERM');
    expect(await driver.exited).toBe(0);
    expect(processesOfTest()).toEqual([]);
    for (const file of ['lock', 'connection.json', 'work']) expect(existsSync(join(state, file))).toBe(false);
  });

  it('keeps its key and starts again on the same folder', async () => {
    const first = await new Driver().ready();
    const key = readFileSync(join(state, 'key'), 'utf8');
    first.child.kill('SIGTERM');
    await first.exited;
    const second = await new Driver().ready();
    expect(readFileSync(join(state, 'key'), 'utf8')).toBe(key);
    second.child.kill('SIGTERM');
    expect(await second.exited).toBe(0);
  });

  it('shows no password on any command line', async () => {
    await new Driver().ready();
    const key = readFileSync(join(state, 'key'), 'utf8').trim();
    const commandLines = processesOfTest().map((pid) => processFile(pid, 'cmdline'));
    expect(commandLines.some((line) => line.includes('redis-server'))).toBe(true);
    expect(commandLines.filter((line) => line.includes(key))).toEqual([]);
  });

  it('leaves no process when its parent is killed with -9', async () => {
    const driver = await new Driver().ready();
    expect(processesOfTest().length).toBeGreaterThan(5);
    driver.child.kill('SIGKILL');
    await driver.exited;
    await until(() => processesOfTest().length === 0, 15_000);
  });

  it('kills workers that do not heed SIGTERM when the parent is killed with -9', async () => {
    setMode('worker', 'deaf');
    const driver = await new Driver().ready();
    driver.child.kill('SIGKILL');
    await driver.exited;
    await until(() => processesOfTest().length === 0, 20_000);
  });

  it('is taken over after kill -9, once the old processes are gone', async () => {
    const first = await new Driver().ready();
    first.child.kill('SIGKILL');
    await first.exited;
    const second = await new Driver().ready();
    second.child.kill('SIGTERM');
    expect(await second.exited).toBe(0);
    expect(processesOfTest()).toEqual([]);
  });

  it('kills a worker that does not stop within its 10 s, and still ends', async () => {
    setMode('worker', 'deaf');
    const driver = await new Driver().ready();
    driver.child.kill('SIGTERM');
    expect(await driver.exited).toBe(0);
    expect(processesOfTest()).toEqual([]);
  });

  it('starts a worker again that has died, with its trainer gone', async () => {
    const driver = await new Driver().ready();
    const before = worker('worker-1');
    process.kill(before.pid, 'SIGKILL');
    await until(() => worker('worker-1').pid !== before.pid);
    expect(driver.output).toMatch(/worker-1 has ended \(SIGKILL\); it is started again in 0.5 s/);
    expect(processesOfTest()).not.toContain(before.trainer);
  });

  it('starts Redis again when it is killed, on the same data', async () => {
    const driver = await new Driver().ready();
    const redis = () => processesOfTest().filter((pid) => processFile(pid, 'stat').includes('(redis-server)'));
    const [before] = redis();
    if (before === undefined) throw new Error('no Redis is running');
    process.kill(before, 'SIGKILL');
    await until(() => redis().some((pid) => pid !== before));
    expect(driver.output).toContain('redis has ended');
  });

  it('refuses a second start on the same folder and says who holds it', async () => {
    const first = await new Driver().ready();
    port = await freePort();
    const second = new Driver();
    expect(await second.exited).toBe(1);
    expect(second.output).toMatch(
      new RegExp(
        `error: the state folder ${state} is held by another semdistill: process ${first.child.pid}, running since`,
      ),
    );
    expect(processesOfTest().length).toBeGreaterThan(5);
  });

  it('names a port that is in use and leaves nothing running', async () => {
    const server = createServer().listen(port, '127.0.0.1');
    await until(() => server.listening);
    const driver = new Driver();
    expect(await driver.exited).toBe(1);
    server.close();
    expect(driver.output.trim()).toBe(
      `error: port ${port} on 127.0.0.1 is in use by another program; choose another with --port`,
    );
    expect(processesOfTest()).toEqual([]);
    expect(existsSync(join(state, 'lock'))).toBe(false);
  });

  it('names a Redis program that is not there', async () => {
    const driver = new Driver({ REDIS_SERVER_BIN: '/nonexistent/redis-server' });
    expect(await driver.exited).toBe(1);
    expect(driver.output.trim()).toMatch(/^error: REDIS_SERVER_BIN names \/nonexistent\/redis-server/);
  });

  it('passes on the sentence of a service that does not start, and stops the others', async () => {
    setMode('api', 'fails');
    const driver = new Driver();
    expect(await driver.exited).toBe(1);
    expect(driver.output).toMatch(/error: api did not start: the API cannot listen \(log: .*api\.log\)\n$/);
    expect(processesOfTest()).toEqual([]);
  });

  it('stops everything when a worker dies again and again', async () => {
    const driver = await new Driver().ready();
    setMode('worker', 'dies');
    process.kill(worker('worker-1').pid, 'SIGKILL');
    expect(await driver.exited).toBe(1);
    expect(driver.output).toMatch(/error: worker-1 has ended again and again, so everything is stopped: no device/);
    expect(processesOfTest()).toEqual([]);
  });

  it('stops everything with one sentence when a process meets a full disk', async () => {
    setMode('worker', 'full');
    const driver = new Driver();
    expect(await driver.exited).toBe(1);
    expect(driver.output).toContain(`error: the disk that holds ${state} is full; free some space and start again\n`);
    expect(processesOfTest()).toEqual([]);
  });

  it('refuses a folder with other files, and a file in its place', async () => {
    mkdirSync(state);
    writeFileSync(join(state, 'thesis.tex'), '');
    const foreign = new Driver();
    expect(await foreign.exited).toBe(1);
    expect(foreign.output).toContain('is not a state folder: it holds other files (thesis.tex)');
    expect(existsSync(join(state, 'lock'))).toBe(false);
    rmSync(state, { recursive: true });
    writeFileSync(state, '');
    const file = new Driver();
    expect(await file.exited).toBe(1);
    expect(file.output).toContain('is a file or lies under one');
  });

  it.skipIf(isRoot)('refuses a folder it may not write (skipped as root, who may write everywhere)', async () => {
    mkdirSync(state, { mode: 0o500 });
    const driver = new Driver();
    expect(await driver.exited).toBe(1);
    expect(driver.output).toContain('no permission to write into the state folder');
  });

  it('says what is missing where set-up has not been run', async () => {
    rmSync(join(root, 'dist', 'apps', 'worker', 'main.js'));
    const driver = new Driver();
    expect(await driver.exited).toBe(1);
    expect(driver.output).toMatch(
      /error: semdistill is not set up here \(.*worker\/main.js is missing\); run: node .*setup\.mjs/,
    );
  });
});

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}
