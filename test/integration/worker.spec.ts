// The worker against a real Redis and a directory store, with a trainer process that follows a script: what it stores, and
// that every way in which trainers, workers and Redis may fail ends with one result for each trial.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Config, readConfig } from '#config';
import {
  type CorpusRecord,
  type FleetEvent,
  type PreparationRecord,
  type PreparationRequest,
  type PreparationResult,
  preparationIdOf,
  type TeacherRecord,
  type TrialResult,
} from '#experiment';
import { type FleetJob, openFleet, type RedisFleet } from '#queue';
import { findJson, getJson, keys, type ObjectStore, openStore, putJson } from '#storage';
import { startWorker } from '../../apps/worker/start-worker.js';
import type { WorkerOverrides, WorkerTimes } from '../../apps/worker/worker-settings.js';
import {
  CORPUS_ID,
  putSweep,
  putTeacherAndCorpus,
  summaryOf,
  TEACHER_ID,
  type WrittenSweep,
} from '../support/fleet-records.js';
import { type RedisServer, startRedis } from '../support/redis.js';

const SUPPORT = resolve(import.meta.dirname, '../support');

let redis: RedisServer;
let folder: string;
let script: string;
let environment: Record<string, string>;
let config: Config;
let store: ObjectStore;
let fleet: RedisFleet;
let apps: INestApplicationContext[];
let processes: ChildProcess[];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

beforeEach(async () => {
  await redis.command('FLUSHALL');
  folder = await mkdtemp(join(tmpdir(), 'semdistill-worker-'));
  script = join(folder, 'script.json');
  environment = {
    REDIS_URL: redis.url,
    SEMDISTILL_STORE: join(folder, 'store'),
    SEMDISTILL_CACHE: join(folder, 'cache'),
    SEMDISTILL_LOG: 'error',
  };
  config = readConfig(environment);
  store = await openStore(config.store);
  await putTeacherAndCorpus(store);
  fleet = openFleet(config);
  apps = [];
  processes = [];
});

afterEach(async () => {
  for (const app of apps) await app.close();
  for (const child of processes) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  await fleet.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 60_000, interval: 25 });

function overrides(times: Partial<WorkerTimes> = {}): WorkerOverrides {
  return {
    trainer: { command: process.execPath, args: [join(SUPPORT, 'scripted-trainer.mjs'), script] },
    times: { stopGraceMs: 1_000, leaveGraceMs: 1_000, controlsMs: 200, registryMs: 500, ...times },
    lockTimes: { lockDurationMs: 2_000, stalledIntervalMs: 500 },
  };
}

/** A worker inside this process. */
async function work(times?: Partial<WorkerTimes>, name = 'worker-1'): Promise<INestApplicationContext> {
  const own = { ...overrides(times), store: await openStore(config.store) };
  const app = await startWorker({ ...config, workerName: name }, own);
  apps.push(app);
  return app;
}

/** A worker of its own process, from dist/. */
async function workApart(name: string, times?: Partial<WorkerTimes>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(SUPPORT, 'worker-process.mjs'), JSON.stringify(overrides(times))], {
    env: { PATH: process.env.PATH, ...environment, SEMDISTILL_WORKER_NAME: name },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  processes.push(child);
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    output += chunk;
  });
  await eventually(() => {
    if (child.exitCode !== null) throw new Error(output);
    expect(output).toContain('worker is up');
  });
  return child;
}

interface Script {
  mode?: 'train' | 'hold' | 'deaf' | 'crash' | 'crash-after-first' | 'silent' | 'stuck' | 'impossible' | 'quit';
  failing?: string[];
  corpus?: object;
  teacher?: object;
}

function follow(instructions: Script, written?: WrittenSweep): void {
  const summaries = Object.fromEntries([...(written?.specs ?? [])].map(([id, spec]) => [id, summaryOf(id, spec)]));
  const numerics = { backend: 'tensorflow', library: 'none', threads: 1, device: 'CPU' };
  writeFileSync(script, JSON.stringify({ mode: 'train', numerics, summaries, ...instructions }));
}

