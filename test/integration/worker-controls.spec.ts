// Pause and resume of running trials, with the API and workers as processes with the real trainer: what stops leaves a
// checkpoint and the device, what goes on ends with the bytes of an undisturbed run.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findJson, hasTrialEnded, keys, putJson, readTrialState } from '#storage';
import { type RunningApi, startApi } from '../../apps/api/start-api.js';
import { eventually, filesOf, RealFleet, trainersOf } from '../support/real-fleet.js';

const EPOCHS = 40;

const real = RealFleet.forTests();
let api: RunningApi;

beforeEach(async () => {
  api = await startApi(real.config, () => {});
});
afterEach(() => api.close());

async function post(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const headers = { authorization: `Bearer ${real.config.apiKey}` };
  const response = await fetch(`${api.url}/v1/${path}`, { method: 'POST', headers });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const live = async (trialIds: string[]) => (await real.fleet.liveTrials(trialIds)).size;

test('a paused sweep frees the device within 5 s, and resumed goes on from there to the same bytes', async () => {
  const undisturbed = await real.undisturbed(EPOCHS);
  const { trialIds, bundleId } = await real.enqueue(EPOCHS);
  const worker = real.startWorker();
  const before = await real.storedStep(bundleId, 10);
  expect(await post('sweeps/sweep/pause')).toMatchObject({ status: 202, body: { status: 'paused' } });
  await eventually(() => expect(trainersOf(worker)).toEqual([]), 5_000);
  await eventually(async () => expect(await live(trialIds)).toBe(0));
  await eventually(async () => expect(await real.fleet.counts()).toEqual({ waiting: 0, active: 0 }));
  const left = await real.storedStep(bundleId, before);
  for (const trialId of trialIds) expect(hasTrialEnded(await readTrialState(real.store, trialId))).toBe(false);

  expect(await post('sweeps/sweep/resume')).toMatchObject({ status: 202 });
  const resumed = await real.results(trialIds);
  expect(resumed.map(filesOf)).toEqual(undisturbed.map(filesOf));
  expect(resumed[0]?.summary?.resumes?.map(({ step }) => step)).toEqual([left]);
  await real.nothingLeft();
});

test('one trial of a bundle paused: the other goes on to its bytes, later the paused one to its own', async () => {
  const undisturbed = await real.undisturbed(EPOCHS);
  const { trialIds, bundleId } = await real.enqueue(EPOCHS);
  const [waits, runs] = trialIds as [string, string];
  real.startWorker();
  await real.storedStep(bundleId, 10);
  expect(await post(`trials/${waits}/pause`)).toMatchObject({ status: 202, body: { status: 'paused' } });
  const [other] = await real.results([runs]);
  expect(other && filesOf(other)).toEqual(undisturbed[1] && filesOf(undisturbed[1]));
  expect(await findJson(real.store, keys.trialResult(waits))).toBeUndefined();

  expect(await post(`trials/${waits}/resume`)).toMatchObject({ status: 202 });
  const [own] = await real.results([waits]);
  expect(own && filesOf(own)).toEqual(undisturbed[0] && filesOf(undisturbed[0]));
  expect(own?.summary?.resumes?.[0]?.step).toBeGreaterThanOrEqual(10);
  await real.nothingLeft();
});

test('a paused trial resumed while its neighbour still runs is trained beside it', async () => {
  const { trialIds, bundleId } = await real.enqueue(400);
  const [first] = trialIds as [string, string];
  real.startWorker();
  await real.storedStep(bundleId, 10);
  await post(`trials/${first}/pause`);
  await eventually(() => expect(real.logs[0]).toContain(`trial ${first} is paused`));
  // Resumed before the neighbour goes on alone, both would go on together.
  await eventually(() => expect(real.logs[0]).toMatch(/: 1 trials, attempt /));
  await eventually(async () => expect(await live(trialIds)).toBe(1));
  const second = real.startWorker();
  await post(`trials/${first}/resume`);
  await eventually(() => expect(trainersOf(second)).toHaveLength(1));
  await eventually(() => expect(real.logs[1]).toMatch(/1 trials, attempt .*[\s\S]*goes on at step/));
  expect(trainersOf(real.workers[0] as never)).toHaveLength(1);
  await post('sweeps/sweep/cancel');
  await eventually(() => expect([...trainersOf(second), ...trainersOf(real.workers[0] as never)]).toEqual([]), 8_000);
});

test('with Redis wiped and silent the record alone stops a trial', async () => {
  const { trialIds, bundleId } = await real.enqueue(400);
  const worker = real.startWorker();
  await real.storedStep(bundleId, 5);
  await real.redis.stop('SIGKILL');
  for (const trialId of trialIds) await putJson(real.store, keys.trialPaused(trialId), {});
  await putJson(real.store, keys.controls(), { announcement: 'by hand' });
  await eventually(() => expect(trainersOf(worker)).toEqual([]), 8_000);
  await real.redis.start();
});
