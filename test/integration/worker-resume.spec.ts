// Workers with the real trainer against a real Redis and a directory store: killed and stopped in all ways, a bundle goes on from
// its stored checkpoint and ends with the files of an undisturbed run.
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { TrialResult } from '#experiment';
import { findJson, keys, putJson } from '#storage';
import { listBundle } from '../../apps/worker/stored-checkpoints.js';
import { childrenOf, eventually, filesOf, logKeyOf, RealFleet, trainersOf } from '../support/real-fleet.js';

/** Of 3 steps each: long enough to be killed three times on the way. */
const EPOCHS = 40;

const real = RealFleet.forTests();

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

test.skipIf(process.platform !== 'linux')(
  'the next trainer waits with everything loaded, takes one job and is replaced',
  async () => {
    const { trialIds } = await real.enqueue(2);
    const worker = real.startWorker();
    await real.results(trialIds);
    await eventually(async () => expect(await real.fleet.counts()).toEqual({ waiting: 0, active: 0 }));
    const [waiting = 0] = await eventually(() => {
      const found = childrenOf(worker);
      expect(found).toHaveLength(1);
      return found;
    });
    const more = await real.enqueue(400);
    await eventually(() => expect(trainersOf(worker)).toEqual([waiting]));
    await eventually(() => expect(childrenOf(worker)).toHaveLength(2));
    await real.storedStep(more.bundleId, 2);
    expect(await real.end(worker, 'SIGTERM')).toBe(0);
    expect(existsSync(`/proc/${waiting}`)).toBe(false);
  },
);

test.skipIf(process.platform !== 'linux')(
  'a bundle above its share goes on in parts, which its record tells',
  async () => {
    const { trialIds, bundleId } = await real.enqueue(40);
    const small = real.startWorker({ memoryBytes: 20e6, times: { memoryMs: 100 } });
    await eventually(async () => expect((await listBundle(real.store, bundleId)).starts).toHaveLength(1));
    await eventually(() => expect(real.logs[0]).toContain('of memory, and its share is'));
    await real.end(small, 'SIGKILL');
    real.startWorker();
    const [result] = await real.results(trialIds);
    expect(result?.status).toBe('completed');
    expect(result?.summary?.microBatches?.[0]?.parts).toBeGreaterThanOrEqual(2);
  },
);

test.skipIf(process.platform !== 'linux')(
  'a worker frozen for long that wakes up overwrites nothing, says so, and takes nothing from its heir',
  async () => {
    const undisturbed = await real.undisturbed(EPOCHS);
    const { trialIds, bundleId } = await real.enqueue(EPOCHS);
    const frozen = real.startWorker();
    await real.storedStep(bundleId, 10);
    const trainer = await real.trainerOf(frozen);
    for (const pid of [trainer, frozen.pid as number]) process.kill(pid, 'SIGSTOP');
    const heir = real.startWorker();
    await eventually(() => expect(real.logs[1]).toContain('goes on at step'));
    const from = await real.storedStep(bundleId, 15);
    // It wakes in the middle of its heir's work, and the heir's own work is all that counts.
    for (const pid of [frozen.pid as number, trainer]) process.kill(pid, 'SIGCONT');
    await eventually(() => expect(real.logs[0]).toMatch(/another worker has job|has its result by another attempt/));
    await eventually(() => expect(trainersOf(frozen)).toEqual([]));
    await real.storedStep(bundleId, from).catch(() => {});
    const results = await real.results(trialIds);
    expect(results.map(({ worker }) => worker)).toEqual(['worker-2', 'worker-2']);
    expect(results.map(filesOf)).toEqual(undisturbed.map(filesOf));
    await real.nothingLeft();
    expect(await real.end(heir, 'SIGTERM')).toBe(0);
  },
);

test.skipIf(process.platform !== 'linux')(
  'a worker that wakes up when all is done leaves the results and nothing else',
  async () => {
    const { trialIds, bundleId } = await real.enqueue(30);
    const frozen = real.startWorker();
    await real.storedStep(bundleId, 10);
    const trainer = await real.trainerOf(frozen);
    for (const pid of [trainer, frozen.pid as number]) process.kill(pid, 'SIGSTOP');
    real.startWorker();
    const results = await real.results(trialIds);
    await real.nothingLeft();
    for (const pid of [frozen.pid as number, trainer]) process.kill(pid, 'SIGCONT');
    await eventually(() => expect(real.logs[0]).toContain('has its result by another attempt'));
    await eventually(() => expect(trainersOf(frozen)).toEqual([]));
    expect(await real.end(frozen, 'SIGTERM')).toBe(0);
    expect(await real.results(trialIds)).toEqual(results);
    for (const { trialId, artifacts } of results) {
      const { objects } = await real.store.list(`trials/${trialId}/attempts/`);
      expect(objects.map(({ key }) => key).sort()).toEqual(artifacts.map(({ key }) => key).sort());
    }
    await real.nothingLeft();
  },
);
