// Records as workers and the aggregator write them, for tests of what the API shows.
import { createHash } from 'node:crypto';
import {
  type BleuCurve,
  buildReport,
  type CorpusRecord,
  corpusIdOf,
  type DivergenceCurve,
  type EpochMetrics,
  type SettledRecord,
  type StoredFile,
  type TeacherRecord,
  type TrialResult,
  teacherIdOf,
} from '#experiment';
import { keys, type ObjectStore, putJson, putJsonIfAbsent } from '#storage';
import { syntheticCorpus, syntheticSweep, syntheticTeacher } from '../../libs/experiment/synthetic-sweep.js';

const NUMERICS = { backend: 'tensorflow', library: 'TensorFlow 2.15.1', threads: 2, device: 'CPU' };
const SNR_DB = [0, 12];
const bleu = (value: number): BleuCurve => ({
  snrDb: SNR_DB,
  bleu1: [value / 2, value],
  bleu2: [value / 2, value],
  bleu3: [value / 2, value],
  bleu4: [value / 2, value],
});
const divergence = (value: number): DivergenceCurve => ({
  snrDb: SNR_DB,
  kl: [value, value],
  reverseKl: [value, value],
  jsd: [value, value],
  top1Agreement: [0.9, 0.95],
  top5Overlap: [0.8, 0.85],
});

export async function putFile(
  store: ObjectStore,
  file: { key: string; name: string; text: string; contentType?: string },
): Promise<StoredFile> {
  const { key, name, text, contentType = 'application/octet-stream' } = file;
  const body = Buffer.from(text);
  await store.put(key, body, { contentType });
  return { name, key, size: body.length, sha256: createHash('sha256').update(body).digest('hex'), contentType };
}

/** A corpus and a teacher on it, named `name`, as a worker leaves them. */
export async function putTeacher(
  store: ObjectStore,
  name: string,
): Promise<{ corpus: CorpusRecord; teacher: TeacherRecord }> {
  const createdAt = new Date().toISOString();
  const options = { minWords: 5, maxWords: 29, minCount: 1, trainShare: 0.9 };
  const vocab = await putFile(store, {
    key: `corpora/${name}-files/vocab.json`,
    name: 'vocab.json',
    text: JSON.stringify({ token_to_idx: { [name]: 4 } }),
    contentType: 'application/json',
  });
  const corpusId = corpusIdOf({ options, files: [vocab] });
  const corpus: CorpusRecord = {
    corpusId,
    name: `${name}-corpus`,
    source: { kind: 'text', sha256: vocab.sha256, fileName: `${name}.txt` },
    options,
    vocabularySize: 500,
    maxTokens: 30,
    sentences: { train: 900, test: 100 },
    tokens: { train: 9000, test: 1000 },
    files: [vocab],
    createdAt,
  };
  const model = await putFile(store, {
    key: `teachers/${name}-files/model.safetensors`,
    name: 'model.safetensors',
    text: name,
  });
  const architecture = { vocabularySize: 500, dModel: 64, dff: 128, heads: 4, encoderLayers: 4, decoderLayers: 4 };
  const teacher: TeacherRecord = {
    teacherId: teacherIdOf({ architecture, corpusId, files: [model] }),
    name,
    architecture,
    corpusId,
    origin: { kind: 'builtin', builtin: name },
    parameters: { total: 500_000, core: 400_000 },
    scores: { ...bleu(0.9), channel: 'awgn', channelProfile: 'exact', sentences: 100 },
    files: [model],
    numerics: NUMERICS,
    createdAt,
  };
  await putJson(store, keys.corpus(corpusId), corpus);
  await putJson(store, keys.corpusName(corpus.name), { id: corpusId });
  await putJson(store, keys.teacher(teacher.teacherId), teacher);
  await putJson(store, keys.teacherName(name), { id: teacher.teacherId });
  return { corpus, teacher };
}

