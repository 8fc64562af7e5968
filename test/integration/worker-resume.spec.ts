// Workers with the real trainer against a real Redis and a directory store: killed and stopped in all ways, a bundle goes on from
// its stored checkpoint and ends with the files of an undisturbed run.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Config, readConfig } from '#config';
import { bundleIdOf, type StoredFile, type TrialRecord, type TrialResult, trialIdOf } from '#experiment';
import { openFleet, type RedisFleet } from '#queue';
import { findJson, keys, type ObjectStore, openStore, putJson } from '#storage';
import { listBundle, readCheckpoints } from '../../apps/worker/stored-checkpoints.js';
import { type RedisServer, startRedis } from '../support/redis.js';
import { TINY, TrainerBench } from '../support/trainer-process.js';

const TEMPERATURES = [1, 8];
/** Of 3 steps each: long enough to be killed three times on the way. */
const EPOCHS = 40;

let bench: TrainerBench;
let redis: RedisServer;
let folder: string;
let config: Config;
let environment: Record<string, string>;
let store: ObjectStore;
let fleet: RedisFleet;
let workers: ChildProcess[];

beforeAll(async () => {
  [bench, redis] = await Promise.all([TrainerBench.open(), startRedis()]);
});
afterAll(() => Promise.all([bench.close(), redis.close()]));

beforeEach(async () => {
  await redis.command('FLUSHALL');
  folder = await mkdtemp(join(tmpdir(), 'semdistill-resume-'));
  environment = {
    REDIS_URL: redis.url,
    SEMDISTILL_STORE: join(folder, 'store'),
    SEMDISTILL_CACHE: join(folder, 'cache'),
    SEMDISTILL_THREADS: '1',
    SEMDISTILL_CHECKPOINT_SECONDS: '0',
  };
  config = readConfig(environment);
  store = await openStore(config.store);
  fleet = openFleet(config);
  workers = [];
});

afterEach(async () => {
  for (const worker of workers) await end(worker, 'SIGKILL');
  await fleet.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 90_000, interval: 20 });