function starts(): { pid: number; kind: string; trialIds: string[]; malloc?: string; parts?: number }[] {
  if (!existsSync(`${script}.starts`)) return [];
  return readFileSync(`${script}.starts`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const letGo = () => writeFileSync(`${script}.go`, '');
const result = (trialId: string) => findJson<TrialResult>(store, keys.trialResult(trialId));
const resultsOf = async ({ specs }: WrittenSweep) => Promise.all([...specs.keys()].map(result));
const allDone = async (written: WrittenSweep) => {
  const results = await resultsOf(written);
  expect(results.every(Boolean)).toBe(true);
  return results.filter((one) => one !== undefined);
};
const idle = async () => expect(await fleet.counts()).toEqual({ waiting: 0, active: 0 });
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test('a bundle ends with artifacts, curves, logs and one result a trial, and leaves nothing else behind', async () => {
  const written = await putSweep(store, 'sweep-1', { temperatures: [1, 2, 4] });
  follow({}, written);
  const events: FleetEvent[] = [];
  await fleet.subscribe((event) => events.push(event));
  await work();
  await fleet.enqueue(written.jobs);
  const results = await eventually(() => allDone(written));
  await eventually(idle);

  for (const one of results) {
    expect(one.status).toBe('completed');
    expect(one.worker).toBe('worker-1');
    expect(one.fence).toMatch(/^1-[0-9a-f]{8}$/);
    expect(one.bundleTrialIds).toEqual([...written.specs.keys()]);
    expect(one.summary).toEqual(summaryOf(one.trialId, written.specs.get(one.trialId) ?? expect.fail()));
    const names = one.artifacts.map(({ name }) => name);
    expect(names).toEqual(['final_student_model.safetensors', 'distillation_config.json', 'metrics.ndjson', 'log.txt']);
    for (const artifact of one.artifacts) {
      expect(artifact.key).toBe(`trials/${one.trialId}/attempts/${one.fence}/${artifact.name}`);
      const head = await store.head(artifact.key);
      expect(head).toMatchObject({ size: artifact.size, sha256: artifact.sha256 });
    }
    expect((await store.get(one.artifacts[0]?.key ?? '')).toString()).toBe(`weights of ${one.trialId}`);
    expect((await store.get(one.artifacts[2]?.key ?? '')).toString().trim().split('\n')).toHaveLength(2);
    expect((await store.get(one.artifacts[3]?.key ?? '')).toString()).toContain('the scripted trainer is here');
    expect(await fleet.liveEpochs(one.trialId)).toHaveLength(2);
  }
  expect(starts()).toHaveLength(1);
  expect(starts()[0]?.malloc).toBe('268435456');
  await eventually(() => expect(events.filter(({ type }) => type === 'trial-ended')).toHaveLength(3));
  expect(events.some(({ type }) => type === 'trial-epoch')).toBe(true);
  expect((await fleet.liveTrials([...written.specs.keys()])).size).toBe(0);
  expect(readdirSync(join(config.cacheFolder, 'work'))).toEqual([]);
});

test('while a bundle runs its trials and its worker are shown', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  const trialIds = [...written.specs.keys()];
  await eventually(async () => {
    const live = await fleet.liveTrials(trialIds);
    expect(live.get(trialIds[0] ?? '')).toMatchObject({
      phase: 'training',
      workerId: 'worker-1',
      epochs: 2,
      trainLoss: 1.5,
    });
  });
  await eventually(async () => {
    const [worker] = await fleet.liveWorkers();
    expect(worker).toMatchObject({ workerId: 'worker-1', state: 'training', trialIds, processId: process.pid });
  });
  letGo();
  await eventually(() => allDone(written));
  await eventually(async () => expect((await fleet.liveWorkers())[0]?.state).toBe('idle'));
});

test('trials that have a result or are cancelled are not trained again', async () => {
  const written = await putSweep(store, 'sweep-1', { temperatures: [1, 2, 4] });
  const [done, cancelled, open] = [...written.specs.keys()] as [string, string, string];
  follow({}, written);
  await putJson(store, keys.trialResult(done), { trialId: done, fence: 'earlier' });
  await putJson(store, keys.trialCancelled(cancelled), {});
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(async () => expect(await result(open)).toBeDefined());
  await eventually(idle);
  expect(starts().map(({ trialIds }) => trialIds)).toEqual([[open]]);
  expect(await result(done)).toMatchObject({ fence: 'earlier' });
  expect(await result(cancelled)).toBeUndefined();
});

test('a trial that fails in the trainer is failed with its reason, the others complete', async () => {
  const written = await putSweep(store, 'sweep-1');
  const [first, second] = [...written.specs.keys()] as [string, string];
  follow({ failing: [first] }, written);
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(() => allDone(written));
  expect(await result(first)).toMatchObject({
    status: 'failed',
    failure: { reason: 'The loss is not a number.', step: 7 },
  });
  expect((await result(second))?.status).toBe('completed');
});

test('a trainer killed with SIGKILL is started again', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  follow({}, written);
  process.kill(starts()[0]?.pid ?? 0, 'SIGKILL');
  const results = await eventually(() => allDone(written));
  expect(results.map(({ status }) => status)).toEqual(['completed', 'completed']);
  expect(results[0]?.fence).toMatch(/^2-/);
});

