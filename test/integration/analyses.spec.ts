// Two models compared for real: API, a worker process with the real trainer, real Redis, a directory store. What is measured is what the
// trial's own evaluation measured; a model differs from itself in nothing; and the command line shows and writes it.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AnalysisReport, PreparationResult, TeacherRecord, TrialEvaluation } from '#experiment';
import { findJson, getJson, keys, putJson } from '#storage';
import { type RunningApi, startApi } from '../../apps/api/start-api.js';
import { runCli } from '../support/cli-process.js';
import { eventually, RealFleet, trainersOf } from '../support/real-fleet.js';
import { TINY } from '../support/trainer-process.js';
import { requireDocumented } from './api-server.js';

const real = RealFleet.forTests();
let api: RunningApi;
let folder: string;

beforeEach(async () => {
  api = await startApi(real.config, () => {});
  folder = await mkdtemp(join(tmpdir(), 'semdistill-analyses-'));
});
afterEach(async () => {
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: tests read answers as a client without types would.
type Body = any;

async function ask(method: string, path: string, body?: unknown, accept = 'application/json') {
  const headers = {
    authorization: `Bearer ${real.config.apiKey}`,
    accept,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  const answer = {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson ? JSON.parse(text) : undefined) as Body,
  };
  requireDocumented(method, path, answer);
  return answer;
}

const post = (body: unknown) => ask('POST', '/v1/analyses', body);

/** The analysis once it has ended. */
function ended(analysisId: string): Promise<Body> {
  return eventually(async () => {
    const { body } = await ask('GET', `/v1/analyses/${analysisId}`);
    expect(['completed', 'failed', 'cancelled']).toContain(body.state);
    return body;
  });
}

const run = (...command: string[]) => runCli(command, { folder, url: api.url, apiKey: real.config.apiKey ?? '' });

/** Teacher and corpus in the store, two students trained by a worker. */
async function trained(epochs: number) {
  const { trialIds } = await real.enqueue(epochs);
  real.startWorker();
  const results = await real.results(trialIds);
  return { trialIds, evaluations: results.map(({ summary }) => summary?.evaluation as TrialEvaluation) };
}

/** The teacher, and one that is like it but for some weights. */
async function stored() {
  await real.storeTiny();
  const bytes = await readFile(join(TINY, 'teacher.safetensors'));
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  for (let at = start; at + 4 <= bytes.length; at += 4 * 61) bytes.writeFloatLE(0.3 * bytes.readFloatLE(at), at);
  const key = keys.teacherFile('worse', 'model.safetensors');
  const file = { name: 'model.safetensors', key, ...(await real.store.put(key, bytes)), contentType: '' };
  const teacher = await getJson<TeacherRecord>(real.store, keys.teacher('tiny'));
  await putJson(real.store, keys.teacher('worse'), { ...teacher, teacherId: 'worse', name: 'worse', files: [file] });
}

test('the numbers are those of the trial, and the same request is answered from the record', async () => {
  const { trialIds, evaluations } = await trained(6);
  const [evaluation] = evaluations as [TrialEvaluation];
  const body = { reference: 'tiny', other: `${trialIds[0]}/final_student_model`, snrDb: [3, 12], sentences: 20 };
  const asked = await post(body);
  expect(asked.status, asked.text).toBe(202);
  const { analysisId } = asked.body;
  expect(asked.headers.get('location')).toContain(`/v1/analyses/${analysisId}`);
  expect(asked.body).toMatchObject({
    reference: { label: 'tiny' },
    conditions: { channels: ['awgn'], headlineSnrDb: 12 },
  });
  const done = await ended(analysisId);
  expect(done, JSON.stringify(done.failure)).toMatchObject({ state: 'completed', warnings: [] });
  const [awgn] = (done.result as AnalysisReport).channels;
  // Both are of one stack of two there and alone here: the same digits.
  expect(awgn?.reference.decoded).toEqual(evaluation.teacher);
  expect(awgn?.other.decoded).toEqual(evaluation.student);
  expect(awgn?.divergence).toEqual(evaluation.divergence);
  expect(awgn?.floor).toEqual(evaluation.floor);
  expect(awgn?.reference.likelihood).toEqual(evaluation.likelihood?.teacher);
  expect(awgn?.other.likelihood).toEqual(evaluation.likelihood?.student);
  // Students trained whole and the teacher are pairs of their own.
  expect(awgn?.crossed.referenceSends.bleu1[1]).toBeLessThan(evaluation.teacher.bleu1[1] as number);
  expect(awgn?.worst.length).toBeGreaterThan(0);

  const report = JSON.parse((await ask('GET', `/v1/analyses/${analysisId}/report.json`)).text) as AnalysisReport;
  const sentences = report.channels[0]?.sentences ?? [];
  expect(sentences).toHaveLength(20);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(mean(sentences.map(({ other }) => other.bleu1))).toBeCloseTo(evaluation.student.bleu1[1] as number, 6);
  const bleu1 = report.channels[0]?.differences.find(({ measure }) => measure === 'bleu1');
  expect(bleu1?.difference).toBeCloseTo(mean(evaluation.student.bleu1) - mean(evaluation.teacher.bleu1), 9);
  expect(bleu1?.low).toBeLessThanOrEqual(bleu1?.difference as number);
  expect(bleu1?.high).toBeGreaterThanOrEqual(bleu1?.difference as number);
  expect(report.run.latency).toMatchObject({ sentences: 20 });
  expect(report.run.latency.reference.medianMs).toBeGreaterThan(0);

  // Every format, by suffix and by Accept; each file's bytes are the recorded ones.
  for (const [suffix, type] of [
    ['html', 'text/html'],
    ['csv', 'text/csv'],
    ['md', 'text/markdown'],
  ] as const) {
    const named = await ask('GET', `/v1/analyses/${analysisId}/report.${suffix}`);
    expect(named.headers.get('content-type')).toContain(type);
    expect((await ask('GET', `/v1/analyses/${analysisId}/report`, undefined, type)).text).toBe(named.text);
    const { sha256 } = done.files.find(({ name }: { name: string }) => name === `report.${suffix}`);
    expect(named.headers.get('etag')).toBe(`"${sha256}"`);
  }
  expect((await ask('GET', `/v1/analyses/${analysisId}/report/measures.csv`)).text).toMatch(
    /^channel,measure,snr_db,model,/,
  );
  expect((await ask('GET', `/v1/analyses/${analysisId}/report`, undefined, 'image/png')).status).toBe(406);
  expect((await ask('GET', `/v1/analyses/${analysisId}/report.tex`)).status).toBe(404);

  // Asked again, in another order of the fields and with defaults spelt out: nothing is made.
  const again = await post({ seed: 0, channels: ['awgn'], ...body });
  expect(again.body).toMatchObject({ analysisId, state: 'completed', finishedAt: done.finishedAt });
  expect(await real.fleet.counts()).toEqual({ waiting: 0, active: 0 });
  const listed = await ask('GET', '/v1/analyses?limit=1');
  expect(listed.body.items.map((item: Body) => item.analysisId)).toEqual([analysisId]);

  // Made anew from nothing: other times, the same content.
  await real.store.delete(keys.preparationResult(analysisId));
  await post(body);
  const anew = await ended(analysisId);
  expect(anew.finishedAt).not.toBe(done.finishedAt);
  expect(anew.contentSha256).toBe(done.contentSha256);
  const hashOf = (view: Body, name: string) => view.files.find((file: Body) => file.name === name).sha256;
  for (const name of ['report.csv', 'measures.csv', 'awgn-bleu-over-snr.svg'])
    expect(hashOf(anew, name)).toBe(hashOf(done, name));

  // Another seed is other noise: another analysis.
  const other = await ended((await post({ ...body, seed: 1 })).body.analysisId);
  expect(other.analysisId).not.toBe(analysisId);
  expect(other.result.channels[0].reference.decoded).not.toEqual(awgn?.reference.decoded);
});

test('a model differs from itself in nothing, over every channel', async () => {
  await stored();
  real.startWorker();
  const body = {
    reference: 'tiny',
    other: 'tiny',
    snrDb: [0, 9],
    channels: ['awgn', 'rayleigh', 'ideal'],
    sentences: 12,
  };
  const asked = await post(body);
  expect(asked.body.warnings.map(({ code }: Body) => code)).toEqual(['same-model']);
  const { result, state } = await ended(asked.body.analysisId);
  expect(state).toBe('completed');
  const { channels, findings } = result as AnalysisReport;
  expect(channels.map(({ channel }) => channel)).toEqual(body.channels);
  for (const { divergence, floor, differences, crossed, reference, other, ...channel } of channels) {
    expect(divergence).toMatchObject({
      kl: [0, 0],
      reverseKl: [0, 0],
      jsd: [0, 0],
      top1Agreement: [1, 1],
      top5Overlap: [1, 1],
    });
    for (const tap of ['ckaEncOut', 'ckaChEncOut', 'ckaMemory', 'ckaDecOut'] as const)
      for (const cka of divergence[tap]) expect(cka).toBeCloseTo(1, 9);
    expect(divergence.entropyGap).toEqual([0, 0]);
    expect(other).toEqual(reference);
    expect(crossed.referenceSends).toEqual(reference.decoded);
    expect(crossed.otherSends).toEqual(reference.decoded);
    expect(differences.map(({ difference, low, high, p }) => [difference, low, high, p])).toEqual(
      differences.map(() => [0, 0, 0, 1]),
    );
    expect(channel).toMatchObject({ worst: [], gained: [], differing: 0, sentences: [] });
    // Other noise moves even a model from itself, where there is noise.
    expect((floor.jsd[0] as number) > 0).toBe(channel.channel !== 'ideal');
  }
  expect(findings.map(({ code }) => code)).toEqual(['same-output', 'same-output', 'same-output']);
  expect(findings[1]?.text.en).toMatch(/^rayleigh: The two models say the same/);
});

test('what cannot be compared is said at the door, every fault by name', async () => {
  await stored();
  const { trialIds } = await real.enqueue(1);
  const faults = async (body: unknown) => {
    const answer = await post(body);
    expect(answer.status, answer.text).toBe(400);
    return answer.body.errors.map(({ path, message }: Body) => `${path}: ${message}`);
  };
  expect(
    await faults({
      other: 7,
      channels: ['awgn', 'cable'],
      snrDb: [3, 9],
      headlineSnrDb: 12,
      sentences: 5001,
      wurst: 1,
    }),
  ).toEqual([
    expect.stringMatching(/^wurst: unknown field/),
    expect.stringMatching(/^reference: is required/),
    expect.stringMatching(/^other: must be 1 to 300 characters/),
    expect.stringMatching(/^sentences: must be a whole number from 1 to 5000, got 5001/),
    'channels[1]: must be one of awgn, rayleigh, rician, ideal, got "cable"',
    'headlineSnrDb: must be one of snrDb (3, 9), got 12',
  ]);
  expect((await post({ reference: 'tiny', other: 'nobody' })).status).toBe(404);
  expect((await post({ reference: 'tiny', other: `${trialIds[0]}/no_such_model` })).body.detail).toMatch(
    /it has: none yet/,
  );
  expect((await post({ reference: 'tiny', other: 'tiny', corpus: 'none' })).status).toBe(404);
  expect((await ask('GET', '/v1/analyses/none')).status).toBe(404);

  // A model of another vocabulary, and one whose file is gone.
  const teacher = await findJson<Body>(real.store, keys.teacher('tiny'));
  const corpus = await findJson<Body>(real.store, keys.corpus('tiny'));
  const put = (key: string, value: object) => real.store.put(key, Buffer.from(JSON.stringify(value)));
  const files = corpus.files.map((file: Body) =>
    file.name === 'vocab.json' ? { ...file, sha256: 'f'.repeat(64) } : file,
  );
  await put(keys.corpus('foreign'), { ...corpus, corpusId: 'foreign', name: 'foreign', files });
  await put(keys.teacher('foreign'), { ...teacher, teacherId: 'foreign', name: 'foreign', corpusId: 'foreign' });
  const larger = { ...teacher.architecture, vocabularySize: 61 };
  await put(keys.teacher('larger'), { ...teacher, teacherId: 'larger', name: 'larger', architecture: larger });
  const lost = teacher.files.map((file: Body) => ({ ...file, key: keys.teacherFile('lost', 'model.safetensors') }));
  await put(keys.teacher('lost'), { ...teacher, teacherId: 'lost', name: 'lost', files: lost });
  expect(await faults({ reference: 'tiny', other: 'foreign' })).toEqual([
    'other: foreign and tiny have other vocabularies: the same id is another word',
  ]);
  expect(await faults({ reference: 'tiny', other: 'larger', corpus: 'foreign' })).toEqual([
    'other: larger has 61 words, tiny has 60: what one says the other has no word for',
    'reference: tiny and corpus foreign have other vocabularies: the same id is another word',
    'other: larger has 61 words, corpus foreign has 60: what one says the other has no word for',
  ]);
  const gone = await post({ reference: 'tiny', other: 'lost' });
  expect(gone).toMatchObject({
    status: 410,
    body: { detail: 'No longer stored: lost; choose models whose files are there.' },
  });
});

test('cancelled it frees the worker, asked for again it is made; a worker that dies is replaced', async () => {
  await stored();
  const worker = real.startWorker();
  const body = {
    reference: 'tiny',
    other: 'worse',
    sentences: 20,
    channels: ['awgn', 'rayleigh', 'rician'],
    snrDb: Array.from({ length: 8 }, (_, i) => 2 * i),
    headlineSnrDb: 6,
  };
  const { analysisId } = (await post(body)).body;
  await eventually(() => expect(trainersOf(worker)).toHaveLength(1));
  const early = await ask('GET', `/v1/analyses/${analysisId}/report.html`);
  expect(early).toMatchObject({
    status: 409,
    body: { detail: expect.stringMatching(/is (queued|running), so it has no report/) },
  });
  const cancelled = await ask('POST', `/v1/analyses/${analysisId}/cancel`);
  expect(cancelled).toMatchObject({ status: 202, body: { state: 'cancelled' } });
  await eventually(() => expect(trainersOf(worker)).toEqual([]), 10_000);
  await eventually(async () => expect(await real.fleet.counts()).toEqual({ waiting: 0, active: 0 }));
  expect(await findJson<PreparationResult>(real.store, keys.preparationResult(analysisId))).toMatchObject({
    status: 'cancelled',
  });
  expect((await real.store.list(`analyses/${analysisId}/`)).objects).toEqual([]);

  expect((await post(body)).body).toMatchObject({ analysisId, state: expect.stringMatching(/queued|running/) });
  await eventually(() => expect(trainersOf(worker)).toHaveLength(1));
  await real.end(worker, 'SIGKILL');
  real.startWorker();
  const done = await ended(analysisId);
  expect(done).toMatchObject({ state: 'completed' });
  const late = await ask('POST', `/v1/analyses/${analysisId}/cancel`);
  expect(late).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('has ended already (completed)') },
  });
});

