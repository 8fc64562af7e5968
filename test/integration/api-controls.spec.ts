// Cancel, pause, resume, retry and extend over HTTP: what they write, what they refuse, and which jobs they leave.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SweepRecord, TrialResult } from '#experiment';
import { findJson, keys, putJson } from '#storage';
import { putResult, putTeacher, settle } from './api-records.js';
import { type ApiServer, startTestApi } from './api-server.js';

let api: ApiServer;
let epochs = 0;
let request: { teacher: string; vary: { temperature: number[] }; seeds: number; base: object };

beforeAll(async () => {
  api = await startTestApi();
  await putTeacher(api.store, 'tutor');
});
afterAll(() => api.close());
beforeEach(() => {
  epochs += 1;
  request = { teacher: 'tutor', vary: { temperature: [1, 4] }, seeds: 1, base: { epochs } };
});

const act = (path: string) => api.request(`/v1/${path}`, { method: 'POST' });
const view = async (sweepId: string) => (await api.get(`/v1/sweeps/${sweepId}`)).body;
const statusOf = async (trialId: string) => (await api.get(`/v1/trials/${trialId}`)).body.status;
const waiting = async () => (await api.fleet.counts()).waiting;

async function submit(body: object = request): Promise<{ sweepId: string; trialIds: string[] }> {
  const answer = await api.post('/v1/sweeps', body);
  expect(answer.status).toBe(202);
  return {
    sweepId: answer.body.sweepId,
    trialIds: answer.body.trials.map((trial: { trialId: string }) => trial.trialId),
  };
}

async function putFailure(trialId: string, retry = 0): Promise<void> {
  const result: TrialResult = {
    trialId,
    status: 'failed',
    failure: { reason: 'The loss is not a number.' },
    ...(retry > 0 ? { retry } : {}),
    fence: '1-00000000',
    worker: 'w',
    bundleTrialIds: [trialId],
    artifacts: [],
    startedAt: new Date().toISOString(),
    finishedAt: new Date().toISOString(),
  };
  await putJson(api.store, keys.trialResult(trialId, retry), result);
}

describe('pausing', () => {
  it('a sweep takes its waiting jobs out at once; resuming puts them back', async () => {
    const before = await waiting();
    const { sweepId, trialIds } = await submit();
    expect(await waiting()).toBe(before + 1);
    const paused = await act(`sweeps/${sweepId}/pause`);
    expect(paused).toMatchObject({ status: 202, body: { status: 'paused', counts: { paused: trialIds.length } } });
    expect(await waiting()).toBe(before);
    expect((await act(`sweeps/${sweepId}/pause`)).status).toBe(202);
    const resumed = await act(`sweeps/${sweepId}/resume`);
    expect(resumed.body).toMatchObject({ status: 'queued', counts: { paused: 0, queued: trialIds.length } });
    expect(await waiting()).toBe(before + 1);
    expect(await api.store.head(keys.controls())).toBeDefined();
  });

  it('leaves alone what another open sweep asks for, and a new sweep wakes what it asks for', async () => {
    const first = await submit();
    await submit({ ...request, vary: { temperature: [4] }, reference: false, baseline: false });
    const paused = await act(`sweeps/${first.sweepId}/pause`);
    expect(paused.body).toMatchObject({ status: 'paused', counts: { queued: 1, paused: first.trialIds.length - 1 } });
    await submit();
    expect((await view(first.sweepId)).counts).toMatchObject({ queued: first.trialIds.length, paused: 0 });
  });

  it('one trial, and with all of them the sweep, shows as paused', async () => {
    const { sweepId, trialIds } = await submit();
    for (const trialId of trialIds) expect((await act(`trials/${trialId}/pause`)).body.status).toBe('paused');
    expect((await view(sweepId)).status).toBe('paused');
    expect((await act(`trials/${trialIds[0]}/resume`)).body.status).toBe('queued');
    expect((await view(sweepId)).status).toBe('running');
    expect((await api.get(`/v1/trials?status=paused&sweep=${sweepId}`)).body.items).toHaveLength(trialIds.length - 1);
  });

  it('is refused for what has ended, is cancelled, or is not there', async () => {
    const { sweepId, trialIds } = await submit();
    await putResult(api.store, trialIds[0] ?? '');
    expect((await act(`trials/${trialIds[0]}/pause`)).body.detail).toContain('ended already (completed)');
    await act(`trials/${trialIds[1]}/cancel`);
    expect((await act(`trials/${trialIds[1]}/pause`)).body.detail).toContain('cancelled');
    expect((await act(`trials/${trialIds[1]}/resume`)).status).toBe(409);
    await settle(api.store, sweepId);
    expect((await act(`sweeps/${sweepId}/pause`)).status).toBe(409);
    expect((await act(`sweeps/${sweepId}/resume`)).status).toBe(409);
    for (const action of ['cancel', 'pause', 'resume', 'retry']) {
      expect((await act(`sweeps/nowhere/${action}`)).status).toBe(404);
      expect((await act(`trials/..%2Fnowhere/${action}`)).status).toBe(404);
    }
  });
});

