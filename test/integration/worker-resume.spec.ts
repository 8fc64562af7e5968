// Workers with the real trainer against a real Redis and a directory store: killed and stopped in all ways, a bundle goes on from
// its stored checkpoint and ends with the files of an undisturbed run.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { TrialResult } from '#experiment';
import { findJson, keys, putJson } from '#storage';
import { eventually, filesOf, logKeyOf, RealFleet } from '../support/real-fleet.js';

/** Of 3 steps each: long enough to be killed three times on the way. */
const EPOCHS = 40;

let real: RealFleet;

beforeAll(async () => {
  real = await RealFleet.open();
});
afterAll(() => real.close());
beforeEach(() => real.reset());
afterEach(() => real.clear());

test.skipIf(process.platform !== 'linux')(
  'trainer killed, worker stopped, worker killed: each time the bundle goes on from its checkpoint, to the same bytes',
  async () => {
    const undisturbed = await real.undisturbed(EPOCHS);

    const { trialIds, bundleId } = await real.enqueue(EPOCHS);
    const first = real.startWorker();
    const one = await real.storedStep(bundleId, 10);
    process.kill(await real.trainerOf(first), 'SIGKILL');
    const two = await real.storedStep(bundleId, one + 10);
    expect(await real.end(first, 'SIGTERM')).toBe(0);
    const left = await real.storedStep(bundleId, two);
    const second = real.startWorker();
    await real.storedStep(bundleId, left + 10);
    await real.end(second, 'SIGKILL');
    real.startWorker();
    const resumed = await real.results(trialIds);

    expect(resumed.map(filesOf)).toEqual(undisturbed.map(filesOf));
    const { summary } = resumed[0] as TrialResult;
    const steps = summary?.resumes?.map(({ step }) => step) ?? [];
    expect(steps).toHaveLength(3);
    expect(steps[0]).toBeGreaterThanOrEqual(one);
    expect(steps[1]).toBe(left);
    expect(steps[2]).toBeGreaterThanOrEqual(left + 10);
    expect(summary?.epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: EPOCHS }, (_, i) => i + 1));
    const log = (await real.store.get(logKeyOf(resumed[0] as TrialResult))).toString();
    expect(log).toContain(`resumed at step ${steps[2]}`);
    await real.nothingLeft();
  },
);

test('a trial cancelled while nobody works is not trained on, and its neighbour gets its own bytes', async () => {
  const { trialIds, bundleId } = await real.enqueue(12);
  const [gone, kept] = trialIds as [string, string];
  const first = real.startWorker();
  await real.storedStep(bundleId, 5);
  await real.end(first, 'SIGTERM');
  await putJson(real.store, keys.trialCancelled(gone), {});
  real.startWorker();
  const [result] = await real.results([kept]);
  expect(result?.bundleTrialIds).toEqual(trialIds);
  expect(result?.summary?.resumes).toHaveLength(1);
  expect(await findJson(real.store, keys.trialResult(gone))).toBeUndefined();
  await real.nothingLeft();
});

test('a stored checkpoint that is not whole any more is said and passed over', async () => {
  const { trialIds, bundleId } = await real.enqueue(12);
  const first = real.startWorker();
  await real.storedStep(bundleId, 5);
  await real.end(first, 'SIGTERM');
  const { objects } = await real.store.list(`bundles/${bundleId}/attempts/`);
  for (const { key } of objects) if (key.includes('/step-')) await real.store.delete(key);
  real.startWorker();
  const [result] = await real.results(trialIds);
  expect(result?.status).toBe('completed');
  expect(result?.summary?.resumes).toBeUndefined();
  await eventually(() => expect(real.logs.at(-1)).toContain('is not used'));
});
