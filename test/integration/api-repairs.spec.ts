// POST /v1/repairs over a record and a queue that disagree in every way known: shown without a change, then mended.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FleetJob, jobIdOf } from '#queue';
import { keys, putJson } from '#storage';
import { putResult, putSweep, putTeacherAndCorpus } from '../support/fleet-records.js';
import { type ApiServer, startTestApi } from './api-server.js';

let api: ApiServer;

beforeAll(async () => {
  api = await startTestApi();
  await putTeacherAndCorpus(api.store);
});
afterAll(() => api.close());

interface Found {
  kind: string;
  subject: string;
  message: string;
  mended: boolean;
}

async function repair(query = ''): Promise<Found[]> {
  const answer = await api.request(`/v1/repairs${query}`, { method: 'POST' });
  expect(answer.status).toBe(200);
  expect(answer.body.found).toBe(answer.body.faults.length);
  return answer.body.faults;
}

const kindsOf = (faults: Found[]) => faults.map(({ kind, subject }) => [kind, subject]).sort();

test('a record and a queue that agree need no repair', async () => {
  const { jobs } = await putSweep(api.store, 'sound', { temperatures: [1] });
  await api.fleet.enqueue(jobs);
  expect(await repair()).toEqual([]);
});

test('every fault is found from the record alone, shown without a change, and mended', async () => {
  const { store, fleet, redis, config } = api;
  const missing = await putSweep(store, 'wiped', { temperatures: [2, 3] });
  const over = await putSweep(store, 'over', { temperatures: [4] });
  for (const [trialId, spec] of over.specs) await putResult(store, trialId, spec);
  await fleet.enqueue(over.jobs); // as an old backup of Redis would have it
  const paused = await putSweep(store, 'paused', { temperatures: [5] });
  await putJson(store, keys.sweepPaused('paused'), {});
  await fleet.enqueue(paused.jobs);
  const [stray] = paused.specs.keys();
  await putJson(store, keys.preparation('p1'), { preparationId: 'p1', owner: 'me', createdAt: 'now' });
  const [done] = over.specs.keys();
  await putJson(store, keys.bundleCheckpoint('left', 'a1'), { manifest: { trialIds: [done] }, keys: {} });
  await store.put(keys.bundleCheckpointFile('left', 'a1', 'step-1.safetensors'), Buffer.from('x'));
  await redis.command('SET', `${config.redisPrefix}:lease:settle:x`, 'somebody');
  await store.put(keys.sweep('torn'), Buffer.from('{'));
  const idOf = (job: FleetJob | undefined) => jobIdOf(job as FleetJob);
  const expected = [
    ['damaged-record', 'torn'],
    ['idle-job', idOf(over.jobs[0])],
    ['leftover-checkpoint', 'left'],
    ['missing-job', 'p1'],
    ['missing-job', idOf(missing.jobs[0]).replace('bundle-', '')],
    ['stuck-lease', 'settle:x'],
    ['unmarked-trial', stray],
    ['unsettled-sweep', 'over'],
  ].sort();

  const before = await api.stored();
  const counts = await fleet.counts();
  const shown = await repair('?dryRun=true');
  expect(kindsOf(shown)).toEqual(expected);
  expect(shown.some(({ mended }) => mended)).toBe(false);
  expect(await api.stored()).toEqual(before);
  expect(await fleet.counts()).toEqual(counts);

  const mended = await repair();
  expect(kindsOf(mended)).toEqual(expected);
  expect(mended.filter((one) => !one.mended).map(({ kind }) => kind)).toEqual(['damaged-record']);
  expect((await fleet.known(missing.jobs)).size).toBe(1);
  expect((await fleet.known(over.jobs)).size).toBe(0);
  expect(await store.head(keys.trialPaused(stray ?? ''))).toBeDefined();
  expect((await store.list('bundles/')).objects).toEqual([]);
  expect(await redis.command('EXISTS', `${config.redisPrefix}:lease:settle:x`)).toBe(0);
  // What is left takes a person, or the aggregator, which does not run here; the paused trial's job is idle now.
  const left = kindsOf(await repair());
  expect(left).toEqual(
    [
      ['damaged-record', 'torn'],
      ['idle-job', idOf(paused.jobs[0])],
      ['unsettled-sweep', 'over'],
    ].sort(),
  );
  expect(kindsOf(await repair())).toEqual([
    ['damaged-record', 'torn'],
    ['unsettled-sweep', 'over'],
  ]);
});

test('a job that counts as running and that no worker holds is put back', async () => {
  const { store, fleet, redis, config } = api;
  const { jobs } = await putSweep(store, 'lost', { temperatures: [9] });
  await fleet.enqueue(jobs);
  const id = jobIdOf(jobs[0] as FleetJob);
  const waits = `${config.redisPrefix}:bundles:prioritized`;
  expect(await redis.command('ZREM', waits, id)).toBe(1);
  await redis.command('LPUSH', `${config.redisPrefix}:bundles:active`, id);
  const faults = await repair();
  expect(kindsOf(faults)).toContainEqual(['lost-job', id]);
  expect(await redis.command('ZRANGE', waits, '0', '-1')).toContain(id);
});

test('without Redis the answer is 503, and an unknown parameter is refused by name', async () => {
  expect((await api.request('/v1/repairs?dry=1', { method: 'POST' })).body.errors[0].path).toBe('dry');
  await api.redis.stop();
  expect((await api.request('/v1/repairs', { method: 'POST' })).status).toBe(503);
  await api.redis.start();
});