test('finished trials of a bundle stay finished when the trainer crashes after them', async () => {
  const written = await putSweep(store, 'sweep-1', { temperatures: [1, 2, 4] });
  const [first, ...rest] = [...written.specs.keys()];
  follow({ mode: 'crash-after-first' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts().length).toBeGreaterThanOrEqual(2));
  await eventually(() => allDone(written));
  expect(starts()[0]?.trialIds).toEqual([first, ...rest]);
  expect(starts()[1]?.trialIds).toEqual(rest);
});

test('a trainer that always crashes fails its trials after the last attempt, with its last words', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'crash' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  const results = await eventually(() => allDone(written));
  expect(starts()).toHaveLength(3);
  for (const one of results) {
    expect(one.status).toBe('failed');
    expect(one.failure?.reason).toMatch(/exit code 3 before it was done.*something broke/);
    expect(one.artifacts.map(({ name }) => name)).toEqual(['metrics.ndjson', 'log.txt']);
  }
  await eventually(idle);
});

test('a trainer that says nothing is killed and tried again', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'silent' }, written);
  await work({ heartbeatMs: 1_500 });
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  const [first] = starts();
  follow({}, written);
  await eventually(() => allDone(written));
  expect(isAlive(first?.pid ?? 0)).toBe(false);
  expect(starts()).toHaveLength(2);
});

test('a trainer that takes no further step is killed, whatever it says', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'stuck' }, written);
  await work({ stepSilenceMs: 800 });
  await fleet.enqueue(written.jobs);
  const results = await eventually(() => allDone(written));
  expect(starts()).toHaveLength(3);
  expect(results[0]?.failure?.reason).toMatch(
    /was killed because it took no step after step 5 for 1 s.*tried 3 times in a row without getting further/,
  );
});

test.skipIf(process.platform !== 'linux')(
  'a trainer above its share of the memory is killed, and tried again in smaller parts',
  async () => {
    const written = await putSweep(store, 'sweep-1');
    follow({ mode: 'hold' }, written);
    const own = { ...overrides({ memoryMs: 1_500 }), memoryBytes: 10e6, store: await openStore(config.store) };
    apps.push(await startWorker({ ...config, workerName: 'small' }, own));
    await fleet.enqueue(written.jobs);
    const results = await eventually(() => allDone(written));
    expect(starts().map(({ parts }) => parts)).toEqual([undefined, 2, 4]);
    expect(results[0]?.failure?.reason).toMatch(/it held 0\.\d\d GB of memory, and its share is 0\.01 GB/);
  },
);

test('attempts of workers that vanish are counted too, and progress is no matter of their number', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  const [job] = written.jobs;
  if (job?.kind !== 'bundle') throw new Error('a bundle');
  await fleet.enqueue(written.jobs);
  for (const name of ['one', 'two', 'three']) {
    const child = await workApart(name);
    const before = starts().length;
    await eventually(() => expect(starts().length).toBeGreaterThan(before));
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await work({}, 'last');
  const results = await eventually(() => allDone(written));
  expect(starts()).toHaveLength(3);
  expect(results[0]?.failure?.reason).toMatch(/3 attempts in a row ended at step 0 .*worker three was lost/);
  await eventually(async () => expect((await store.list('bundles/')).objects).toEqual([]));
});

test('a trainer that ends without a word about its trials is no success', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'quit' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  const results = await eventually(() => allDone(written));
  expect(results[0]?.failure?.reason).toMatch(/ended without a word about/);
});

test('what is impossible fails at once', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'impossible' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  const results = await eventually(() => allDone(written));
  expect(results.map(({ failure }) => failure?.reason)).toEqual(['This cannot be done.', 'This cannot be done.']);
  expect(starts()).toHaveLength(1);
});

