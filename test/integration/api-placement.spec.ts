// Owners, priorities, pools, labels and memory over HTTP: whose a sweep is, where its bundles may run, and what is said when
// no worker can take them.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { LiveWorker, PreparationRecord, SweepRecord } from '#experiment';
import { type FleetJob, hostJobs, type JobHost, type Taker } from '#queue';
import { getJson, keys } from '#storage';
import { putTeacher } from './api-records.js';
import { type ApiServer, startTestApi } from './api-server.js';

const ANN = 'the-key-of-ann';
let api: ApiServer;
let epochs = 0;
let request: { teacher: string; vary: { temperature: number[] }; seeds: number; base: Record<string, unknown> };
let host: JobHost | undefined;

beforeAll(async () => {
  api = await startTestApi({
    SEMDISTILL_API_KEYS: `ann:${ANN},bob:the-key-of-bob`,
    SEMDISTILL_OWNERS: 'ann:waiting=20',
  });
  await putTeacher(api.store, 'tutor');
});
afterAll(() => api.close());
beforeEach(async () => {
  await api.redis.command('FLUSHALL');
  epochs += 1;
  request = { teacher: 'tutor', vary: { temperature: [1, 4] }, seeds: 1, base: { epochs } };
});
afterEach(async () => {
  await host?.giveBack();
  await host?.close();
  host = undefined;
});

const submit = (body: object, key?: string) =>
  api.request('/v1/sweeps', { method: 'POST', json: body, ...(key ? { key } : {}) });
const recordOf = (sweepId: string) => getJson<SweepRecord>(api.store, keys.sweep(sweepId));
const view = async (sweepId: string) => (await api.get(`/v1/sweeps/${sweepId}`)).body;