describe('retrying', () => {
  it('a failed trial of an open sweep queues it again, without touching the first result', async () => {
    const { sweepId, trialIds } = await submit();
    const [failed = ''] = trialIds;
    await putFailure(failed);
    expect(await statusOf(failed)).toBe('failed');
    expect((await act(`trials/${failed}/retry`)).body.status).toBe('queued');
    expect(await findJson(api.store, keys.trialResult(failed))).toMatchObject({ status: 'failed' });
    await putFailure(failed, 1);
    expect((await act(`sweeps/${sweepId}/retry`)).status).toBe(202);
    expect(await statusOf(failed)).toBe('queued');
    expect(await api.store.head(keys.trialRetry(failed, 2))).toBeDefined();
    expect((await view(sweepId)).version).toBeUndefined();
    expect((await act(`trials/${failed}/retry`)).status).toBe(409);
  });

  it('a settled sweep makes its next version, which has not ended', async () => {
    const { sweepId, trialIds } = await submit();
    await putFailure(trialIds[0] ?? '');
    for (const trialId of trialIds.slice(1)) await putResult(api.store, trialId);
    await settle(api.store, sweepId);
    const again = await act(`sweeps/${sweepId}/retry`);
    expect(again.body).toMatchObject({ version: 2, status: 'running', reportFiles: [] });
    expect(again.body.settledAt).toBeUndefined();
    expect((await api.get(`/v1/sweeps/${sweepId}/report.json`)).status).toBe(409);
    expect((await act(`sweeps/${sweepId}/retry`)).status).toBe(409);
  });

  it('a single trial whose sweeps are all settled opens the newest of them', async () => {
    const { sweepId, trialIds } = await submit();
    const [first = ''] = trialIds;
    await act(`trials/${first}/cancel`);
    for (const trialId of trialIds.slice(1)) await putResult(api.store, trialId);
    await settle(api.store, sweepId);
    expect((await act(`trials/${first}/retry`)).body.status).toBe('queued');
    expect(await view(sweepId)).toMatchObject({ version: 2, status: 'running' });
  });

  it('happens by itself for a failed trial that a new sweep asks for', async () => {
    const { trialIds } = await submit();
    await putFailure(trialIds[0] ?? '');
    const again = await api.post('/v1/sweeps', request);
    expect(again.body.reused).toBe(0);
    expect(await statusOf(trialIds[0] ?? '')).toBe('queued');
  });

  it('of two at once makes one retry', async () => {
    const { sweepId, trialIds } = await submit();
    await putFailure(trialIds[0] ?? '');
    await Promise.all([1, 2, 3, 4].map(() => act(`sweeps/${sweepId}/retry`)));
    expect(await api.store.head(keys.trialRetry(trialIds[0] ?? '', 1))).toBeDefined();
    expect(await api.store.head(keys.trialRetry(trialIds[0] ?? '', 2))).toBeUndefined();
  });

  it('of a cancelled sweep waits for its end, then trains all of it', async () => {
    const { sweepId, trialIds } = await submit();
    await act(`sweeps/${sweepId}/cancel`);
    expect((await act(`sweeps/${sweepId}/retry`)).body.detail).toContain('being cancelled');
    await settle(api.store, sweepId, 'cancelled');
    const again = await act(`sweeps/${sweepId}/retry`);
    expect(again.body).toMatchObject({ version: 2, status: 'queued', counts: { queued: trialIds.length } });
  });
});

