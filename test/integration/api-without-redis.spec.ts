import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EPOCH, putResult, putTeacher, settle } from './api-records.js';
import { type Answer, type ApiServer, startTestApi } from './api-server.js';

let api: ApiServer;
let done: { trialId: string; sweepId: string };
let open: { trialId: string; sweepId: string };
let before: string[];

beforeAll(async () => {
  api = await startTestApi();
  await putTeacher(api.store, 'tutor');
  done = (await api.post('/v1/distillations', { teacher: 'tutor', seed: 1 })).body;
  open = (await api.post('/v1/distillations', { teacher: 'tutor', seed: 2 })).body;
  await putResult(api.store, done.trialId);
  await settle(api.store, done.sweepId);
  before = await api.stored();
  await api.redis.stop();
});
afterAll(() => api.close());

describe('with Redis away, what needs workers', () => {
  const requests: [string, () => Promise<Answer>][] = [
    ['a sweep', () => api.post('/v1/sweeps', { teacher: 'tutor' })],
    ['a distillation', () => api.post('/v1/distillations', { teacher: 'tutor', seed: 3 })],
    ['a built-in corpus', () => api.post('/v1/corpora', { builtin: 'sotu' })],
    ['a teacher', () => api.post('/v1/teachers', { builtin: 'demo' })],
    ['a cancel', () => api.request(`/v1/sweeps/${open.sweepId}/cancel`, { method: 'POST' })],
    [
      'a text',
      () =>
        api.request('/v1/corpora?name=t', {
          method: 'POST',
          body: 'Some words of text .\n',
          headers: { 'content-type': 'text/plain' },
        }),
    ],
    ['the list of workers', () => api.get('/v1/workers')],
    ['readiness', () => api.get('/v1/health/ready')],
  ];

  it.each(requests)('refuses %s with 503, says when to come back, and stores nothing', async (_, run) => {
    const answer = await run();
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(answer.body.detail).toContain('Redis does not answer');
    expect(await api.stored()).toEqual(before);
  });

  it('still names the faults of a wrong request', async () => {
    expect((await api.post('/v1/sweeps', { teacher: 'tutor', seeds: 0 })).status).toBe(400);
    expect((await api.post('/v1/sweeps', { teacher: 'nobody' })).status).toBe(404);
  });

  it('still plans', async () => {
    expect((await api.post('/v1/sweeps?dryRun=true', { teacher: 'tutor' })).status).toBe(200);
  });
});

describe('with Redis away, what is recorded', () => {
  it('is shown, and says that it is not live', async () => {
    expect((await api.get('/v1/health/live')).status).toBe(200);
    const settled = (await api.get(`/v1/sweeps/${done.sweepId}`)).body;
    expect(settled).toMatchObject({ status: 'completed', counts: { completed: 1 } });
    expect(settled.trials[0].summary.bestLoss).toBe(3.2);
    expect((await api.get(`/v1/sweeps/${open.sweepId}`)).body).toMatchObject({ live: false, status: 'queued' });
    expect((await api.get(`/v1/trials/${open.trialId}`)).body).toMatchObject({ live: false, status: 'queued' });
    expect((await api.get(`/v1/trials/${open.trialId}/metrics`)).body).toMatchObject({ live: false, epochs: [] });
    expect((await api.get(`/v1/trials/${done.trialId}/metrics`)).body.epochs).toEqual([EPOCH]);
    expect((await api.get('/v1/sweeps')).body.items).toHaveLength(2);
    expect((await api.get('/v1/trials')).body.items).toHaveLength(2);
    expect((await api.get('/v1/teachers/tutor')).status).toBe(200);
    expect((await api.get('/v1/corpora')).status).toBe(200);
    expect((await api.get(`/v1/sweeps/${done.sweepId}/report.csv`)).text).toContain('temperature');
    expect((await api.get(`/v1/trials/${done.trialId}/artifacts/final_student_model`)).status).toBe(302);
  });
});

describe('when Redis is back', () => {
  it('everything is accepted again', async () => {
    await api.redis.start();
    await expect.poll(async () => (await api.get('/v1/health/ready')).status, { timeout: 20_000 }).toBe(200);
    expect((await api.post('/v1/distillations', { teacher: 'tutor', seed: 4 })).status).toBe(202);
    expect((await api.get(`/v1/trials/${open.trialId}`)).body).toMatchObject({ live: true });
  });
});
