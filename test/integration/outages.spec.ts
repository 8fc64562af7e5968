// Outages of Redis and of the object store (a real MinIO behind a proxy that fails): whatever is gone, for however long, the
// trials end once, with what an undisturbed run gives. Times are shortened; the mechanisms are those of the real ones.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Config, readConfig } from '#config';
import type { TrialResult } from '#experiment';
import { openFleet, type RedisFleet } from '#queue';
import { findJson, keys, type ObjectStore, openStore, putJson } from '#storage';
import { startAggregator } from '../../apps/aggregator/start-aggregator.js';
import { startApi } from '../../apps/api/start-api.js';
import { startWorker } from '../../apps/worker/start-worker.js';
import { type Fault, type FaultProxy, type SeenRequest, startFaultProxy } from '../support/fault-proxy.js';
import { putSweep, putTeacherAndCorpus, summaryOf, type WrittenSweep } from '../support/fleet-records.js';
import { MINIO_MISSING, type MinioServer, minioBinary, startMinio } from '../support/minio.js';
import { type RedisServer, startRedis } from '../support/redis.js';

const TRAINER = resolve(import.meta.dirname, '../support/scripted-trainer.mjs');
const QUICK = { attempts: 2, firstDelayMs: 20, idleTimeoutMs: 500 };
/** Stands for the minutes of a real outage: longer than locks and retries last here. */
const OUTAGE_MS = 5_000;

let redis: RedisServer;
let folder: string;
let script: string;
let config: Config;
let fleet: RedisFleet;
let apps: INestApplicationContext[];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(async () => {
  await redis.command('FLUSHALL');
  folder = await mkdtemp(join(tmpdir(), 'semdistill-outages-'));
  script = join(folder, 'script.json');
  config = readConfig({
    REDIS_URL: redis.url,
    SEMDISTILL_STORE: join(folder, 'store'),
    SEMDISTILL_CACHE: join(folder, 'cache'),
    SEMDISTILL_LOG: 'error',
    SEMDISTILL_API_KEY: 'a-key-for-tests-0123456789',
    SEMDISTILL_PORT: '0',
  });
  fleet = openFleet(config);
  apps = [];
});
afterEach(async () => {
  for (const app of apps) await app.close();
  await fleet.close();
  await rm(folder, { recursive: true, force: true });
});

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 60_000, interval: 25 });
const idle = async () => expect(await fleet.counts()).toEqual({ waiting: 0, active: 0 });
const letGo = () => writeFileSync(`${script}.go`, '');
/** How many trainers were started for trials; once these have ended another joins their models. */
const starts = () =>
  existsSync(`${script}.starts`)
    ? readFileSync(`${script}.starts`, 'utf8')
        .trim()
        .split('\n')
        .filter((line) => JSON.parse(line).kind === 'bundle').length
    : 0;

function follow(mode: 'train' | 'hold', { specs }: WrittenSweep): void {
  const summaries = Object.fromEntries([...specs].map(([id, spec]) => [id, summaryOf(id, spec)]));
  const numerics = { backend: 'tensorflow', library: 'none', threads: 1, device: 'CPU' };
  writeFileSync(script, JSON.stringify({ mode, numerics, summaries }));
}

async function work(name: string, store: ObjectStore): Promise<void> {
  const overrides = {
    trainer: { command: process.execPath, args: [TRAINER, script] },
    times: { controlsMs: 200, registryMs: 500, stopGraceMs: 1_000, leaveGraceMs: 1_000 },
    lockTimes: { lockDurationMs: 2_000, stalledIntervalMs: 1_000 },
    store,
  };
  apps.push(await startWorker({ ...config, workerName: name }, overrides));
}

/** Each trial has ended once, with what the trainer says of it when nothing disturbs. */
async function expectUndisturbed(store: ObjectStore, { specs }: WrittenSweep): Promise<TrialResult[]> {
  const results = await eventually(async () => {
    const found = await Promise.all(
      [...specs.keys()].map((trialId) => findJson<TrialResult>(store, keys.trialResult(trialId))),
    );
    expect(found.every(Boolean)).toBe(true);
    return found as TrialResult[];
  });
  for (const result of results) {
    expect(result.status).toBe('completed');
    expect(result.summary).toEqual(summaryOf(result.trialId, specs.get(result.trialId) as never));
    const [model] = result.artifacts;
    expect((await store.get(model?.key ?? '')).toString()).toBe(`weights of ${result.trialId}`);
    const { objects } = await store.list(`trials/${result.trialId}/attempts/`);
    expect(objects.map(({ key }) => key).sort()).toEqual(result.artifacts.map(({ key }) => key).sort());
  }
  return results;
}

