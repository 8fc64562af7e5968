// A sweep too large for a record a trial before its answer: accepted by one object, shown and steered at once, and whole also
// when the API was killed before it had written the rest.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SweepRecord, type TrialRecord, trialIdOf } from '#experiment';
import { findJson, getJson, keys, readTrialState } from '#storage';
import { OpenSweep } from '../../apps/aggregator/open-sweep.js';
import { settleSweep } from '../../apps/aggregator/settle-sweep.js';
import { trialRecord } from '../../apps/worker/trial-record.js';
import { putTeacher } from './api-records.js';
import { type ApiServer, startTestApi } from './api-server.js';

const TRIALS = 600;
let api: ApiServer;
let epochs = 0;
const temperatures = Array.from({ length: TRIALS / 4 }, (_, index) => 1 + index / 10);
let request: {
  teacher: string;
  vary: { temperature: number[] };
  seeds: number;
  baseline: boolean;
  reference: boolean;
  base: object;
};

beforeAll(async () => {
  api = await startTestApi();
  await putTeacher(api.store, 'tutor');
});
afterAll(() => api.close());
beforeEach(() => {
  epochs += 1;
  request = {
    teacher: 'tutor',
    vary: { temperature: temperatures },
    seeds: 4,
    baseline: false,
    reference: false,
    base: { epochs },
  };
});

const idsOf = (answer: { body: { trials: { trialId: string }[] } }) => answer.body.trials.map(({ trialId }) => trialId);

test('it is shown in full at once, and soon every trial has its own record', async () => {
  const accepted = await api.post('/v1/sweeps', request);
  expect(accepted).toMatchObject({ status: 202, body: { status: 'queued', reused: 0 } });
  const trialIds = idsOf(accepted);
  expect(trialIds).toHaveLength(TRIALS);
  const last = trialIds.at(-1) as string;
  expect((await api.get(`/v1/trials/${last}`)).body).toMatchObject({ trialId: last, status: 'queued' });
  const shown = (await api.get(`/v1/sweeps/${accepted.body.sweepId}`)).body;
  expect(shown.counts).toMatchObject({ queued: TRIALS });
  expect((await api.fleet.counts()).waiting).toBeGreaterThan(0);
  await expect.poll(async () => (await readTrialState(api.store, last)).exists, { timeout: 60_000 }).toBe(true);
  const record = await getJson<TrialRecord>(api.store, keys.trial(last));
  expect(trialIdOf(record.spec)).toBe(last);
  expect((await api.get('/v1/trials/0000000000000000')).status).toBe(404);
});

test('an API that was killed after accepting it leaves nothing out', async () => {
  const accepted = await api.post('/v1/sweeps', request);
  const trialIds = idsOf(accepted);
  await expect
    .poll(async () => (await readTrialState(api.store, trialIds.at(-1) as string)).exists, { timeout: 60_000 })
    .toBe(true);
  // As it would be found: the sweep's record and its jobs, of the trials nothing.
  const [first, second, third] = trialIds as [string, string, string];
  const { sweepId } = accepted.body;
  for (const trialId of [first, second, third]) await api.store.delete(keys.trial(trialId));

  expect((await api.get(`/v1/trials/${first}`)).status).toBe(200);
  expect((await trialRecord(api.store, first, sweepId)).spec.hyperparameters).toMatchObject({ epochs, temperature: 1 });
  expect(await findJson(api.store, keys.trial(first))).toMatchObject({ trialId: first });
  const sweep = await getJson<SweepRecord>(api.store, keys.sweep(sweepId));
  await new OpenSweep(sweep).look(api.store, [second]);
  expect(await findJson(api.store, keys.trial(second))).toMatchObject({ trialId: second });

  expect((await api.request(`/v1/sweeps/${sweepId}/cancel`, { method: 'POST' })).status).toBe(202);
  expect((await settleSweep(api.store, sweep)).outcome).toBe('settled');
  expect(await findJson(api.store, keys.trial(third))).toMatchObject({ trialId: third });
});

test('a trial cancelled in one sweep is open again by a large one that asks for it', async () => {
  const small = await api.post('/v1/sweeps', { ...request, vary: { temperature: [1, 2] } });
  const [trialId] = idsOf(small) as [string];
  expect((await api.request(`/v1/trials/${trialId}/cancel`, { method: 'POST' })).status).toBe(202);
  const large = await api.post('/v1/sweeps', request);
  expect(idsOf(large)).toContain(trialId);
  expect((await api.get(`/v1/trials/${trialId}`)).body.status).toBe('queued');
});

test('sent again with its Idempotency-Key it is the same sweep', async () => {
  const headers = { 'idempotency-key': `large-${epochs}` };
  const [first, again] = [
    await api.post('/v1/sweeps', request, headers),
    await api.post('/v1/sweeps', request, headers),
  ];
  expect(again.body.sweepId).toBe(first.body.sweepId);
  expect(again.body.trials).toEqual(first.body.trials);
});
