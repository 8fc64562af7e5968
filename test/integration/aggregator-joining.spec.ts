// The end of a sweep whose models are stored: every transmitter is joined with every receiver before it is settled, whatever is lost on
// the way; and the report is a function of the record, byte for byte. Real Redis, a directory store.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Config, readConfig } from '#config';
import type { CrossDecodingPointer, PreparationRecord, PreparationResult, Report, SettledRecord } from '#experiment';
import { type FleetJob, openFleet, type RedisFleet } from '#queue';
import { findJson, getJson, keys, type ObjectStore, openStore, putJson } from '#storage';
import { startAggregator } from '../../apps/aggregator/start-aggregator.js';
import { startWorker } from '../../apps/worker/start-worker.js';
import { putResult, putSweep, putTeacherAndCorpus, TEACHER_ID } from '../support/fleet-records.js';
import { type RedisServer, startRedis } from '../support/redis.js';

const SWEEP = 'joined';

let redis: RedisServer;
let folder: string;
let config: Config;
let store: ObjectStore;
let fleet: RedisFleet;
let app: INestApplicationContext | undefined;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

beforeEach(async () => {
  await redis.command('FLUSHALL');
  folder = await mkdtemp(join(tmpdir(), 'semdistill-joining-'));
  config = readConfig({
    REDIS_URL: redis.url,
    SEMDISTILL_STORE: join(folder, 'store'),
    SEMDISTILL_CACHE: join(folder, 'cache'),
    SEMDISTILL_LOG: 'error',
  });
  store = await openStore(config.store);
  await putTeacherAndCorpus(store);
  fleet = openFleet(config);
});

afterEach(async () => {
  await app?.close();
  await fleet.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 60_000, interval: 25 });
const settled = () => findJson<SettledRecord>(store, keys.sweepSettled(SWEEP));
const untilSettled = () => eventually(async () => (await settled()) ?? expect.fail('not settled yet'));

async function aggregate(lookEveryMs = 150): Promise<void> {
  await app?.close();
  app = await startAggregator(config, { lookEveryMs });
}

/** Four trials with a model each, and one that failed. */
async function endedSweep() {
  const written = await putSweep(store, SWEEP, { temperatures: [1, 4], seeds: [1, 2] });
  for (const [trialId, spec] of written.specs) await putResult(store, trialId, spec, undefined, 0, true);
  return written;
}

async function asked(): Promise<PreparationRecord> {
  const { preparationId } = await eventually(
    async () =>
      (await findJson<CrossDecodingPointer>(store, keys.sweepCrossDecoding(SWEEP))) ?? expect.fail('nothing asked yet'),
  );
  return getJson<PreparationRecord>(store, keys.preparation(preparationId));
}

const jobOf = ({ preparationId, owner }: PreparationRecord): FleetJob => ({
  kind: 'preparation',
  preparationId,
  owner,
});

/** What a worker would answer. */
async function answer({ preparationId, request }: PreparationRecord): Promise<void> {
  if (request.kind !== 'cross-decoding') throw new Error(`asked for ${request.kind}`);
  const { channel, channelProfile, snrDb, sentences, models } = request;
  const result: PreparationResult = {
    preparationId,
    status: 'completed',
    crossDecoding: {
      channel,
      channelProfile,
      snrDb,
      sentences,
      models: models.map(({ label, file }) => ({ label, sha256: file.sha256 })),
      bleu1: models.map((_, i) => models.map((_, j) => 0.9 - 0.1 * Math.abs(i - j))),
      numerics: { backend: 'tensorflow', library: 'TensorFlow 0', threads: 1, device: 'CPU' },
    },
    finishedAt: new Date().toISOString(),
  };
  await putJson(store, keys.preparationResult(preparationId), result);
}

async function reportBytes(): Promise<Map<string, string>> {
  const { reportFiles } = await untilSettled();
  const files = new Map<string, string>();
  for (const { name, key } of reportFiles) files.set(name, (await store.get(key)).toString());
  return files;
}

test('its models are joined first, by a job of its own; an event is enough to go on', async () => {
  const { specs } = await endedSweep();
  await aggregate(3_600_000);
  const preparation = await asked();
  expect(preparation).toMatchObject({ owner: 'me', request: { kind: 'cross-decoding', snrDb: 12, sentences: 10 } });
  const { models } = preparation.request as Extract<PreparationRecord['request'], { kind: 'cross-decoding' }>;
  // Whole seeds in the order of the sweep.
  expect(models.map(({ label }) => label)).toEqual(['teacher', ...new Set(specs.keys())].sort(byPlanned([...specs])));
  await eventually(async () => expect((await fleet.known([jobOf(preparation)])).size).toBe(1));
  expect(await settled()).toBeUndefined();
  await answer(preparation);
  await fleet.publish({ type: 'preparation-ended', preparationId: preparation.preparationId, status: 'completed' });
  const files = await reportBytes();
  const report = JSON.parse(files.get('report.json') ?? '') as Report;
  expect(report.teacher.teacherId).toBe(TEACHER_ID);
  expect(report.crossDecoding?.parties).toEqual([null, 0, 1]);
  expect(report.crossDecoding?.bleu1[0]?.[0]).toMatchObject({ n: 1, mean: 0.9 });
  expect([...files.keys()]).toEqual(
    expect.arrayContaining(['cross-decoding.svg', 'report.tex', 'report.zh.tex', 'trials.csv', 'request.json']),
  );
});