test('a cancelled trial stops while it runs and the rest of its bundle goes on', async () => {
  const written = await putSweep(store, 'sweep-1');
  const [first, second] = [...written.specs.keys()] as [string, string];
  follow({ mode: 'hold' }, written);
  const events: FleetEvent[] = [];
  await fleet.subscribe((event) => events.push(event));
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  await putJson(store, keys.trialCancelled(first), {});
  await fleet.announceControls([first]);
  await eventually(() => expect(events).toContainEqual({ type: 'trial-ended', trialId: first, status: 'cancelled' }));
  letGo();
  await eventually(async () => expect(await result(second)).toBeDefined());
  await eventually(idle);
  expect(await result(first)).toBeUndefined();
});

test('a message without cancelled.json in the record cancels nothing', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  await fleet.announceControls([...written.specs.keys()]);
  letGo();
  expect((await eventually(() => allDone(written))).map(({ status }) => status)).toEqual(['completed', 'completed']);
});

test('with every trial cancelled even a trainer that does not listen is ended, and the message may be lost', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'deaf' }, written);
  await work({ recordMs: 300 });
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  for (const trialId of written.specs.keys()) await putJson(store, keys.trialCancelled(trialId), {});
  await eventually(() => expect(isAlive(starts()[0]?.pid ?? 0)).toBe(false));
  await eventually(idle);
  expect((await resultsOf(written)).some(Boolean)).toBe(false);
  expect(starts()).toHaveLength(1);
});

test('SIGTERM gives the job back without an attempt, exits 0, and another worker finishes', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  const child = await workApart('leaving');
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await gone).toEqual([0, null]);
  expect(isAlive(starts()[0]?.pid ?? 0)).toBe(false);
  expect(await fleet.counts()).toEqual({ waiting: 1, active: 0 });
  expect(await fleet.liveWorkers()).toEqual([]);

  follow({}, written);
  await work({}, 'staying');
  const results = await eventually(() => allDone(written));
  expect(results.map(({ worker }) => worker)).toEqual(['staying', 'staying']);
});

test('a drained worker gives its job back, ends with 0, and its name is free again', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  const child = await workApart('drained');
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  const gone = once(child, 'exit');
  await fleet.drainWorker('drained');
  expect(await gone).toEqual([0, null]);
  expect(await fleet.counts()).toEqual({ waiting: 1, active: 0 });
  expect(await fleet.liveWorkers()).toEqual([]);
  follow({}, written);
  await workApart('drained');
  await eventually(() => allDone(written));
});

test('a drain that no message told is found by the mark', async () => {
  const child = await workApart('absent', { registryMs: 300 });
  const gone = once(child, 'exit');
  await redis.command('SET', `${config.redisPrefix}:drain:absent`, '1');
  expect(await gone).toEqual([0, null]);
});

test('a trainer that does not end is left to nobody: the worker is gone within 10 s, its job is back', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'deaf' }, written);
  const child = await workApart('slow', { leaveGraceMs: 5_000, leaveMs: 8_000 });
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  const gone = once(child, 'exit');
  const from = performance.now();
  child.kill('SIGTERM');
  expect(await gone).toEqual([0, null]);
  expect(performance.now() - from).toBeLessThan(10_000);
  expect(await fleet.counts()).toEqual({ waiting: 1, active: 0 });
});

test('a second SIGTERM ends worker and trainer at once', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'deaf' }, written);
  const child = await workApart('hasty', { leaveGraceMs: 60_000 });
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await eventually(() => {
    child.kill('SIGTERM');
    expect(child.exitCode).not.toBeNull();
  });
  expect(await gone).toEqual([143, null]);
  await eventually(() => expect(isAlive(starts()[0]?.pid ?? 0)).toBe(false));
});

test('kill -9 of a worker: its trainer goes too, another worker takes the job, each trial has one result', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  const child = await workApart('doomed');
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  child.kill('SIGKILL');
  await eventually(() => expect(isAlive(starts()[0]?.pid ?? 0)).toBe(false));
  expect(readdirSync(join(config.cacheFolder, 'work'))).toHaveLength(1);

  follow({}, written);
  await work({}, 'heir');
  const results = await eventually(() => allDone(written));
  expect(results.map(({ worker, status }) => [worker, status])).toEqual([
    ['heir', 'completed'],
    ['heir', 'completed'],
  ]);
  await eventually(() => expect(readdirSync(join(config.cacheFolder, 'work'))).toEqual([]));
});

