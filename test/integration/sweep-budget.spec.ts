// A sweep kept to its budget: by the aggregator and by a worker that is to begin something, from the record alone; and let go on
// when it is given more.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Config, readConfig } from '#config';
import { bundleIdOf, type SettledRecord, type TrialResult } from '#experiment';
import { openFleet, type RedisFleet } from '#queue';
import { findJson, keys, type ObjectStore, openStore, putJson } from '#storage';
import { startAggregator } from '../../apps/aggregator/start-aggregator.js';
import { SweepRules } from '../../apps/worker/sweep-rules.js';
import { putResult, putSweep, putTeacherAndCorpus, type WrittenSweep } from '../support/fleet-records.js';
import { type RedisServer, startRedis } from '../support/redis.js';

let redis: RedisServer;
let folder: string;
let config: Config;
let store: ObjectStore;
let fleet: RedisFleet;
let aggregator: INestApplicationContext | undefined;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

beforeEach(async () => {
  await redis.command('FLUSHALL');
  folder = await mkdtemp(join(tmpdir(), 'semdistill-budget-'));
  const place = { SEMDISTILL_STORE: join(folder, 'store'), SEMDISTILL_CACHE: join(folder, 'cache') };
  config = readConfig({ REDIS_URL: redis.url, SEMDISTILL_LOG: 'error', ...place });
  store = await openStore(config.store);
  await putTeacherAndCorpus(store);
  fleet = openFleet(config);
  aggregator = undefined;
});

afterEach(async () => {
  await aggregator?.close();
  await fleet.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

/** Four trials in bundles of one; a result says 3 s each. */
function budgeted(budget: number): Promise<WrittenSweep> {
  return putSweep(store, 'sweep-1', { temperatures: [1, 2, 4, 8], perBundle: 1, request: { budget } });
}

const prunedOf = (trialId: string) => findJson<TrialResult>(store, keys.trialPruned(trialId, 'sweep-1'));
const settled = () => findJson<SettledRecord>(store, keys.sweepSettled('sweep-1'));
const untilSettled = () =>
  vi.waitFor(async () => (await settled()) ?? expect.fail('not settled yet'), { timeout: 60_000, interval: 25 });

test('when the budget is spent, what nobody has begun ends as pruned, with the reason; the rest is waited for', async () => {
  const { specs, jobs } = await budgeted(5);
  await fleet.enqueue(jobs);
  const [first, second, running, waiting] = [...specs] as [string, never][];
  await putResult(store, ...(first as [string, never]));
  await putResult(store, ...(second as [string, never]));
  const [runs, waits] = [running?.[0] as string, waiting?.[0] as string];
  await putJson(store, keys.bundleStart(bundleIdOf([runs]), '0-1', '1-a'), { worker: 'w', startedAt: '' });
  aggregator = await startAggregator(config, { lookEveryMs: 100 });
  const pruned = await vi.waitFor(async () => (await prunedOf(waits)) ?? expect.fail('not pruned yet'));
  expect(pruned.pruned).toMatchObject({ cause: 'budget' });
  expect(pruned.pruned?.reason).toBe(
    'Not begun: the sweep has spent 6 of its budget of 5 device-seconds; extend it by a further budget to train the rest.',
  );
  // Its job goes; that of the one at work stays.
  await vi.waitFor(async () => expect((await fleet.known(jobs)).size).toBeLessThan(4));
  expect(await prunedOf(runs)).toBeUndefined();
  expect(await settled()).toBeUndefined();
  await putResult(store, ...(running as [string, never]));
  const record = await untilSettled();
  expect(record).toMatchObject({
    status: 'completed',
    counts: { completed: 3, failed: 0, cancelled: 0, pruned: 1 },
  });
  const report = JSON.parse((await store.get(keys.sweepReport('sweep-1', 'report.json'))).toString());
  expect(report.counts).toEqual({ trials: 4, completed: 3, failed: 0, pruned: 1, missing: 0 });
  expect(report.pruned).toMatchObject([{ trialId: waits, cause: 'budget', label: 'T=8' }]);
  expect((await store.get(keys.sweepReport('sweep-1', 'report.md'))).toString()).toContain('## Pruned trials');
});

test('a budget that is not spent keeps nobody from anything', async () => {
  const { specs } = await budgeted(7);
  for (const [trialId, spec] of [...specs].slice(0, 2)) await putResult(store, trialId, spec);
  const rules = await SweepRules.read(store, 'sweep-1');
  const waits = [...specs.keys()][3] as string;
  expect(await rules?.pruneUnaffordable(bundleIdOf([waits]), [waits])).toEqual([]);
});

test('a worker that is to begin a bundle looks at the record itself, and goes on with what was begun', async () => {
  const { specs } = await budgeted(5);
  for (const [trialId, spec] of [...specs].slice(0, 2)) await putResult(store, trialId, spec);
  const rules = await SweepRules.read(store, 'sweep-1');
  const [begun, waits] = [...specs.keys()].slice(2) as [string, string];
  await putJson(store, keys.bundleCheckpoint(bundleIdOf([begun]), '1-a'), {
    manifest: { trialIds: [begun], state: { seconds: 2 } },
  });
  expect(await rules?.pruneUnaffordable(bundleIdOf([begun]), [begun])).toEqual([]);
  expect(await rules?.pruneUnaffordable(bundleIdOf([waits]), [waits])).toEqual([waits]);
  // What runs is paid for as well: 3 + 3 of results, 2 of the checkpoint.
  expect((await prunedOf(waits))?.pruned?.reason).toContain('has spent 8 of its budget of 5');
});

test('what runs alone may spend a budget', async () => {
  const { specs } = await budgeted(5);
  const [begun, waits] = [...specs.keys()] as [string, string];
  await putJson(store, keys.bundleCheckpoint(bundleIdOf([begun]), '1-a'), {
    manifest: { trialIds: [begun], state: { seconds: 6 } },
  });
  const rules = await SweepRules.read(store, 'sweep-1');
  expect(await rules?.pruneUnaffordable(bundleIdOf([waits]), [waits])).toEqual([waits]);
});
