import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundleIdOf } from '#experiment';
import { keys } from '#storage';
import { putResult, putTeacher, settle } from './api-records.js';
import { type ApiServer, startTestApi } from './api-server.js';

let api: ApiServer;
let epochs = 0;
/** A sweep of two trials that no other test has asked for. */
let request: { teacher: string; vary: { distillWeight: number[] }; seeds: number; baseline: boolean; base: object };

beforeAll(async () => {
  api = await startTestApi();
  await putTeacher(api.store, 'tutor');
});
afterAll(() => api.close());
beforeEach(() => {
  epochs += 1;
  request = { teacher: 'tutor', vary: { distillWeight: [0.3, 0.6] }, seeds: 1, baseline: false, base: { epochs } };
});

const submit = (body: object, key?: string) => api.post('/v1/sweeps', body, key ? { 'Idempotency-Key': key } : {});
const cancel = (sweepId: string) => api.request(`/v1/sweeps/${sweepId}/cancel`, { method: 'POST' });
const trialIdsOf = (body: { trials: { trialId: string }[] }) => body.trials.map(({ trialId }) => trialId);

describe('an Idempotency-Key', () => {
  it('gives the same answer again, also when trials have ended in between', async () => {
    const first = await submit(request, 'one');
    await putResult(api.store, first.body.trials[0].trialId);
    const second = await submit(request, 'one');
    expect(second.status).toBe(202);
    expect({ ...second.body, status: first.body.status }).toEqual(first.body);
    // Order of fields in the body does not matter.
    const { teacher, ...rest } = request;
    expect((await submit({ ...rest, teacher }, 'one')).body.sweepId).toBe(first.body.sweepId);
  });

  it('used for another request is a conflict', async () => {
    await submit(request, 'two');
    const other = await submit({ ...request, seeds: 2 }, 'two');
    expect(other.status).toBe(409);
    expect(other.body.detail).toContain('Idempotency-Key');
    const kind = await api.post('/v1/distillations', { teacher: 'tutor' }, { 'Idempotency-Key': 'two' });
    expect(kind.status).toBe(409);
  });

  it('makes one sweep of many requests at once', async () => {
    const before = (await api.stored()).filter((key) => key.startsWith('sweeps/')).length;
    const answers = await Promise.all(Array.from({ length: 12 }, () => submit(request, 'at once')));
    // Header values may not hold spaces here: the key itself is at fault.
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 400));
    const good = await Promise.all(Array.from({ length: 12 }, () => submit(request, 'at-once')));
    for (const answer of good) expect(answer.body).toEqual(good[0]?.body);
    const after = (await api.stored()).filter((key) => key.startsWith('sweeps/')).length;
    expect(after).toBe(before + 1);
    const trialIds = trialIdsOf(good[0]?.body);
    const job = { kind: 'bundle' as const, bundleId: bundleIdOf(trialIds), sweepId: '', owner: '', trialIds };
    expect((await api.fleet.known([job])).size).toBe(1);
  });

  it('accepts exactly one of different requests at once', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map((seeds) => submit({ ...request, seeds }, 'race')));
    const accepted = answers.filter(({ status }) => status === 202);
    expect(accepted).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(3);
  });
});

describe('without an Idempotency-Key', () => {
  it('every request is a sweep of its own over the same trials', async () => {
    const [first, second] = await Promise.all([submit(request), submit(request)]);
    expect(second.body.sweepId).not.toBe(first.body.sweepId);
    expect(trialIdsOf(second.body)).toEqual(trialIdsOf(first.body));
  });
});

describe('cancelling', () => {
  it('marks the sweep and its trials, and tells the workers', async () => {
    const { body } = await submit(request);
    const answer = await cancel(body.sweepId);
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({ status: 'cancelled', counts: { cancelled: 2, queued: 0 } });
    for (const trialId of trialIdsOf(body)) {
      expect(await api.store.head(keys.trialCancelled(trialId))).toBeDefined();
      expect((await api.get(`/v1/trials/${trialId}`)).body.status).toBe('cancelled');
    }
    expect((await cancel(body.sweepId)).status).toBe(202);
  });

  it('keeps results, and trials that another open sweep asks for', async () => {
    const first = (await submit(request)).body;
    const [done, shared] = trialIdsOf(first);
    await putResult(api.store, done ?? '');
    await submit({ ...request, vary: { distillWeight: [0.6] } });
    const answer = await cancel(first.sweepId);
    expect(answer.body.counts).toMatchObject({ completed: 1, queued: 1, cancelled: 0 });
    expect(await api.store.head(keys.trialCancelled(shared ?? ''))).toBeUndefined();
  });

  it('stops trials that only settled or cancelled sweeps shared', async () => {
    const settled = (await submit(request)).body;
    await settle(api.store, settled.sweepId, 'cancelled');
    const open = (await submit(request)).body;
    expect((await cancel(open.sweepId)).body.counts).toMatchObject({ cancelled: 2 });
  });

  it('of a settled sweep is a conflict', async () => {
    const { body } = await submit(request);
    await settle(api.store, body.sweepId);
    const answer = await cancel(body.sweepId);
    expect(answer.status).toBe(409);
    expect(answer.body.detail).toContain('ended already');
  });

  it('is undone for a trial that a later sweep asks for', async () => {
    const { body } = await submit(request);
    await cancel(body.sweepId);
    const again = (await submit(request)).body;
    expect((await api.get(`/v1/sweeps/${again.sweepId}`)).body).toMatchObject({
      status: 'queued',
      counts: { queued: 2 },
    });
  });

  it('never costs a sweep that is submitted at the same time its trials', async () => {
    for (let round = 0; round < 10; round++) {
      const body = { ...request, base: { epochs: 1000 + round } };
      const first = (await submit(body)).body;
      const [, second] = await Promise.all([cancel(first.sweepId), submit(body)]);
      const view = (await api.get(`/v1/sweeps/${second.body.sweepId}`)).body;
      expect(view.counts, `round ${round}`).toMatchObject({ queued: 2, cancelled: 0 });
    }
  });
});

describe('warnings', () => {
  it('come with the answer and are kept with the sweep', async () => {
    const { body } = await submit({ teacher: 'tutor', vary: { temperature: [0.5, 20] }, seeds: 1, base: { epochs } });
    const codes = body.warnings.map((warning: { code: string }) => warning.code);
    expect(codes).toEqual(expect.arrayContaining(['temperature-below-1', 'temperature-above-15']));
    expect((await api.get(`/v1/sweeps/${body.sweepId}`)).body.warnings).toEqual(body.warnings);
  });
});

describe('a large sweep', () => {
  it('of 2,000 trials is accepted, and packed into jobs', async () => {
    const temperature = Array.from({ length: 20 }, (_, index) => 1 + index / 2);
    const body = { teacher: 'tutor', vary: { temperature }, seeds: 100, baseline: false, base: { epochs } };
    const answer = await submit(body);
    expect(answer.status).toBe(202);
    expect(answer.body.trials).toHaveLength(2000);
    // Each of the 100 seeds has its 20 trials in 3 bundles of at most 8.
    expect(answer.body.bundles).toBe(300);
    expect((await api.get(`/v1/sweeps/${answer.body.sweepId}`)).body.counts.queued).toBe(2000);
  });
});