export const EPOCH: EpochMetrics = {
  epoch: 1,
  step: 7,
  trainLoss: 3.5,
  trainCrossEntropy: 3.1,
  trainDistillation: 3.7,
  validationLoss: 3.2,
  seconds: 1.5,
  tokensPerSecond: 6000,
};

/** Ends a trial as a worker does: artifacts first, result.json last. */
export async function putResult(
  store: ObjectStore,
  trialId: string,
  status: TrialResult['status'] = 'completed',
): Promise<TrialResult> {
  const fence = '2-0a1b2c3d';
  const artifact = (name: string, text: string, contentType: string) =>
    putFile(store, { key: keys.trialArtifact(trialId, fence, name), name, text, contentType });
  const artifacts = [
    await artifact('final_student_model.safetensors', `weights of ${trialId}`.repeat(100), 'application/octet-stream'),
    await artifact('distillation_config.json', '{"temperature": 4}', 'application/json'),
  ];
  const now = new Date().toISOString();
  const result: TrialResult = {
    trialId,
    status,
    ...(status === 'failed' ? { failure: { reason: 'the loss is not a number', step: 3 } } : {}),
    ...(status === 'completed' ? { summary: summaryOf(trialId) } : {}),
    fence,
    worker: 'worker-1',
    bundleTrialIds: [trialId],
    artifacts,
    startedAt: now,
    finishedAt: now,
  };
  await putJsonIfAbsent(store, keys.trialResult(trialId), result);
  return result;
}

function summaryOf(trialId: string): NonNullable<TrialResult['summary']> {
  return {
    trialId,
    bestLoss: 3.2,
    bestEpoch: 1,
    finalLoss: 3.2,
    epochs: [EPOCH],
    steps: 7,
    parameters: { teacher: { total: 500_000, core: 400_000 }, student: { total: 300_000, core: 200_000 } },
    compressionRatio: 1.67,
    compressionRatioCore: 2,
    evaluation: {
      sentences: 100,
      student: bleu(0.8),
      hybrid: bleu(0.85),
      teacher: bleu(0.9),
      divergence: divergence(0.2),
      floor: divergence(0.05),
      ceiling: divergence(2),
    },
    numerics: NUMERICS,
    trainingSeconds: 1.5,
    evaluationSeconds: 0.5,
  };
}

/** A whole report, of another sweep: what it says is not looked at here, only that it is one. */
function madeUpReport() {
  const { sweep, results } = syntheticSweep({ teacher: 'demo', vary: { temperature: [1, 4] }, seeds: 2 });
  return buildReport(sweep, syntheticTeacher, syntheticCorpus, results);
}

/** Settles a sweep as the aggregator does: report files first, settled.json last. */
export async function settle(
  store: ObjectStore,
  sweepId: string,
  status: SettledRecord['status'] = 'completed',
): Promise<void> {
  const file = (name: string, text: string, contentType: string) =>
    putFile(store, { key: keys.sweepReport(sweepId, name), name, text, contentType });
  const reportFiles =
    status === 'cancelled'
      ? []
      : [
          await file('report.json', JSON.stringify(madeUpReport()), 'application/json'),
          await file('report.csv', 'temperature,bleu1\n4,0.8\n', 'text/csv; charset=utf-8'),
          await file('report.md', '# Report\n', 'text/markdown; charset=utf-8'),
          await file('report.html', '<!doctype html><title>Report</title>', 'text/html; charset=utf-8'),
          await file('report.tex', '\\begin{table}\n\\end{table}\n', 'application/x-tex'),
          await file('bleu.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml'),
        ];
  const settled: SettledRecord = {
    sweepId,
    status,
    counts: { completed: status === 'completed' ? 1 : 0, failed: 0, cancelled: status === 'cancelled' ? 1 : 0 },
    reportFiles,
    settledAt: new Date().toISOString(),
  };
  await putJsonIfAbsent(store, keys.sweepSettled(sweepId), settled);
}
