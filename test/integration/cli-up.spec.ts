// `semdistill up` with everything real: it starts, serves the other commands in the same folder, and ends without a trace.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { processesNaming } from '../support/processes.js';

const main = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist', 'apps', 'cli', 'main.js');
const environment = {
  ...process.env,
  LC_ALL: 'C',
  REDIS_URL: '',
  SEMDISTILL_URL: '',
  SEMDISTILL_API_KEY: '',
  SEMDISTILL_STORE: '',
};

let folder: string;
let up: ChildProcess | undefined;
let talk = '';

const processesOfTest = () => processesNaming(folder);

async function until(condition: () => boolean, timeoutMs = 90_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`the condition did not come true; up said: ${talk}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function start(): Promise<ChildProcess> {
  const port = await new Promise<number>((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });
  talk = '';
  const child = spawn(process.execPath, [main, 'up', '--workers', '1', '--port', String(port)], {
    cwd: folder,
    env: { ...environment, PWD: folder },
  });
  child.stderr.on('data', (chunk) => {
    talk += chunk;
  });
  up = child;
  await until(() => talk.includes('Ctrl-C stops it') || child.exitCode !== null);
  expect(talk).toContain('semdistill is running with 1 worker');
  return child;
}

/** The parent itself carries the folder in its environment (PWD); what is left is told apart from it. */
function leftBy(child: ChildProcess): number[] {
  return processesOfTest().filter((pid) => pid !== child.pid);
}

function semdistill(...command: string[]) {
  return spawnSync(process.execPath, [main, ...command], { cwd: folder, env: environment, encoding: 'utf8' });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-up-'));
});

afterEach(async () => {
  up?.kill('SIGKILL');
  await until(() => processesOfTest().length === 0);
  rmSync(folder, { recursive: true, force: true });
});

describe('semdistill up', () => {
  it('serves the commands called in its folder, refuses a second one, and ends on Ctrl-C without a trace', async () => {
    const child = await start();
    expect(leftBy(child).length).toBeGreaterThanOrEqual(5);
    const status = semdistill('status', '--json');
    expect(status.stderr).toBe('');
    expect(JSON.parse(status.stdout).workers.map((worker: { workerId: string }) => worker.workerId)).toEqual([
      'worker-1',
    ]);
    const corpora = semdistill('corpus', 'list', '--json');
    expect(JSON.parse(corpora.stdout).map((corpus: { name: string }) => corpus.name)).toEqual(['sotu', 'sotu-small']);
    const unknown = semdistill('sweep', '--teacher', 'nobody', '--temperature', '1,2');
    expect(unknown.status).toBe(2);
    expect(unknown.stderr).toMatch(/^error: .*nobody.*\n$/);
    const second = semdistill('up');
    expect(second.status).toBe(1);
    expect(second.stderr).toContain(`is held by another semdistill: process ${child.pid}`);
    const exited = new Promise((done) => child.once('close', done));
    child.kill('SIGINT');
    expect(await exited).toBe(0);
    expect(processesOfTest()).toEqual([]);
    expect(existsSync(join(folder, '.semdistill', 'lock'))).toBe(false);
    const after = semdistill('status');
    expect(after.status).toBe(1);
    expect(after.stderr).toContain('no server is known here');
  });

  it('leaves no process when it is killed with -9, and starts again on the same folder', async () => {
    const child = await start();
    child.kill('SIGKILL');
    await until(() => processesOfTest().length === 0, 20_000);
    const again = await start();
    const exited = new Promise((done) => again.once('close', done));
    again.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(processesOfTest()).toEqual([]);
  });
});