test('two workers on the same trials: one result stands and the other attempt leaves nothing', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  await work({}, 'one');
  await work({}, 'two');
  const again = written.jobs.map((job): FleetJob => (job.kind === 'bundle' ? { ...job, bundleId: 'again' } : job));
  await fleet.enqueue([...written.jobs, ...again]);
  await eventually(() => expect(starts()).toHaveLength(2));
  letGo();
  const results = await eventually(() => allDone(written));
  await eventually(idle);
  for (const one of results) {
    const { objects } = await store.list(`trials/${one.trialId}/attempts/`);
    expect(objects.map(({ key }) => key).sort()).toEqual(one.artifacts.map(({ key }) => key).sort());
    expect(await result(one.trialId)).toEqual(one);
  }
});

test('Redis restarted during a job: it goes on, and its results are there', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  await redis.stop('SIGKILL');
  letGo();
  await eventually(() => allDone(written));
  await redis.start();
  await eventually(idle);
  expect((await allDone(written)).map(({ status }) => status)).toEqual(['completed', 'completed']);
  expect(starts()).toHaveLength(1);
});

test('a worker whose disk is full gives its job back and rests; another one does it', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({}, written);
  const own = { ...overrides(), leastDiskBytes: Number.MAX_SAFE_INTEGER, store: await openStore(config.store) };
  apps.push(await startWorker({ ...config, workerName: 'full' }, own));
  await fleet.enqueue(written.jobs);
  await eventually(async () => expect(await fleet.counts()).toEqual({ waiting: 1, active: 0 }));
  await work({}, 'roomy');
  const results = await eventually(() => allDone(written));
  expect(results.map(({ worker }) => worker)).toEqual(['roomy', 'roomy']);
  expect(starts()).toHaveLength(1);
});

test('Redis at its memory limit: results are stored, and the queue follows when there is memory again', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  letGo();
  await eventually(() => allDone(written));
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  await eventually(idle);
  expect((await allDone(written)).map(({ status }) => status)).toEqual(['completed', 'completed']);
  expect(starts()).toHaveLength(1);
});

test('Redis wiped during a job: it goes on, and the next job is taken', async () => {
  const written = await putSweep(store, 'sweep-1');
  follow({ mode: 'hold' }, written);
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toHaveLength(1));
  await redis.command('FLUSHALL');
  letGo();
  await eventually(() => allDone(written));
  const more = await putSweep(store, 'sweep-2', { temperatures: [3] });
  follow({}, more);
  await fleet.enqueue(more.jobs);
  await eventually(() => allDone(more));
  expect(starts()).toHaveLength(2);
});

test('a damaged copy of the teacher in the cache is fetched again', async () => {
  const written = await putSweep(store, 'sweep-1', { temperatures: [1] });
  const copy = join(config.cacheFolder, 'fetched', 'teachers', TEACHER_ID);
  await mkdir(copy, { recursive: true });
  writeFileSync(join(copy, 'model.safetensors'), 'WEIGHTS');
  follow({}, written);
  await work();
  await fleet.enqueue(written.jobs);
  await eventually(() => allDone(written));
  expect(readFileSync(join(copy, 'model.safetensors'), 'utf8')).toBe('weights');
});

async function prepare(request: PreparationRequest): Promise<string> {
  const preparationId = preparationIdOf(request);
  const record: PreparationRecord = { preparationId, request, owner: 'me', createdAt: new Date(0).toISOString() };
  await putJson(store, keys.preparation(preparationId), record);
  await fleet.enqueue([{ kind: 'preparation', preparationId, owner: 'me' }]);
  return preparationId;
}

const prepared = (preparationId: string) =>
  eventually(async () => {
    const found = await findJson<PreparationResult>(store, keys.preparationResult(preparationId));
    return found ?? expect.fail('not prepared yet');
  });

const corpusFacts = {
  vocabularySize: 50,
  maxTokens: 22,
  sentences: { train: 90, test: 10 },
  tokens: { train: 900, test: 100 },
};

