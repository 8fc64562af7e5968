// The aggregator against a real Redis and a directory store: sweeps are settled from the record alone, once, with a report;
// jobs that Redis lost are put back.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Config, readConfig } from '#config';
import type { FleetEvent, PreparationRecord, SettledRecord, TrialResult } from '#experiment';
import { jobIdOf, openFleet, type RedisFleet } from '#queue';
import { findJson, keys, type ObjectStore, openStore, putJson } from '#storage';
import { startAggregator } from '../../apps/aggregator/start-aggregator.js';
import { putResult, putSweep, putTeacherAndCorpus, type WrittenSweep } from '../support/fleet-records.js';
import { type RedisServer, startRedis } from '../support/redis.js';

let redis: RedisServer;
let folder: string;
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
  folder = await mkdtemp(join(tmpdir(), 'semdistill-aggregator-'));
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
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
  await fleet.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 60_000, interval: 25 });

async function aggregate(lookEveryMs = 200): Promise<void> {
  apps.push(await startAggregator(config, { lookEveryMs }));
}

const settled = (sweepId: string) => findJson<SettledRecord>(store, keys.sweepSettled(sweepId));
const untilSettled = (sweepId: string) =>
  eventually(async () => (await settled(sweepId)) ?? expect.fail(`${sweepId} is not settled yet`));

async function putResults({ specs }: WrittenSweep, failures: Record<string, string> = {}): Promise<void> {
  for (const [trialId, spec] of specs) await putResult(store, trialId, spec, failures[trialId]);
}

test('a sweep is settled without any event, with every form of the report', async () => {
  const written = await putSweep(store, 'sweep-1', { temperatures: [1, 2, 4], seeds: [1, 2, 3] });
  await putResults(written);
  await aggregate();
  const record = await untilSettled('sweep-1');
  expect(record).toMatchObject({ status: 'completed', counts: { completed: 9, failed: 0, cancelled: 0 } });
  const names = record.reportFiles.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(['report.json', 'report.csv', 'report.md', 'report.zh.md', 'report.html']),
  );
  const stems = (ending: string) => names.filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -4));
  expect(stems('.svg').length).toBeGreaterThan(0);
  expect(stems('.png')).toEqual(stems('.svg'));
  for (const file of record.reportFiles) {
    expect(await store.head(file.key)).toMatchObject({ size: file.size, sha256: file.sha256 });
  }
  const image = await store.get(keys.sweepReport('sweep-1', `${stems('.png')[0]}.png`));
  expect(image.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
  const report = JSON.parse((await store.get(keys.sweepReport('sweep-1', 'report.json'))).toString());
  expect(report.counts).toEqual({ trials: 9, completed: 9, failed: 0, pruned: 0, missing: 0 });
});

test('the last event settles a sweep long before the next look, and the settling is announced', async () => {
  const written = await putSweep(store, 'sweep-1');
  await fleet.enqueue(written.jobs);
  await aggregate(3_600_000);
  const events: FleetEvent[] = [];
  await fleet.subscribe((event) => events.push(event));
  await putResults(written);
  for (const trialId of written.specs.keys())
    await fleet.publish({ type: 'trial-ended', trialId, status: 'completed' });
  await untilSettled('sweep-1');
  await eventually(() =>
    expect(events).toContainEqual({ type: 'sweep-settled', sweepId: 'sweep-1', status: 'completed' }),
  );
});

test('an event of a sweep that was not seen yet is enough to find it', async () => {
  await aggregate(3_600_000);
  const written = await putSweep(store, 'late');
  await putResults(written);
  await eventually(async () => {
    const [trialId = ''] = written.specs.keys();
    await fleet.publish({ type: 'trial-ended', trialId, status: 'completed' });
    expect(await settled('late')).toBeDefined();
  });
});

test('failed and cancelled trials are counted and do not keep a sweep open', async () => {
  const written = await putSweep(store, 'sweep-1', { temperatures: [1, 2, 4] });
  const [first, second, third] = [...written.specs] as [[string, never], [string, never], [string, never]];
  await putResult(store, ...first);
  await putResult(store, ...second, 'The loss is not a number.');
  await putJson(store, keys.trialCancelled(third[0]), {});
  await aggregate();
  const record = await untilSettled('sweep-1');
  expect(record).toMatchObject({
    status: 'completed_with_failures',
    counts: { completed: 1, failed: 1, cancelled: 1 },
  });
});