async function startWorker(): Promise<ChildProcess> {
  const program = resolve(import.meta.dirname, '../support/worker-process.mjs');
  const overrides = { lockTimes: { lockDurationMs: 2_000, stalledIntervalMs: 500 } };
  const child = spawn(process.execPath, [program, JSON.stringify(overrides)], {
    env: { ...process.env, ...environment, SEMDISTILL_WORKER_NAME: `worker-${workers.length + 1}` },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  workers.push(child);
  return child;
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
  return child.exitCode;
}

async function storeFile(key: string, path: string, name: string): Promise<StoredFile> {
  const facts = await store.put(key, { path });
  return { name, key, ...facts, contentType: 'application/octet-stream' };
}

/** Teacher, corpus and trials in the store, their bundle in the queue. */
async function enqueue(epochs: number): Promise<{ trialIds: string[]; bundleId: string }> {
  const job = bench.bundle({ epochs, distillPart: 'full', freezeKeptSide: false }, TEMPERATURES);
  if (job.kind !== 'bundle') throw new Error('a bundle is what was asked for');
  const model = await storeFile(
    keys.teacherFile('tiny', 'model.safetensors'),
    join(TINY, 'teacher.safetensors'),
    'model.safetensors',
  );
  await putJson(store, keys.teacher('tiny'), { ...job.teacher, files: [model] });
  const names = ['vocab.json', 'train.json', 'test.json'];
  const files = await Promise.all(
    names.map((name) => storeFile(keys.corpusFile('tiny', name), join(bench.corpusFolder, name), name)),
  );
  await putJson(store, keys.corpus('tiny'), { ...job.corpus, files });
  const trialIds: string[] = [];
  for (const { spec } of job.trials) {
    const trial: TrialRecord = { trialId: trialIdOf(spec), spec, createdAt: job.teacher.createdAt };
    await putJson(store, keys.trial(trial.trialId), trial);
    trialIds.push(trial.trialId);
  }
  const bundleId = bundleIdOf(trialIds);
  await fleet.enqueue([{ kind: 'bundle', bundleId, sweepId: 'sweep', owner: 'me', trialIds }]);
  return { trialIds, bundleId };
}

async function results(trialIds: string[]): Promise<TrialResult[]> {
  return eventually(async () => {
    const found = await Promise.all(trialIds.map((id) => findJson<TrialResult>(store, keys.trialResult(id))));
    expect(found.every(Boolean)).toBe(true);
    return found as TrialResult[];
  });
}

/** Name and hash of everything a trial leaves but what holds times. */
function filesOf({ artifacts }: TrialResult): Record<string, string> {
  const timeless = artifacts.filter(({ name }) => !/config|metrics|log/.test(name));
  return Object.fromEntries(timeless.map(({ name, sha256 }) => [name, sha256]));
}

/** Waits until the store has a checkpoint of this step or later; returns its step. */
async function storedStep(bundleId: string, least: number): Promise<number> {
  return eventually(async () => {
    const { fences } = await listBundle(store, bundleId);
    const [newest] = await readCheckpoints(store, bundleId, fences, () => {});
    expect(newest?.manifest.state.step ?? 0).toBeGreaterThanOrEqual(least);
    return newest?.manifest.state.step as number;
  });
}

/** The trainer that works in the cache folder of this test. */
async function trainerOf(worker: ChildProcess): Promise<number> {
  return eventually(() => {
    const children = readFileSync(`/proc/${worker.pid}/task/${worker.pid}/children`, 'utf8').trim().split(' ');
    const trainer = children.map(Number).find((pid) => {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('trainer/main.js');
    });
    return trainer ?? expect.fail('no trainer yet');
  });
}

test.skipIf(process.platform !== 'linux')(
  'trainer killed, worker stopped, worker killed: each time the bundle goes on from its checkpoint, to the same bytes',
  async () => {
    const whole = await enqueue(EPOCHS);
    await startWorker();
    const undisturbed = await results(whole.trialIds);
    expect(undisturbed.map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect((await store.get(logOf(undisturbed[0] as TrialResult))).toString()).toMatch(/engine: .*\n.*bundle: /);
    await eventually(async () => expect((await store.list('bundles/')).objects).toEqual([]));
    await end(workers[0] as ChildProcess, 'SIGTERM');
    await rm(config.store.kind === 'directory' ? config.store.folder : '', { recursive: true, force: true });
    await redis.command('FLUSHALL');
    store = await openStore(config.store);

    const { trialIds, bundleId } = await enqueue(EPOCHS);
    const first = await startWorker();
    const one = await storedStep(bundleId, 10);
    process.kill(await trainerOf(first), 'SIGKILL');
    const two = await storedStep(bundleId, one + 10);
    expect(await end(first, 'SIGTERM')).toBe(0);
    const left = await storedStep(bundleId, two);
    const second = await startWorker();
    await storedStep(bundleId, left + 10);
    await end(second, 'SIGKILL');
    await startWorker();
    const resumed = await results(trialIds);

    expect(resumed.map(filesOf)).toEqual(undisturbed.map(filesOf));
    const { summary } = resumed[0] as TrialResult;
    const steps = summary?.resumes?.map(({ step }) => step) ?? [];
    expect(steps).toHaveLength(3);
    expect(steps[0]).toBeGreaterThanOrEqual(one);
    expect(steps[1]).toBe(left);
    expect(steps[2]).toBeGreaterThanOrEqual(left + 10);
    expect(summary?.epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: EPOCHS }, (_, i) => i + 1));
    expect((await store.get(logOf(resumed[0] as TrialResult))).toString()).toContain(`resumed at step ${steps[2]}`);
    await eventually(async () => expect((await store.list('bundles/')).objects).toEqual([]));
  },
);

test('a trial cancelled while nobody works is not trained on, and its neighbour gets its own bytes', async () => {
  const { trialIds, bundleId } = await enqueue(12);
  const [gone, kept] = trialIds as [string, string];
  const first = await startWorker();
  await storedStep(bundleId, 5);
  await end(first, 'SIGTERM');
  await putJson(store, keys.trialCancelled(gone), {});
  await startWorker();
  const [result] = await results([kept]);
  expect(result?.bundleTrialIds).toEqual(trialIds);
  expect(result?.summary?.resumes).toHaveLength(1);
  expect(await findJson(store, keys.trialResult(gone))).toBeUndefined();
  await eventually(async () => expect((await store.list('bundles/')).objects).toEqual([]));
});

test('a stored checkpoint that is not whole any more is said and passed over', async () => {
  const { trialIds, bundleId } = await enqueue(12);
  const first = await startWorker();
  await storedStep(bundleId, 5);
  await end(first, 'SIGTERM');
  const { objects } = await store.list(`bundles/${bundleId}/attempts/`);
  for (const { key } of objects) if (key.includes('/step-')) await store.delete(key);
  await startWorker();
  const [result] = await results(trialIds);
  expect(result?.status).toBe('completed');
  expect(result?.summary?.resumes).toBeUndefined();
});

function logOf({ artifacts }: TrialResult): string {
  return artifacts.find(({ name }) => name === 'log.txt')?.key ?? '';
}