test('an uploaded text becomes a corpus with record and name, and preparing it twice gives the same corpus', async () => {
  follow({ corpus: corpusFacts });
  await work();
  const body = Buffer.from('One sentence.\nAnother sentence.\n');
  const facts = await store.put(keys.upload('abc'), body);
  const text = { name: 'mine.txt', key: keys.upload('abc'), ...facts, contentType: 'text/plain' };
  const options = { minWords: 1, maxWords: 9, minCount: 1, trainShare: 0.5 };
  const made = await prepared(await prepare({ kind: 'corpus', name: 'mine', text, options }));
  expect(made).toMatchObject({ status: 'completed', corpusId: expect.any(String) });
  const corpus = await getJson<CorpusRecord>(store, keys.corpus(made.corpusId ?? ''));
  expect(corpus).toMatchObject({
    name: 'mine',
    options,
    source: { kind: 'text', fileName: 'mine.txt' },
    ...corpusFacts,
  });
  expect(corpus.files.map(({ name }) => name)).toEqual(['vocab.json', 'train.json', 'test.json']);
  expect(await getJson(store, keys.corpusName('mine'))).toEqual({ id: corpus.corpusId });

  const other = await prepared(await prepare({ kind: 'corpus', name: 'other', text, options }));
  expect(other.corpusId).toBe(made.corpusId);
  expect(await getJson(store, keys.corpusName('other'))).toEqual({ id: corpus.corpusId });
});

test('a preparation that is impossible, or keeps crashing, fails with the reason', async () => {
  follow({ mode: 'impossible' });
  await work();
  const impossible = await prepared(
    await prepare({ kind: 'teacher', name: 'a', corpusId: CORPUS_ID, training: training() }),
  );
  expect(impossible).toMatchObject({ status: 'failed', failure: { reason: 'This cannot be done.' } });
  const unknown = await prepared(
    await prepare({ kind: 'teacher', name: 'b', corpusId: 'nowhere', training: training() }),
  );
  expect(unknown.failure?.reason).toBe('There is no corpus nowhere.');
  follow({ mode: 'crash' });
  const crashing = await prepared(
    await prepare({ kind: 'teacher', name: 'c', corpusId: CORPUS_ID, training: training() }),
  );
  expect(crashing.failure?.reason).toMatch(/something broke/);
});

test('a teacher trained here has a record and a name', async () => {
  const {
    teacherId: _,
    files: __,
    createdAt: ___,
    ...teacher
  } = await getJson<TeacherRecord>(store, keys.teacher(TEACHER_ID));
  follow({ teacher });
  await work();
  const made = await prepared(
    await prepare({ kind: 'teacher', name: 'mine', corpusId: CORPUS_ID, training: training() }),
  );
  expect(made).toMatchObject({ status: 'completed', corpusId: CORPUS_ID, teacherId: expect.any(String) });
  const record = await getJson<TeacherRecord>(store, keys.teacher(made.teacherId ?? ''));
  expect(record).toMatchObject({ name: 'mine', corpusId: CORPUS_ID, files: [{ name: 'model.safetensors' }] });
  expect((await store.get(record.files[0]?.key ?? '')).toString()).toBe('weights of a teacher');
  expect(await getJson(store, keys.teacherName('mine'))).toEqual({ id: made.teacherId });
});

function training(): Extract<TeacherRecord['origin'], { kind: 'trained' }>['training'] {
  return {
    layers: 2,
    dModel: 16,
    dff: 32,
    heads: 2,
    batchSize: 8,
    epochs: 1,
    learningRate: 1e-3,
    weightDecay: 0,
    dropout: 0.1,
    channel: 'awgn',
    channelProfile: 'exact',
    trainSnrDb: [5, 10],
    seed: 1,
  };
}

test.each([
  [
    'no Redis',
    { REDIS_URL: 'redis://127.0.0.1:1' },
    /^semdistill worker: Redis does not answer at redis:\/\/127\.0\.0\.1:1 /,
  ],
  [
    'a cache folder that cannot be',
    { SEMDISTILL_CACHE: '/etc/hostname/cache' },
    /^semdistill worker: The cache folder \/etc\/hostname\/cache cannot be written/,
  ],
  ['a store that is a file', { SEMDISTILL_STORE: '/etc/hostname' }, /^semdistill worker: .*\/etc\/hostname/],
  ['a bad setting', { SEMDISTILL_THREADS: 'many' }, /^semdistill worker: Bad settings: SEMDISTILL_THREADS/],
])('%s: one sentence, exit code 1', async (_, changes, sentence) => {
  const main = resolve(import.meta.dirname, '../../dist/apps/worker/main.js');
  const child = spawn(process.execPath, [main], { env: { PATH: process.env.PATH, ...environment, ...changes } });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  expect(await once(child, 'close')).toEqual([1, null]);
  expect(errors).toMatch(sentence);
  expect(errors.trim().split('\n')).toHaveLength(1);
});