test('a sweep whose trials all failed has no report', async () => {
  const written = await putSweep(store, 'sweep-1');
  await putResults(written, Object.fromEntries([...written.specs.keys()].map((trialId) => [trialId, 'broken'])));
  await aggregate();
  expect(await untilSettled('sweep-1')).toMatchObject({ status: 'failed', reportFiles: [] });
});

test('a cancelled sweep is settled at once with what was completed, and its jobs are not put back', async () => {
  const written = await putSweep(store, 'sweep-1', { perBundle: 1 });
  const [first] = [...written.specs] as [[string, never]];
  await putResult(store, ...first);
  await putJson(store, keys.sweepCancelled('sweep-1'), {});
  await aggregate();
  const record = await untilSettled('sweep-1');
  expect(record).toMatchObject({ status: 'cancelled', counts: { completed: 1, failed: 0, cancelled: 1 } });
  expect(record.reportFiles.length).toBeGreaterThan(0);
  expect(await fleet.counts()).toEqual({ waiting: 0, active: 0 });
});

test('an open sweep stays open, and its lost jobs come back with the trials still missing', async () => {
  const written = await putSweep(store, 'sweep-1', { temperatures: [1, 2, 4, 8], perBundle: 2 });
  await fleet.enqueue(written.jobs);
  const [first] = [...written.specs] as [[string, never]];
  await putResult(store, ...first);
  await redis.command('FLUSHALL');
  await aggregate();
  await eventually(async () => expect((await fleet.known(written.jobs)).size).toBe(2));
  const data = await redis.command(
    'HGET',
    `${config.redisPrefix}:bundles:${jobIdOf(written.jobs[0] as never)}`,
    'data',
  );
  expect(JSON.parse(String(data)).trialIds).not.toContain(first[0]);
  expect(await settled('sweep-1')).toBeUndefined();
});

test('a bundle that a worker still trains is not put back', async () => {
  const written = await putSweep(store, 'sweep-1', { temperatures: [1, 2], perBundle: 1 });
  const [first] = [...written.specs.keys()] as [string];
  const live = { trialId: first, phase: 'training', workerId: 'w', epoch: 1, epochs: 2, step: 1, steps: 2 };
  await redis.command('SET', `${config.redisPrefix}:trial:${first}`, JSON.stringify({ ...live, updatedAt: 'now' }));
  await aggregate();
  await eventually(async () => expect((await fleet.known(written.jobs)).size).toBe(1));
  expect(await fleet.known(written.jobs)).toEqual(new Set([jobIdOf(written.jobs[1] as never)]));
});

test('a preparation without a result and without a job is put back', async () => {
  const record: PreparationRecord = {
    preparationId: 'p1',
    request: { kind: 'corpus', name: 'sotu', builtin: 'sotu' },
    owner: 'me',
    createdAt: new Date(0).toISOString(),
  };
  await putJson(store, keys.preparation('p1'), record);
  await putJson(store, keys.preparation('p2'), { ...record, preparationId: 'p2' });
  await putJson(store, keys.preparationResult('p2'), { preparationId: 'p2', status: 'completed' });
  await aggregate();
  await eventually(async () => expect((await fleet.counts()).waiting).toBe(1));
  expect((await fleet.known([{ kind: 'preparation', preparationId: 'p1', owner: 'me' }])).size).toBe(1);
});

test('two aggregators settle each sweep once', async () => {
  const sweeps = ['a', 'b', 'c', 'd', 'e'];
  for (const sweepId of sweeps) await putResults(await putSweep(store, sweepId));
  const events: FleetEvent[] = [];
  await fleet.subscribe((event) => events.push(event));
  await Promise.all([aggregate(100), aggregate(100)]);
  for (const sweepId of sweeps) await untilSettled(sweepId);
  await eventually(() => expect(events.filter(({ type }) => type === 'sweep-settled')).toHaveLength(sweeps.length));
});

test('while Redis is gone sweeps are settled all the same', async () => {
  const own = await startRedis();
  config = { ...config, redisUrl: own.url };
  await aggregate();
  await own.stop();
  await putResults(await putSweep(store, 'sweep-1'));
  expect((await untilSettled('sweep-1')).status).toBe('completed');
  await own.close();
});

