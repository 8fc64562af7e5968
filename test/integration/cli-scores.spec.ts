// `verify --scores`: the built command, the real API, a real worker with real trainers. What was recorded a moment ago comes
// out exactly; what was not is told in one sentence.
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { INestApplicationContext } from '@nestjs/common';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { bleuTolerance, type TrialRecord, type TrialResult, type TrialSummary, type Verification } from '#experiment';
import { findJson, getJson, keys, putJson } from '#storage';
import { startWorker } from '../../apps/worker/start-worker.js';
import { runCli } from '../support/cli-process.js';
import { putTinyCorpus, TINY } from '../support/corpus-records.js';
import { API_KEY, type ApiServer, startTestApi } from './api-server.js';

let api: ApiServer;
let worker: INestApplicationContext;
let folder: string;
/** Of one bundle: receivers that learned behind the frozen transmitter, and whole students with hybrids. */
let frozen: { sweepId: string; trials: string[] };
let whole: { sweepId: string; trials: string[] };

beforeAll(async () => {
  api = await startTestApi();
  await putTinyCorpus(api.store);
  folder = await mkdtemp(join(tmpdir(), 'semdistill-scores-'));
  worker = await startWorker({ ...api.config, cacheFolder: join(folder, 'cache'), logLevel: 'error', threads: 1 });
  const teacher = fileURLToPath(new URL('teacher.safetensors', TINY));
  const imported = await run('teacher', 'import', teacher, '--corpus', 'tiny', '--heads', '4', '--name', 'teacher');
  expect(imported, imported.err).toMatchObject({ code: 0 });
  frozen = await train({ distillPart: 'decoder', freezeKeptSide: true, createHybrid: true });
  whole = await train({ distillPart: 'encoder', freezeKeptSide: false, createHybrid: true });
});

afterAll(async () => {
  await worker?.close();
  await api?.close();
  await rm(folder, { recursive: true, force: true });
});

const run = (...command: string[]) => runCli(command, { folder, url: api.url, apiKey: API_KEY });

/** A sweep of two temperatures, trained by the worker; the ids of all its trials. */
async function train(settings: object): Promise<{ sweepId: string; trials: string[] }> {
  const { status, body } = await api.post('/v1/sweeps', {
    teacher: 'teacher',
    base: { studentLayers: 2, epochs: 1, batchSize: 8, ...settings },
    vary: { temperature: [2, 4] },
    seeds: [1],
  });
  expect(status, JSON.stringify(body)).toBe(202);
  const trials = (body.trials as { trialId: string }[]).map(({ trialId }) => trialId);
  await vi.waitFor(
    async () => {
      for (const trialId of trials) {
        expect(await findJson<TrialResult>(api.store, keys.trialResult(trialId))).toMatchObject({
          status: 'completed',
        });
      }
    },
    { timeout: 120_000, interval: 200 },
  );
  return { sweepId: body.sweepId, trials };
}

async function resultOf(trialId: string): Promise<TrialResult & { summary: TrialSummary }> {
  return await getJson(api.store, keys.trialResult(trialId));
}

/** A trial of its own with the same model file and a changed record of its scores. */
async function putAltered(trialId: string, name: string, change: (summary: TrialSummary) => void): Promise<void> {
  const trial = await getJson<TrialRecord>(api.store, keys.trial(trialId));
  const result = await resultOf(trialId);
  change(result.summary);
  await putJson(api.store, keys.trial(name), { ...trial, trialId: name });
  await putJson(api.store, keys.trialResult(name), { ...result, trialId: name });
}