/** A worker that shows itself and holds what it takes. */
async function worker(taker: Partial<Taker> = {}): Promise<FleetJob[]> {
  const facts: Taker = { pool: 'default', labels: [], memoryBytes: 64e9, holds: [], ...taker };
  const taken: FleetJob[] = [];
  host = hostJobs(api.config, {
    workerId: 'worker-1',
    async handle(job, { signal }) {
      taken.push(job);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
    onControls() {},
    onTrouble() {},
    taker: () => facts,
  });
  const live: LiveWorker = {
    workerId: 'worker-1',
    host: 'here',
    processId: 1,
    device: { cpu: 'Some processor', cores: 8, memoryBytes: 72e9, gpus: ['Some GPU'] },
    ...facts,
    state: 'idle',
    trialIds: [],
    startedAt: new Date().toISOString(),
    updatedAt: new Date().toISOString(),
  };
  await expect
    .poll(async () => {
      await host?.reports.worker(live);
      return (await api.fleet.liveWorkers()).length;
    })
    .toBe(1);
  return taken;
}

test('a sweep is its key’s owner’s; a wrong key is nobody’s', async () => {
  const owners = [];
  for (const key of [undefined, ANN, 'the-key-of-bob']) {
    request.base.epochs = ++epochs;
    const { body } = await submit(request, key);
    owners.push([(await view(body.sweepId)).owner, (await recordOf(body.sweepId)).owner]);
  }
  expect(owners).toEqual([
    ['default', 'default'],
    ['ann', 'ann'],
    ['bob', 'bob'],
  ]);
  expect((await submit(request, 'the-key-of-nobody')).status).toBe(401);
});

test('an Idempotency-Key is its owner’s own', async () => {
  const headers = { 'idempotency-key': `same-${epochs}` };
  const ask = (key: string) => api.request('/v1/sweeps', { method: 'POST', json: request, headers, key });
  const [first, second, again] = [await ask(ANN), await ask('the-key-of-bob'), await ask(ANN)];
  expect(second.body.sweepId).not.toBe(first.body.sweepId);
  expect(again.body.sweepId).toBe(first.body.sweepId);
});

test('more trials than may wait are refused in one sentence, and nothing is stored', async () => {
  const first = await submit({ ...request, seeds: 5, baseline: false }, ANN);
  expect(first.status).toBe(202);
  const before = await api.stored();
  const refused = await submit({ ...request, base: { epochs: 900 }, seeds: 6, baseline: false }, ANN);
  expect(refused.status).toBe(429);
  expect(refused.body.detail).toBe(
    '12 trials are more than may wait for ann: 10 of at most 20 do already. Ask for fewer, or again when some have run.',
  );
  expect(await api.stored()).toEqual(before);
  expect((await submit({ ...request, base: { epochs: 900 }, seeds: 5, baseline: false }, ANN)).status).toBe(202);
  request.base.epochs = ++epochs;
  expect((await submit({ ...request, seeds: 30 })).status).toBe(202);
});

test('priority, pool and labels are kept with the sweep and change no trial', async () => {
  const plain = await submit(request);
  const placed = await submit({ ...request, priority: 8, pool: 'a100', requires: ['fast', 'ecc'] });
  const ids = (answer: typeof plain) => answer.body.trials.map((trial: { trialId: string }) => trial.trialId);
  expect(ids(placed)).toEqual(ids(plain));
  const record = await recordOf(placed.body.sweepId);
  expect(record.placement).toMatchObject({ priority: 8, pool: 'a100', requires: ['ecc', 'fast'] });
  expect(record.placement?.memoryBytes).toEqual(record.bundles.map(() => expect.any(Number)));
  expect((await recordOf(plain.body.sweepId)).request).not.toHaveProperty('priority');
});

test('what makes no sense of them is named, all at once', async () => {
  const { status, body } = await submit({ ...request, priority: 10, pool: '../x', requires: ['a', 'a'] });
  expect(status).toBe(400);
  expect(body.errors.map(({ path }: { path: string }) => path).sort()).toEqual(['pool', 'priority', 'requires']);
});

test('a sweep for a pool without workers is accepted and says what it waits for, until one is there', async () => {
  const accepted = await submit({ ...request, pool: 'a100' });
  expect(accepted.status).toBe(202);
  const sentence = "No worker of pool 'a100' is there; the bundles wait for one.";
  expect(accepted.body.waitsFor).toEqual([sentence]);
  expect((await view(accepted.body.sweepId)).waitsFor).toEqual([sentence]);
  expect((await api.post('/v1/sweeps?dryRun=true', { ...request, pool: 'a100' })).body.waitsFor).toEqual([sentence]);
  const taken = await worker({ pool: 'a100' });
  await expect.poll(() => taken.length, { timeout: 10_000 }).toBe(1);
  expect((await view(accepted.body.sweepId)).waitsFor).toBeUndefined();
});

test('labels and memory that no worker has are said too', async () => {
  const taken = await worker({ labels: ['ecc'], memoryBytes: 1e9 });
  const labelled = await submit({ ...request, requires: ['ecc', 'fast'] });
  expect(labelled.body.waitsFor).toEqual([
    "No worker of pool 'default' has the labels ecc, fast; the bundles wait for one.",
  ]);
  const huge = await submit({ ...request, base: { epochs: ++epochs, batchSize: 4096 }, trialsPerBundle: 64 });
  const { memoryBytes } = (await recordOf(huge.body.sweepId)).placement ?? { memoryBytes: [] };
  const gigabytes = (Math.max(...memoryBytes) / 1e9).toFixed(2);
  expect(Number(gigabytes)).toBeGreaterThan(1);
  expect(huge.body.waitsFor).toEqual([
    `1 of 1 waiting bundles need up to ${gigabytes} GB of memory, and the largest worker for them has 1.00 GB; they wait for a larger one. Smaller batches or fewer trials in a bundle need less.`,
  ]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(taken).toEqual([]);
});

test('an extended sweep keeps its place, and its new bundles have their memory', async () => {
  const { body } = await submit({ ...request, priority: 2, pool: 'a100' });
  const extended = await api.post(`/v1/sweeps/${body.sweepId}/extend`, { seeds: 2 });
  expect(extended.status).toBe(202);
  const record = await getJson<SweepRecord>(api.store, keys.sweep(body.sweepId, 2));
  expect(record.placement).toMatchObject({ priority: 2, pool: 'a100' });
  expect(record.placement?.memoryBytes).toHaveLength(record.bundles.length);
  expect(record.placement?.memoryBytes.every((bytes) => bytes > 350e6)).toBe(true);
});

test('the registry shows what a worker is, and how long ago it was heard of', async () => {
  await worker({ pool: 'a100', labels: ['ecc'], holds: ['teacher-1'] });
  const { body } = await api.get('/v1/workers');
  expect(body).toEqual([
    expect.objectContaining({
      workerId: 'worker-1',
      pool: 'a100',
      labels: ['ecc'],
      memoryBytes: 64e9,
      device: { cpu: 'Some processor', cores: 8, memoryBytes: 72e9, gpus: ['Some GPU'] },
      holds: ['teacher-1'],
      heartbeatSeconds: expect.any(Number),
    }),
  ]);
  expect(body[0].heartbeatSeconds).toBeLessThan(5);
  // As if it had not been heard of for 20 s, then for its whole time.
  await api.redis.command('PEXPIRE', '{semdistill}:worker:worker-1', '10000');
  expect((await api.get('/v1/workers')).body[0].heartbeatSeconds).toBeGreaterThan(19);
  await api.redis.command('PEXPIRE', '{semdistill}:worker:worker-1', '1');
  await expect.poll(async () => (await api.get('/v1/workers')).body).toEqual([]);
});

test('a teacher is made in the pool that was asked for last, by a worker with the memory it takes', async () => {
  const asked = { name: 'pupil', corpus: 'tutor-corpus', layers: 2, dModel: 64, heads: 4 };
  const post = (more: object) => api.request('/v1/teachers', { method: 'POST', json: { ...asked, ...more } });
  const first = (await post({ pool: 'a100' })).body;
  expect(first).toMatchObject({
    status: 'queued',
    waitsFor: ["No worker of pool 'a100' is there; the jobs wait for one."],
  });
  const second = (await post({ pool: 'h100', requires: ['ecc'] })).body;
  expect(second.preparationId).toBe(first.preparationId);
  const record = await getJson<PreparationRecord>(api.store, keys.preparation(first.preparationId));
  const memoryBytes = record.placement?.memoryBytes ?? 0;
  expect(record.placement).toEqual({ pool: 'h100', requires: ['ecc'], memoryBytes });
  expect(memoryBytes).toBeGreaterThan(350e6);

  const small = await worker({ pool: 'h100', labels: ['ecc'], memoryBytes: memoryBytes - 1 });
  await vi.waitFor(async () => {
    const { waitsFor } = (await api.get(`/v1/preparations/${first.preparationId}`)).body;
    expect(waitsFor).toEqual([
      expect.stringMatching(/^1 of 1 waiting jobs need up to .* Smaller batches need less\.$/),
    ]);
  });
  expect(small).toEqual([]);
  await host?.giveBack();
  await host?.close();
  const taken = await worker({ pool: 'h100', labels: ['ecc'], memoryBytes });
  await vi.waitFor(() => expect(taken).toHaveLength(1), { timeout: 10_000 });
  expect(taken).toEqual([
    { kind: 'preparation', preparationId: first.preparationId, owner: 'default', ...record.placement },
  ]);
});