test('the command line shows the table and the worst sentences, and writes the report', async () => {
  await stored();
  real.startWorker();
  const other = 'worse';
  const flags = ['--snr', '3,12', '--test-sentences', '20'];
  const shown = await run('analyze', 'tiny', other, ...flags, '--worst', '2', '--output', 'out.html');
  expect(shown, shown.err).toMatchObject({ code: 0 });
  expect(shown.out).toMatch(/^A: tiny, B: worse; 20 sentences of tiny$/m);
  expect(shown.out).toMatch(/^BLEU-1 +0\.\d+ +0\.\d+ +[−+]?\d/m);
  expect(shown.out).toMatch(
    /where B loses most, at 12 dB[\s\S]* {2}sent {2}.+\n {2}A .*\(BLEU-1 [01]\.\d{3}\)\n {2}B .*[*[].*\(BLEU-1 0/,
  );
  expect(shown.out.match(/^ {2}sent /gm)).toHaveLength(2);
  expect(shown.out).toContain('A’s transmitter with B’s receiver');
  const analysisId = /analysis ([0-9a-f]{32})/.exec(shown.err)?.[1] ?? '';
  expect(await readFile(join(folder, 'out.html'), 'utf8')).toBe(
    (await ask('GET', `/v1/analyses/${analysisId}/report.html`)).text,
  );
  for (const ending of ['json', 'csv', 'md']) {
    expect(await run('analyze', 'tiny', other, ...flags, '--output', `out.${ending}`)).toMatchObject({ code: 0 });
    const written = await readFile(join(folder, `out.${ending}`), 'utf8');
    expect(written).toBe((await ask('GET', `/v1/analyses/${analysisId}/report.${ending}`)).text);
  }

  const chinese = await run('analyze', 'tiny', other, ...flags, '--language', 'zh', '--output', 'out.md');
  expect(chinese.out).toContain('B 损失最大的句子');
  expect(await readFile(join(folder, 'out.md'), 'utf8')).toContain('## 结论');
  const json = await run('analyze', 'tiny', other, ...flags, '--json');
  expect(JSON.parse(json.out)).toMatchObject({ analysisId, state: 'completed', result: { format: 1 } });
  expect((await run('analyze', '--list')).out).toContain(analysisId);

  const unwritable = await run('analyze', 'tiny', other, ...flags, '--output', 'nowhere/out.html');
  expect(unwritable).toMatchObject({ code: 1 });
  expect(unwritable.err).toContain('nowhere/out.html cannot be written');
  expect(await run('cancel', analysisId)).toMatchObject({
    code: 2,
    err: expect.stringContaining('has ended already (completed)'),
  });
});

test('what is typed wrong is one sentence and exit code 2, before anything is asked for', async () => {
  await stored();
  const other = 'worse';
  for (const [command, words] of [
    [['analyze', 'tiny'], 'B: is required'],
    [['analyze', 'tiny', other, '--snr', '3,x'], '--snr: must be a list'],
    [['analyze', 'tiny', other, '--channels', 'cable'], '--channels: must be one of awgn'],
    [['analyze', 'tiny', other, '--output', 'out.pdf'], '--output: must end in .html, .json, .csv, .md'],
    [['analyze', 'tiny', other, '--worst', '21'], '--worst: must be a whole number from 0 to 20'],
    [['analyze', 'tiny', 'nobody'], 'nobody'],
  ] as const) {
    const wrong = await run(...command);
    expect(wrong, command.join(' ')).toMatchObject({ code: 2 });
    expect(wrong.err).toContain(words);
    expect(wrong.err).not.toMatch(/\n\s+at /);
  }
  expect((await real.store.list(keys.preparations())).objects).toEqual([]);
});
