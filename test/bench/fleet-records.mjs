// Records for the fleet's benchmark: a teacher and a corpus, sweeps that wait, sweeps whose trials have ended.
import { createHash } from 'node:crypto';
import { bundleIdOf, NUMERICS_VERSION, trialIdOf } from '#experiment';
import { keys, putJson } from '#storage';

const NOW = '2026-01-02T03:04:05.000Z';
const NUMERICS = { backend: 'tensorflow', library: 'TensorFlow 0', threads: 1, device: 'CPU' };
const ARCHITECTURE = { vocabularySize: 5_000, dModel: 128, dff: 512, heads: 8, encoderLayers: 4, decoderLayers: 4 };
const CORPUS_ID = 'bench-corpus';
const SNR_DB = [0, 6, 12];
const AT_ONCE = 16;

const bleu = (value) => {
  const curve = SNR_DB.map((_, index) => value - 0.1 + 0.05 * index);
  return { snrDb: SNR_DB, bleu1: curve, bleu2: curve, bleu3: curve, bleu4: curve };
};

export const TEACHER = {
  teacherId: 'bench-teacher',
  name: 'bench-teacher',
  architecture: ARCHITECTURE,
  corpusId: CORPUS_ID,
  origin: { kind: 'builtin', builtin: 'bench' },
  parameters: { total: 2_000, core: 1_000 },
  scores: { ...bleu(0.9), channel: 'awgn', channelProfile: 'exact', sentences: 10 },
  files: [],
  numerics: NUMERICS,
  createdAt: NOW,
};

export async function putTeacherAndCorpus(store) {
  const stored = async (key, name) => {
    const body = Buffer.from(`{"file":"${name}"}`);
    await store.put(key, body, { contentType: 'application/json' });
    const sha256 = createHash('sha256').update(body).digest('hex');
    return { name, key, size: body.length, sha256, contentType: 'application/json' };
  };
  const names = ['vocab.json', 'train.json', 'test.json'];
  const files = await Promise.all(names.map((name) => stored(keys.corpusFile(CORPUS_ID, name), name)));
  await putJson(store, keys.corpus(CORPUS_ID), {
    corpusId: CORPUS_ID,
    name: CORPUS_ID,
    source: { kind: 'text', sha256: '0'.repeat(64), fileName: 'bench.txt' },
    vocabularySize: ARCHITECTURE.vocabularySize,
    maxTokens: 31,
    sentences: { train: 9_000, test: 1_000 },
    tokens: { train: 90_000, test: 10_000 },
    files,
    createdAt: NOW,
  });
  const model = await stored(keys.teacherFile(TEACHER.teacherId, 'model.safetensors'), 'model.safetensors');
  await putJson(store, keys.teacher(TEACHER.teacherId), { ...TEACHER, files: [model] });
}

/** Trials with their records and a sweep of them, in bundles; nothing has run. */
export async function putOpenSweep(store, { name, bundles, perBundle, withTrials = true }) {
  const trials = Array.from({ length: bundles * perBundle }, (_, index) => trialOf(name, index));
  if (withTrials) await each(trials, (trial) => putJson(store, keys.trial(trial.trialId), trial));
  const ids = trials.map(({ trialId }) => trialId);
  const packed = Array.from({ length: bundles }, (_, index) => ids.slice(index * perBundle, (index + 1) * perBundle));
  const sweep = {
    sweepId: name,
    name,
    owner: 'bench',
    kind: 'sweep',
    request: {},
    teacherId: TEACHER.teacherId,
    corpusId: CORPUS_ID,
    trials: ids.map((trialId) => ({ trialId, role: 'requested' })),
    bundles: packed,
    warnings: [],
    createdAt: NOW,
  };
  await putJson(store, keys.sweep(name), sweep);
  const jobs = packed.map((trialIds) => ({
    kind: 'bundle',
    bundleId: bundleIdOf(trialIds),
    sweepId: name,
    owner: 'bench',
    trialIds,
  }));
  return { sweep, jobs, trials };
}

/** A sweep of which every trial has its result. */
export async function putFinishedSweep(store, { name, trials: count }) {
  const { sweep, trials } = await putOpenSweep(store, { name, bundles: count, perBundle: 1 });
  await each(trials, (trial) =>
    putJson(store, keys.trialResult(trial.trialId), {
      trialId: trial.trialId,
      status: 'completed',
      summary: summaryOf(trial),
      fence: '1-00000000',
      worker: 'bench',
      bundleTrialIds: [trial.trialId],
      artifacts: [],
      startedAt: NOW,
      finishedAt: NOW,
    }),
  );
  return sweep;
}

/** What a trainer would say of it. */
export function summaryOf({ trialId, spec }) {
  const shift = 0.001 * spec.hyperparameters.seed;
  const same = (value) => SNR_DB.map(() => value);
  const divergence = {
    snrDb: SNR_DB,
    kl: same(0.3),
    reverseKl: same(0.3),
    jsd: same(0.1),
    top1Agreement: same(0.9),
    top5Overlap: same(0.8),
  };
  const epoch = (number) => ({
    epoch: number,
    step: 12 * number,
    trainLoss: 3 / number + shift,
    trainCrossEntropy: 2 / number,
    trainDistillation: 1 / number,
    validationLoss: 2.5 / number + shift,
    seconds: 1,
    tokensPerSecond: 1_000,
  });
  return {
    trialId,
    bestLoss: 1.25 + shift,
    bestEpoch: 2,
    finalLoss: 1.25 + shift,
    epochs: [epoch(1), epoch(2)],
    steps: 24,
    parameters: { teacher: { total: 2_000, core: 1_000 }, student: { total: 1_500, core: 500 } },
    compressionRatio: 4 / 3,
    compressionRatioCore: 2,
    evaluation: {
      sentences: 10,
      student: bleu(0.8 - shift),
      teacher: bleu(0.9),
      divergence,
      floor: divergence,
      ceiling: divergence,
    },
    numerics: NUMERICS,
    trainingSeconds: 1,
    evaluationSeconds: 1,
  };
}

function trialOf(name, index) {
  const spec = {
    numericsVersion: NUMERICS_VERSION,
    teacherId: TEACHER.teacherId,
    corpusId: CORPUS_ID,
    hyperparameters: {
      temperature: 1 + (index % 10),
      distillWeight: 0.7,
      distillPart: 'full',
      studentLayers: 1,
      batchSize: 8,
      epochs: 2 + name.length,
      learningRate: 1e-3,
      weightDecay: 0,
      dropout: 0.1,
      channel: 'awgn',
      channelProfile: 'exact',
      trainSnrDb: [5, 10],
      init: 'teacher',
      freezeKeptSide: true,
      createHybrid: false,
      seed: 1 + Math.floor(index / 10),
    },
    evaluation: { snrDb: SNR_DB, sentences: 10 },
  };
  return { trialId: trialIdOf({ ...spec, name }), spec, createdAt: NOW };
}

async function each(items, work) {
  const left = [...items];
  const lane = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await work(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}