test('what was recorded comes out exactly: of a teacher, of students of one bundle, of their hybrids', async () => {
  const teacher = await run('verify', 'teacher', '--scores');
  expect(teacher, teacher.err).toMatchObject({ code: 0 });
  expect(teacher.err).toMatch(
    /teacher: measured again, BLEU-1 to 4 at 7 SNRs are exactly the recorded ones \(.*, \d+ threads?, /,
  );

  for (const { sweepId, trials } of [frozen, whole]) {
    const first = await run('verify', sweepId, '--scores', '--json');
    expect(first, first.err).toMatchObject({ code: 0 });
    const { files, verification } = JSON.parse(first.out) as { files: { id: string }[]; verification: Verification };
    const owner = files[0]?.id ?? '';
    const { summary, artifacts, bundleTrialIds } = await resultOf(owner);
    expect(bundleTrialIds.length).toBeGreaterThan(1);
    expect(verification).toMatchObject({ holds: true, tolerance: 0, numerics: summary.numerics });
    expect(verification.measured).toEqual(summary.evaluation.student);
    expect(verification.sha256).toBe(artifacts.find(({ name }) => name.startsWith('final_'))?.sha256);

    const last = trials.at(-1) ?? '';
    const hybrid = await run('verify', sweepId, '--scores', `${last.slice(0, 10)}/hybrid_model`);
    expect(hybrid, hybrid.err).toMatchObject({ code: 0 });
    expect(hybrid.err).toContain(`${last.slice(0, 12)}/hybrid_model: measured again`);
    expect(hybrid.err).toContain('are exactly the recorded ones');
  }
});

test('a difference is one sentence and exit code 1; other numerics have a tolerance', async () => {
  const [one = ''] = frozen.trials;
  const { summary } = await resultOf(one);
  const { sentences, student } = summary.evaluation;
  const { snrDb, bleu1 } = student;
  const tolerance = bleuTolerance(sentences);
  const last = bleu1.length - 1;
  const shift = (by: number) => (altered: TrialSummary) => {
    altered.evaluation.student.bleu1[last] = (bleu1[last] ?? 0) + by;
  };
  await putAltered(one, 'slightly', shift(1e-6));
  const slightly = await run('verify', 'slightly', '--scores');
  expect(slightly.code).toBe(1);
  expect(slightly.err).toMatch(
    new RegExp(
      `slightly/final_student_model does not score what was recorded: BLEU-1 at ${snrDb[last]} dB is 0\\.\\d{4} where 0\\.\\d{4} was ` +
        'recorded, and on the same numerics \\(.*\\) both must be equal',
    ),
  );
  const elsewhere = (by: number) => (altered: TrialSummary) => {
    shift(by)(altered);
    altered.numerics = { ...altered.numerics, threads: 7 };
  };
  await putAltered(one, 'elsewhere', elsewhere(tolerance / 2));
  const near = await run('verify', 'elsewhere', '--scores');
  expect(near, near.err).toMatchObject({ code: 0 });
  const apart = `within ${tolerance}, at most ${(tolerance / 2).toFixed(4)} apart`;
  expect(near.err).toContain(`are the recorded ones ${apart} (now `);
  expect(near.err).toMatch(/; recorded by .*7 threads/);
  await putAltered(one, 'far', elsewhere(2 * tolerance));
  const far = await run('verify', 'far', '--scores');
  expect(far.code).toBe(1);
  expect(far.err).toContain(`more than ${tolerance} is not explained by other numerics`);

  // A model in another's place, with a record that says it belongs there.
  const [learned = ''] = whole.trials;
  await putAltered(learned, 'swapped', () => {});
  const swapped = await resultOf('swapped');
  const hybrid = swapped.artifacts.find(({ name }) => name === 'hybrid_model.safetensors');
  const artifacts = swapped.artifacts.map((artifact) =>
    artifact.name === 'final_student_model.safetensors' && hybrid ? { ...hybrid, name: artifact.name } : artifact,
  );
  await putJson(api.store, keys.trialResult('swapped'), { ...swapped, artifacts });
  const other = await run('verify', 'swapped', '--scores');
  expect(other.code).toBe(1);
  expect(other.err).toMatch(/\d files, .*: every SHA-256 is the recorded one[\s\S]*does not score what was recorded/);
});

test('what cannot be measured is said before, and damage is found by its SHA-256', async () => {
  const { sweepId, trials } = frozen;
  const stranger = await run('verify', sweepId, '--scores', 'nobody');
  expect(stranger.code).toBe(2);
  expect(stranger.err).toContain('nobody is none of these trials');
  const best = await run('verify', sweepId, '--scores', `${trials[0]}/best_student_model`);
  expect(best.code).not.toBe(0);
  expect(best.err).toContain("of a trial's models final_student_model and hybrid_model have them");
  const answer = await api.post('/v1/verifications', { model: 'teacher', more: 1 });
  expect(answer.status).toBe(400);

  const damage = async (key: string | undefined) => {
    expect(key).toBeDefined();
    const store = api.config.store.kind === 'directory' ? api.config.store.folder : '';
    await appendFile(join(store, key ?? ''), 'x');
  };
  const [one = ''] = whole.trials;
  await damage((await resultOf(one)).artifacts.find(({ name }) => name === 'final_student_model.safetensors')?.key);
  const command = await run('verify', one, '--scores');
  expect(command).toMatchObject({ code: 1 });
  expect(command.err).toMatch(/1 of \d+ files are not as they were recorded/);

  // Asked for all the same, nothing is measured: the API finds it out where it looks into the file, else the worker does.
  const refused = await fetch(`${api.url}/v1/verifications`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: one }),
  });
  expect(refused.status).toBe(500);
  expect(((await refused.json()) as { detail: string }).detail).toMatch(/is damaged: .*; restore it from a backup\.$/);
  await damage((await api.get('/v1/teachers/teacher')).body.files[0]?.key);
  const { body } = await api.post('/v1/verifications', { model: 'teacher' });
  const ended = await vi.waitFor(
    async () => {
      const view = (await api.get(`/v1/preparations/${body.preparationId}`)).body;
      expect(view.status).toBe('failed');
      return view;
    },
    { timeout: 60_000, interval: 200 },
  );
  expect(ended.failure.reason).toMatch(/model\.safetensors' cannot be used: .* is damaged/);
});