test('a job that Redis loses is put back, and a Redis that forgets everything changes no byte of the report', async () => {
  await endedSweep();
  await aggregate();
  const preparation = await asked();
  await eventually(async () => expect((await fleet.known([jobOf(preparation)])).size).toBe(1));
  await redis.command('FLUSHALL');
  await eventually(async () => expect((await fleet.known([jobOf(preparation)])).size).toBe(1));
  await answer(preparation);
  const first = await reportBytes();

  // As if nobody had ever settled it: another aggregator, an empty Redis, and models that are gone by now.
  await app?.close();
  await redis.command('FLUSHALL');
  for (const { key } of (await settled())?.reportFiles ?? []) await store.delete(key);
  await store.delete(keys.sweepSettled(SWEEP));
  const { request } = preparation as { request: Extract<PreparationRecord['request'], { kind: 'cross-decoding' }> };
  for (const { file } of request.models.slice(1)) await store.delete(file.key);
  await aggregate();
  const second = await reportBytes();
  expect([...second.keys()]).toEqual([...first.keys()]);
  for (const [name, text] of second) expect(text, name).toBe(first.get(name));
});

test('models that cannot be joined are said so, and the sweep is settled', async () => {
  await endedSweep();
  await aggregate();
  const { preparationId } = await asked();
  const result: PreparationResult = {
    preparationId,
    status: 'failed',
    failure: { reason: 'The model file cannot be read.' },
    finishedAt: new Date().toISOString(),
  };
  await putJson(store, keys.preparationResult(preparationId), result);
  const report = JSON.parse((await reportBytes()).get('report.json') ?? '') as Report;
  expect(report.crossDecoding).toBeNull();
  expect(report.findings[0]?.text.en).toMatch(/could not be joined .* The model file cannot be read\./);
});

test('a sweep that is cancelled meanwhile waits for nothing', async () => {
  await endedSweep();
  await aggregate();
  await asked();
  await putJson(store, keys.sweepCancelled(SWEEP), {});
  expect(await untilSettled()).toMatchObject({ status: 'cancelled', counts: { completed: 4 } });
});

/** A worker whose trainer follows the script of test/support/scripted-trainer.mjs. */
async function work(): Promise<INestApplicationContext> {
  const script = join(folder, 'script.json');
  const numerics = { backend: 'tensorflow', library: 'none', threads: 1, device: 'CPU' };
  await writeFile(script, JSON.stringify({ mode: 'train', numerics, summaries: {} }));
  const trainer = resolve(import.meta.dirname, '../support/scripted-trainer.mjs');
  return startWorker(
    { ...config, workerName: 'worker-1' },
    { trainer: { command: process.execPath, args: [trainer, script] }, store: await openStore(config.store) },
  );
}

test('a worker fetches the models, joins them, and the sweep is settled at once', async () => {
  await endedSweep();
  await aggregate(3_600_000);
  const preparation = await asked();
  const worker = await work();
  try {
    const report = JSON.parse((await reportBytes()).get('report.json') ?? '') as Report;
    const { models } = preparation.request as Extract<PreparationRecord['request'], { kind: 'cross-decoding' }>;
    const sizes = models.map(({ file }) => file.size);
    expect(report.crossDecoding?.pairs).toEqual(sizes.map((sent) => sizes.map((heard) => (sent + heard) / 1000)));
  } finally {
    await worker.close();
  }
});

test('a model that is gone when a worker wants it is named in the report', async () => {
  await endedSweep();
  await aggregate();
  const { request } = (await asked()) as { request: Extract<PreparationRecord['request'], { kind: 'cross-decoding' }> };
  await store.delete(request.models[1]?.file.key ?? '');
  const worker = await work();
  try {
    const report = JSON.parse((await reportBytes()).get('report.json') ?? '') as Report;
    expect(report.findings[0]?.text.en).toMatch(/'final_student_model\.safetensors' is no longer stored/);
  } finally {
    await worker.close();
  }
});

/** The teacher, then trials by seed, in the order they were planned. */
function byPlanned(planned: [string, { hyperparameters: { seed: number } }][]) {
  const seeds = new Map(planned.map(([trialId, { hyperparameters }]) => [trialId, hyperparameters.seed]));
  const places = new Map(planned.map(([trialId], place) => [trialId, place]));
  return (a: string, b: string) =>
    (seeds.get(a) ?? -1) - (seeds.get(b) ?? -1) || (places.get(a) ?? -1) - (places.get(b) ?? -1);
}
