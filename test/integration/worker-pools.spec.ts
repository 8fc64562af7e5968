// Workers as processes, with the real trainer: which bundles each takes, what it says of itself, and `semdistill worker`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { eventually, RealFleet } from '../support/real-fleet.js';

const real = RealFleet.forTests({ SEMDISTILL_MEMORY_MB: '4096' });

const registered = (count: number) =>
  eventually(async () => {
    const workers = await real.fleet.liveWorkers();
    expect(workers).toHaveLength(count);
    return workers;
  });

test('a bundle is trained by the worker of its pool that has its labels and memory, which then holds its files', async () => {
  real.startWorker();
  Object.assign(real.environment, { SEMDISTILL_WORKER_POOL: 'fast', SEMDISTILL_WORKER_LABELS: 'ecc, local' });
  real.startWorker();
  Object.assign(real.environment, { SEMDISTILL_WORKER_LABELS: '' });
  real.startWorker();
  const [plain, labelled, bare] = await registered(3);
  expect(plain).toMatchObject({ workerId: 'worker-1', pool: 'default', labels: [], memoryBytes: 4096 * 1024 ** 2 });
  expect(plain?.device).toMatchObject({ cpu: expect.any(String), cores: expect.any(Number) });
  expect(labelled).toMatchObject({ workerId: 'worker-2', pool: 'fast', labels: ['ecc', 'local'], holds: [] });
  expect(bare).toMatchObject({ workerId: 'worker-3', pool: 'fast', labels: [] });

  const { trialIds } = await real.enqueue(2, { pool: 'fast', requires: ['ecc'], memoryBytes: 3e9 });
  const results = await real.results(trialIds);
  expect(results.map(({ status, failure, worker }) => ({ status, failure, worker }))).toEqual([
    { status: 'completed', worker: 'worker-2' },
    { status: 'completed', worker: 'worker-2' },
  ]);
  await eventually(async () => {
    const workers = await real.fleet.liveWorkers();
    const told = workers.find(({ workerId }) => workerId === 'worker-2');
    expect(told?.holds).toEqual(['tiny', 'tiny']); // a teacher and a corpus of that name
    expect(told?.numerics?.library).toMatch(/TensorFlow/);
  });
});

test('a bundle that no worker holds waits, and a larger worker takes it', async () => {
  real.startWorker();
  await registered(1);
  const { trialIds } = await real.enqueue(2, { memoryBytes: 5e9 });
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(await real.fleet.counts()).toEqual({ waiting: 1, active: 0 });
  Object.assign(real.environment, { SEMDISTILL_MEMORY_MB: '6000' });
  real.startWorker();
  const results = await real.results(trialIds);
  expect(results.map(({ worker }) => worker)).toEqual(['worker-2', 'worker-2']);
});

test('semdistill worker runs one in the terminal, and ends with it', async () => {
  const cli = resolve(import.meta.dirname, '../../dist/apps/cli/main.js');
  const args = [cli, 'worker', '--pool', 'laptops', '--labels', 'quiet,slow', '--name', 'desk'];
  const child = spawn(process.execPath, args, { env: { ...process.env, ...real.environment }, stdio: 'ignore' });
  const gone = once(child, 'exit');
  const [worker] = await registered(1);
  expect(worker).toMatchObject({ workerId: 'desk', pool: 'laptops', labels: ['quiet', 'slow'], state: 'idle' });
  child.kill('SIGTERM');
  expect(await gone).toEqual([0, null]);
  expect(await real.fleet.liveWorkers()).toEqual([]);
});

test('semdistill worker says in one sentence what is wrong with a pool', async () => {
  const cli = resolve(import.meta.dirname, '../../dist/apps/cli/main.js');
  const child = spawn(process.execPath, [cli, 'worker', '--pool', 'no/pool'], {
    env: { ...process.env, ...real.environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = await once(child, 'close');
  expect(code).toBe(1);
  expect(said).toContain('SEMDISTILL_WORKER_POOL must be a name');
});