test('a sweep whose record is damaged keeps no other from being settled', async () => {
  await store.put(keys.sweep('a-damaged'), Buffer.from('{'));
  await putResults(await putSweep(store, 'b-sound'));
  await aggregate();
  await untilSettled('b-sound');
});

test('the process settles, ends with 0 on SIGTERM, and says in one sentence what it lacks', async () => {
  const main = resolve(import.meta.dirname, '../../dist/apps/aggregator/main.js');
  const start = (changes: Record<string, string> = {}) => {
    const child = spawn(process.execPath, [main], { env: { PATH: process.env.PATH, ...environment, ...changes } });
    processes.push(child);
    return child;
  };
  const written = await putSweep(store, 'sweep-1');
  await putResults(written);
  const child = start();
  await untilSettled('sweep-1');
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await gone).toEqual([0, null]);

  const failing = start({ REDIS_URL: 'redis://127.0.0.1:1' });
  let errors = '';
  failing.stderr?.on('data', (chunk) => {
    errors += chunk;
  });
  expect(await once(failing, 'close')).toEqual([1, null]);
  expect(errors).toMatch(/^semdistill aggregator: Redis does not answer at redis:\/\/127\.0\.0\.1:1 .*\n$/);
});

test('a trial asked for again before the sweep was settled is waited for', async () => {
  const written = await putSweep(store, 'sweep-1');
  const [first, second] = [...written.specs] as [[string, never], [string, never]];
  await putResult(store, ...first);
  await aggregate(100);
  await eventually(async () => expect((await fleet.known(written.jobs)).size).toBe(1));
  await store.delete(keys.trialResult(first[0]));
  await putResult(store, ...second);
  await fleet.publish({ type: 'trial-ended', trialId: second[0], status: 'completed' });
  await putResult(store, ...first);
  await untilSettled('sweep-1');
  expect(await findJson<TrialResult>(store, keys.trialResult(first[0]))).toMatchObject({ status: 'completed' });
});

test('a settled sweep tried again is settled anew, with a report of its own, and the first stays', async () => {
  const written = await putSweep(store, 'sweep-1');
  const [first, second] = [...written.specs] as [[string, never], [string, never]];
  await putResult(store, ...first);
  await putResult(store, ...second, 'The loss is not a number.');
  await aggregate(100);
  expect(await untilSettled('sweep-1')).toMatchObject({ status: 'completed_with_failures' });

  await putJson(store, keys.trialRetry(second[0], 1), {});
  await putJson(store, keys.sweep('sweep-1', 2), { ...written.sweep, version: 2 });
  await eventually(async () => expect((await fleet.known(written.jobs)).size).toBe(1));
  await putResult(store, ...second, undefined, 1);
  const again = await eventually(
    async () => (await findJson<SettledRecord>(store, keys.sweepSettled('sweep-1', 2))) ?? expect.fail('not yet'),
  );
  expect(again).toMatchObject({ version: 2, status: 'completed', counts: { completed: 2, failed: 0, cancelled: 0 } });
  expect(again.reportFiles.every(({ key }) => key.startsWith('sweeps/sweep-1/versions/2/report/'))).toBe(true);
  expect(await settled('sweep-1')).toMatchObject({ status: 'completed_with_failures' });
});

test('paused trials keep their sweep open and have no jobs', async () => {
  const written = await putSweep(store, 'sweep-1', { perBundle: 1 });
  const [first, second] = [...written.specs] as [[string, never], [string, never]];
  await putJson(store, keys.trialPaused(first[0]), {});
  await aggregate(100);
  await eventually(async () =>
    expect(await fleet.known(written.jobs)).toEqual(new Set([jobIdOf(written.jobs[1] as never)])),
  );
  await putResult(store, ...second);
  await fleet.publish({ type: 'trial-ended', trialId: second[0], status: 'completed' });
  await store.delete(keys.trialPaused(first[0]));
  // The other's job, whose trial is done, may be withdrawn meanwhile.
  await eventually(async () => expect(await fleet.known(written.jobs)).toContain(jobIdOf(written.jobs[0] as never)));
  expect(await settled('sweep-1')).toBeUndefined();
});
