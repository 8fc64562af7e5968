// Random searches, costs, and trials that their sweep has pruned, as the API plans, shows, keeps and opens them again.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundleIdOf, type SweepRecord, type TrialResult } from '#experiment';
import { findJson, keys, putJson } from '#storage';
import { EPOCH, putFile, putResult, putTeacher, settle } from './api-records.js';
import { type ApiServer, startTestApi } from './api-server.js';

let api: ApiServer;
let epochs = 0;

beforeAll(async () => {
  api = await startTestApi();
  await putTeacher(api.store, 'tutor');
});
afterAll(() => api.close());
beforeEach(() => {
  epochs += 1;
});

const request = (more: object = {}) => ({
  teacher: 'tutor',
  base: { epochs },
  vary: { temperature: [1, 4] },
  seeds: 2,
  trialsPerBundle: 1,
  ...more,
});

async function submit(body: object): Promise<{ sweepId: string; trialIds: string[] }> {
  const answer = await api.post('/v1/sweeps', body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(202);
  return {
    sweepId: answer.body.sweepId,
    trialIds: answer.body.trials.map(({ trialId }: { trialId: string }) => trialId),
  };
}

async function putPruned(sweepId: string, trialId: string, cause: 'budget' | 'early-stopping'): Promise<void> {
  const name = 'final_student_model.safetensors';
  const file = { key: keys.trialArtifact(trialId, '1-a', name), name, text: `half of ${trialId}` };
  const now = new Date().toISOString();
  const had = cause === 'budget' ? {} : { epochs: [EPOCH], bestLoss: 3.2, bestEpoch: 1, step: 7, trainingSeconds: 1 };
  const result: TrialResult = {
    trialId,
    status: 'pruned',
    pruned: { sweepId, cause, reason: `because of ${cause}`, ...had },
    fence: '1-a',
    worker: cause === 'budget' ? '' : 'worker-1',
    bundleTrialIds: [trialId],
    artifacts: cause === 'budget' ? [] : [await putFile(api.store, file)],
    startedAt: now,
    finishedAt: now,
  };
  await putJson(api.store, keys.trialPruned(trialId, sweepId), result);
}

const view = async (path: string) => (await api.get(`/v1/${path}`)).body;

describe('a random search', () => {
  const space = { learningRate: { logUniform: [1e-5, 1e-2] }, studentLayers: [1, 2] };

  it('is planned the same each time, with what it will take, and carried out as planned', async () => {
    const { vary: _vary, ...rest } = request({ trials: 4, space, searchSeed: 7, baseline: false });
    const plan = await api.post('/v1/sweeps?dryRun=true', rest);
    expect(plan.status, JSON.stringify(plan.body)).toBe(200);
    expect(plan.body.trials).toHaveLength(8);
    expect(plan.body.estimate).toMatchObject({ workers: 0, source: 'stated-rate' });
    expect(plan.body.estimate.deviceSeconds).toBeGreaterThan(0);
    expect((await api.post('/v1/sweeps?dryRun=true', rest)).body).toEqual(plan.body);
    const { sweepId, trialIds } = await submit(rest);
    expect(trialIds).toEqual(plan.body.trials.map(({ trialId }: { trialId: string }) => trialId));
    expect((await view(`sweeps/${sweepId}`)).estimate).toEqual(plan.body.estimate);

    const extended = await api.post(`/v1/sweeps/${sweepId}/extend`, { trials: 2 });
    const ids = extended.body.trials.map(({ trialId }: { trialId: string }) => trialId);
    expect(ids.slice(0, 8)).toEqual(trialIds);
    expect(ids).toHaveLength(12);
    expect(extended.body.estimate.deviceSeconds).toBeGreaterThan(plan.body.estimate.deviceSeconds);
  });

  it('costs nothing for what is trained already', async () => {
    const body = request({ seeds: 1, baseline: false });
    const { trialIds } = await submit(body);
    for (const trialId of trialIds) await putResult(api.store, trialId);
    const plan = await api.post('/v1/sweeps?dryRun=true', body);
    expect(plan.body).toMatchObject({ reused: trialIds.length, estimate: { deviceSeconds: 0 } });
  });
});

describe('a pruned trial', () => {
  it('is shown as such, with what it had, in its sweep and by itself; for another sweep it is open', async () => {
    const body = request({ earlyStopping: { graceEpochs: 1 }, baseline: false });
    const { sweepId, trialIds } = await submit(body);
    const [first, last] = [trialIds[0] as string, trialIds.at(-1) as string];
    await putResult(api.store, first);
    await putPruned(sweepId, last, 'early-stopping');
    const sweep = await view(`sweeps/${sweepId}`);
    expect(sweep.counts).toMatchObject({ completed: 1, pruned: 1, queued: 2 });
    const pruned = {
      status: 'pruned',
      pruned: { cause: 'early-stopping', reason: 'because of early-stopping', step: 7 },
    };
    expect(sweep.trials.at(-1)).toMatchObject(pruned);
    expect(await view(`trials/${last}`)).toMatchObject({ ...pruned, artifacts: [{ size: expect.any(Number) }] });
    expect((await view(`trials/${last}/metrics`)).epochs).toEqual([EPOCH]);
    const listed = await view(`trials?sweep=${sweepId}&status=pruned`);
    expect(listed.items.map(({ trialId }: { trialId: string }) => trialId)).toEqual([last]);
    const retried = await api.request(`/v1/trials/${last}/retry`, { method: 'POST' });
    expect(retried.body.detail).toContain('is pruned; only a failed or cancelled trial');

    const other = await submit(request({ baseline: false }));
    expect(other.trialIds).toEqual(trialIds);
    expect((await view(`sweeps/${other.sweepId}`)).counts).toMatchObject({ completed: 1, pruned: 0, queued: 3 });
    // What becomes of it there changes nothing here.
    await putResult(api.store, last);
    expect((await view(`sweeps/${sweepId}`)).counts).toMatchObject({ completed: 1, pruned: 1 });
    expect((await view(`sweeps/${other.sweepId}`)).counts).toMatchObject({ completed: 2, pruned: 0 });
    expect(await view(`trials/${last}`)).toMatchObject({ status: 'completed' });
  });

  it('stays pruned when its sweep is tried again', async () => {
    const { sweepId, trialIds } = await submit(request({ earlyStopping: { graceEpochs: 1 }, baseline: false }));
    const [failed, pruned, ...others] = trialIds as [string, string, ...string[]];
    await putResult(api.store, failed, 'failed');
    await putPruned(sweepId, pruned, 'early-stopping');
    for (const trialId of others) await putResult(api.store, trialId);
    await settle(api.store, sweepId, 'completed_with_failures');
    const again = await api.request(`/v1/sweeps/${sweepId}/retry`, { method: 'POST' });
    expect(again.body).toMatchObject({ version: 2, counts: { queued: 1, pruned: 1, completed: 2 } });
  });

  it('for want of budget is open again when the sweep is given more, and only then', async () => {
    const { sweepId, trialIds } = await submit(request({ budget: 2, baseline: false, earlyStopping: {} }));
    const [done, stopped, ...unpaid] = trialIds as [string, string, ...string[]];
    await putResult(api.store, done);
    await putPruned(sweepId, stopped, 'early-stopping');
    for (const trialId of unpaid) await putPruned(sweepId, trialId, 'budget');
    await api.redis.command('FLUSHALL');
    await settle(api.store, sweepId, 'completed');
    const extended = await api.post(`/v1/sweeps/${sweepId}/extend`, { budget: 100 });
    expect(extended).toMatchObject({ status: 202, body: { version: 2 } });
    const record = await findJson<SweepRecord>(api.store, keys.sweep(sweepId, 2));
    expect(record?.request).toMatchObject({ budget: 102 });
    expect((await view(`sweeps/${sweepId}`)).counts).toMatchObject({ completed: 1, pruned: 1, queued: unpaid.length });
    const job = (trialId: string) => {
      const bundleId = bundleIdOf([trialId]);
      return { kind: 'bundle' as const, bundleId, sweepId, owner: '', trialIds: [trialId] };
    };
    expect((await api.fleet.known(trialIds.map(job))).size).toBe(unpaid.length);
  });

  it('a further budget needs one to add to', async () => {
    const { sweepId } = await submit(request());
    const refused = await api.post(`/v1/sweeps/${sweepId}/extend`, { budget: 5, trials: 2 });
    expect(refused.status).toBe(400);
    expect(refused.body.errors.map(({ path }: { path: string }) => path).sort()).toEqual(['budget', 'trials']);
  });
});