describe('extending', () => {
  it('plans without storing, then adds what is new and keeps id, trials and bundles', async () => {
    const { sweepId, trialIds } = await submit();
    await putResult(api.store, trialIds[0] ?? '');
    const before = await api.stored();
    const body = { seeds: 1, vary: { temperature: [8] } };
    const plan = await api.post(`/v1/sweeps/${sweepId}/extend?dryRun=true`, body);
    expect(plan).toMatchObject({ status: 200, body: { status: 'planned', reused: 1 } });
    expect(await api.stored()).toEqual(before);
    const first = await findJson<SweepRecord>(api.store, keys.sweep(sweepId));

    const extended = await api.post(`/v1/sweeps/${sweepId}/extend`, body);
    expect(extended).toMatchObject({ status: 202, body: { sweepId, version: 2, reused: 1 } });
    expect(extended.body.trials).toEqual(plan.body.trials);
    const ids = extended.body.trials.map((trial: { trialId: string }) => trial.trialId);
    expect(ids).toEqual(expect.arrayContaining(trialIds));
    const record = await findJson<SweepRecord>(api.store, keys.sweep(sweepId, 2));
    expect(record?.bundles.slice(0, first?.bundles.length)).toEqual(first?.bundles);
    expect(record?.bundles.flat().sort()).toEqual([...ids].sort());
    expect((await view(sweepId)).trials).toHaveLength(ids.length);
    // The same again is there already.
    const same = await api.post(`/v1/sweeps/${sweepId}/extend`, { seeds: [2], vary: { temperature: [8] } });
    expect(same.body).toMatchObject({ version: 2 });
    expect(await api.store.head(keys.sweep(sweepId, 3))).toBeUndefined();
  });

  it('equals the sweep asked for at once, trial by trial', async () => {
    const small = await submit();
    const extended = await api.post(`/v1/sweeps/${small.sweepId}/extend`, { seeds: 2, vary: { temperature: [2] } });
    const whole = await submit({ ...request, vary: { temperature: [1, 4, 2] }, seeds: 3 });
    expect(extended.body.trials.map((trial: { trialId: string }) => trial.trialId)).toEqual(whole.trialIds);
  });

  it('is refused with every fault named', async () => {
    const { sweepId } = await submit();
    const odd = await api.post(`/v1/sweeps/${sweepId}/extend`, { seeds: 0, vary: { temperature: [-1] }, more: 1 });
    expect(odd.status).toBe(400);
    expect(odd.body.errors.map(({ path }: { path: string }) => path).sort()).toEqual([
      'more',
      'seeds',
      'vary.temperature[0]',
    ]);
    const other = await api.post(`/v1/sweeps/${sweepId}/extend`, { vary: { studentLayers: [1] } });
    expect(other.body.detail).toContain('this sweep varies temperature');
    await act(`sweeps/${sweepId}/pause`);
    expect((await api.post(`/v1/sweeps/${sweepId}/extend`, { seeds: 1 })).body.detail).toContain('resume it first');
    const { body } = await api.post('/v1/distillations', { teacher: 'tutor', epochs });
    expect((await api.post(`/v1/sweeps/${body.sweepId}/extend`, { seeds: 1 })).status).toBe(409);
    expect((await api.post('/v1/sweeps/nowhere/extend', { seeds: 1 })).status).toBe(404);
  });
});

describe('workers', () => {
  it('that are not known cannot be drained', async () => {
    const answer = await act('workers/nobody/drain');
    expect(answer).toMatchObject({ status: 404 });
    expect(answer.body.detail).toContain('There is no worker "nobody"');
  });
});