test('Redis gone for longer than locks last: the worker trains on and keeps its job, the API says 503 in time', async () => {
  const store = await openStore(config.store);
  await putTeacherAndCorpus(store);
  const written = await putSweep(store, 'sweep-1');
  follow('hold', written);
  await work('busy', await openStore(config.store));
  await fleet.enqueue(written.jobs);
  await eventually(() => expect(starts()).toBe(1));
  await work('idle', await openStore(config.store));
  const api = await startApi(config, () => {});
  await redis.stop('SIGKILL');
  const from = performance.now();
  const answer = await fetch(`${api.url}/v1/sweeps/sweep-1/pause`, {
    method: 'POST',
    headers: { authorization: `Bearer ${config.apiKey}` },
  });
  expect(performance.now() - from).toBeLessThan(2_500);
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
  await delay(OUTAGE_MS);
  await redis.start();
  await eventually(async () => expect((await fleet.counts()).active).toBe(1));
  letGo();
  const results = await expectUndisturbed(store, written);
  expect(results.map(({ worker }) => worker)).toEqual(['busy', 'busy']);
  await eventually(idle);
  expect(starts()).toBe(1);
  await api.close();
  await store.close();
});

test('Redis wiped while trials run: nothing runs twice, and what waited is put back', async () => {
  const store = await openStore(config.store);
  await putTeacherAndCorpus(store);
  const written = await putSweep(store, 'sweep-1', { temperatures: [1, 2, 3, 4], perBundle: 2 });
  follow('hold', written);
  await work('busy', await openStore(config.store));
  await fleet.enqueue(written.jobs);
  apps.push(await startAggregator(config, { lookEveryMs: 300 }));
  await eventually(() => expect(starts()).toBe(1));
  await eventually(async () => expect((await fleet.liveTrials([...written.specs.keys()])).size).toBe(2));
  await redis.command('FLUSHALL');
  await eventually(async () => expect((await fleet.counts()).waiting).toBe(1));
  letGo();
  await expectUndisturbed(store, written);
  await eventually(async () => expect(await findJson(store, keys.sweepSettled('sweep-1'))).toBeDefined());
  expect(starts()).toBe(2);
  await store.close();
});

if (!minioBinary) console.warn(MINIO_MISSING);

describe.skipIf(!minioBinary)('an object store', () => {
  let minio: MinioServer;
  let proxy: FaultProxy;
  let store: ObjectStore;
  let written: WrittenSweep;
  let bucket = 0;

  beforeAll(async () => {
    minio = await startMinio();
  });
  afterAll(() => minio.close());
  beforeEach(async () => {
    const settings = minio.settings(`outage-${++bucket}`);
    store = await openStore(settings);
    proxy = await startFaultProxy(settings);
    await putTeacherAndCorpus(store);
    written = await putSweep(store, 'sweep-1');
    await work('worker-1', await openStore({ ...settings, endpoint: proxy.endpoint }, { retries: QUICK }));
  });
  afterEach(async () => {
    proxy.fail();
    for (const app of apps.splice(0)) await app.close();
    await proxy.close();
    await store.close();
  });

  const isWrite = ({ method }: SeenRequest) => method === 'PUT' || method === 'POST';
  const kinds: [string, Fault, (request: SeenRequest) => boolean][] = [
    ['that is gone', 'reset', () => true],
    ['that refuses writes', 'denied', isWrite],
    ['that is full', 'full', isWrite],
  ];

  test.each(kinds)('%s when trials end is waited for, and nothing is trained twice', async (_, fault, fits) => {
    follow('hold', written);
    await fleet.enqueue(written.jobs);
    await eventually(() => expect(starts()).toBe(1));
    proxy.decide((request) => (fits(request) ? fault : undefined));
    letGo();
    await delay(OUTAGE_MS);
    expect(proxy.failed()).toBeGreaterThan(0);
    proxy.fail();
    await expectUndisturbed(store, written);
    await eventually(idle);
    expect(starts()).toBe(1);
  });

  test('that is gone when a job begins is waited for', async () => {
    follow('train', written);
    proxy.decide(() => 'reset');
    await fleet.enqueue(written.jobs);
    await eventually(() => expect(proxy.failed()).toBeGreaterThan(3));
    proxy.fail();
    await expectUndisturbed(store, written);
    expect(starts()).toBe(1);
  });

  test('that is gone when a paused bundle is left is waited for: no start stays that would count as a death', async () => {
    follow('hold', written);
    await fleet.enqueue(written.jobs);
    await eventually(() => expect(starts()).toBe(1));
    const marks = async () => (await store.list('bundles/')).objects.map(({ key }) => key);
    await eventually(async () => expect(await marks()).toEqual([expect.stringContaining('/starts/')]));
    proxy.decide(({ method }) => (method === 'DELETE' ? 'reset' : undefined));
    const trialIds = [...written.specs.keys()];
    for (const trialId of trialIds) await putJson(store, keys.trialPaused(trialId), {});
    await fleet.announceControls(trialIds);
    await eventually(() => expect(proxy.failed()).toBeGreaterThan(0));
    await delay(OUTAGE_MS / 2);
    expect(await marks()).toHaveLength(1);
    proxy.fail();
    await eventually(idle);
    expect(await marks()).toEqual([]);
  });
});
