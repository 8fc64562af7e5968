// A small record to work on: a corpus, a teacher, trials and sweeps in a directory store, as the API and earlier workers
// would have written them. Numbers come from a formula over temperature and seed.
import { createHash } from 'node:crypto';
import {
  type BleuCurve,
  bundleIdOf,
  type CorpusRecord,
  type DivergenceCurve,
  NUMERICS_VERSION,
  type StoredFile,
  type SweepRecord,
  type TeacherRecord,
  type TrialRecord,
  type TrialResult,
  type TrialSpec,
  type TrialSummary,
  trialIdOf,
} from '#experiment';
import type { FleetJob } from '#queue';
import { keys, type ObjectStore, putJson } from '#storage';

const SNR_DB = [0, 6, 12];
const NOW = '2026-01-02T03:04:05.000Z';
const ARCHITECTURE = { vocabularySize: 50, dModel: 16, dff: 32, heads: 2, encoderLayers: 2, decoderLayers: 2 };
const NUMERICS = { backend: 'tensorflow', library: 'TensorFlow 0', threads: 1, device: 'CPU' };

async function storeText(store: ObjectStore, key: string, text: string, name: string): Promise<StoredFile> {
  await store.put(key, Buffer.from(text), { contentType: 'application/json' });
  const sha256 = createHash('sha256').update(text).digest('hex');
  return { name, key, size: Buffer.byteLength(text), sha256, contentType: 'application/json' };
}

export const CORPUS_ID = 'corpus-1';
export const TEACHER_ID = 'teacher-1';

/** Writes the corpus and the teacher that all trials here are of. */
export async function putTeacherAndCorpus(store: ObjectStore): Promise<void> {
  const files: StoredFile[] = [];
  for (const name of ['vocab.json', 'train.json', 'test.json']) {
    files.push(await storeText(store, keys.corpusFile(CORPUS_ID, name), `{"file":"${name}"}`, name));
  }
  const corpus: CorpusRecord = {
    corpusId: CORPUS_ID,
    name: 'tiny',
    source: { kind: 'text', sha256: '0'.repeat(64), fileName: 'tiny.txt' },
    options: { minWords: 4, maxWords: 20, minCount: 1, trainShare: 0.9 },
    vocabularySize: ARCHITECTURE.vocabularySize,
    maxTokens: 22,
    sentences: { train: 90, test: 10 },
    tokens: { train: 900, test: 100 },
    files,
    createdAt: NOW,
  };
  await putJson(store, keys.corpus(CORPUS_ID), corpus);
  const model = await storeText(
    store,
    keys.teacherFile(TEACHER_ID, 'model.safetensors'),
    'weights',
    'model.safetensors',
  );
  const teacher: TeacherRecord = {
    teacherId: TEACHER_ID,
    name: 'tiny',
    architecture: ARCHITECTURE,
    corpusId: CORPUS_ID,
    origin: { kind: 'builtin', builtin: 'tiny' },
    parameters: { total: 2000, core: 1000 },
    scores: { ...bleu(0.9), channel: 'awgn', channelProfile: 'exact', sentences: 10 },
    files: [model],
    numerics: NUMERICS,
    createdAt: NOW,
  };
  await putJson(store, keys.teacher(TEACHER_ID), teacher);
}

/** A trial's spec; trials of one tag are the same in every test run. */
export function specOf(temperature: number, seed: number): TrialSpec {
  return {
    numericsVersion: NUMERICS_VERSION,
    teacherId: TEACHER_ID,
    corpusId: CORPUS_ID,
    hyperparameters: {
      temperature,
      distillWeight: 0.7,
      distillPart: 'decoder',
      studentLayers: 1,
      batchSize: 8,
      epochs: 2,
      learningRate: 1e-3,
      weightDecay: 0,
      dropout: 0.1,
      channel: 'awgn',
      channelProfile: 'exact',
      trainSnrDb: [5, 10],
      init: 'teacher',
      freezeKeptSide: true,
      createHybrid: true,
      seed,
    },
    evaluation: { snrDb: SNR_DB, sentences: 10 },
  };
}

export interface WrittenSweep {
  sweep: SweepRecord;
  specs: Map<string, TrialSpec>;
  jobs: FleetJob[];
}

/** Writes a sweep over these temperatures and seeds with bundles of `perBundle`, and gives the jobs it makes. */
export async function putSweep(
  store: ObjectStore,
  sweepId: string,
  {
    temperatures = [1, 2],
    seeds = [1],
    perBundle = 8,
    request = {},
  }: { temperatures?: number[]; seeds?: number[]; perBundle?: number; request?: object } = {},
): Promise<WrittenSweep> {
  const specs = new Map<string, TrialSpec>();
  for (const temperature of temperatures) {
    for (const seed of seeds) {
      const spec = specOf(temperature, seed);
      specs.set(trialIdOf(spec), spec);
    }
  }
  for (const [trialId, spec] of specs) {
    const trial: TrialRecord = { trialId, spec, createdAt: NOW };
    await putJson(store, keys.trial(trialId), trial);
  }
  const trialIds = [...specs.keys()];
  const bundles: string[][] = [];
  for (let start = 0; start < trialIds.length; start += perBundle)
    bundles.push(trialIds.slice(start, start + perBundle));
  const sweep: SweepRecord = {
    sweepId,
    name: sweepId,
    owner: 'me',
    kind: 'sweep',
    request,
    teacherId: TEACHER_ID,
    corpusId: CORPUS_ID,
    trials: trialIds.map((trialId) => ({ trialId, role: 'requested' })),
    bundles,
    warnings: [],
    createdAt: NOW,
  };
  await putJson(store, keys.sweep(sweepId), sweep);
  const jobs = bundles.map((bundle): FleetJob => {
    return { kind: 'bundle', bundleId: bundleIdOf(bundle), sweepId, owner: 'me', trialIds: bundle };
  });
  return { sweep, specs, jobs };
}

/** What a trainer would say of this trial. */
export function summaryOf(trialId: string, spec: TrialSpec): TrialSummary {
  const { temperature, seed } = spec.hyperparameters;
  const shift = 0.01 * temperature + 0.001 * seed;
  const epoch = (n: number) => ({
    epoch: n,
    step: 12 * n,
    trainLoss: 3 / n + shift,
    trainCrossEntropy: 2 / n,
    trainDistillation: 1 / n,
    validationLoss: 2.5 / n + shift,
    seconds: 1,
    tokensPerSecond: 1000,
  });
  return {
    trialId,
    bestLoss: 1.25 + shift,
    bestEpoch: 2,
    finalLoss: 1.25 + shift,
    epochs: [epoch(1), epoch(2)],
    steps: 24,
    parameters: { teacher: { total: 2000, core: 1000 }, student: { total: 1500, core: 500 } },
    compressionRatio: 2000 / 1500,
    compressionRatioCore: 2,
    evaluation: {
      sentences: 10,
      student: bleu(0.8 - shift),
      hybrid: bleu(0.85 - shift),
      teacher: bleu(0.9),
      divergence: divergence(0.1 + shift),
      floor: divergence(0.01),
      ceiling: divergence(0.6),
    },
    numerics: NUMERICS,
    trainingSeconds: 2,
    evaluationSeconds: 1,
  };
}

/** Writes a result as a worker would, without artifacts or, where `hasModel`, with a final student that holds nothing. */
export async function putResult(
  store: ObjectStore,
  trialId: string,
  spec: TrialSpec,
  failure?: string,
  retry = 0,
  hasModel = false,
): Promise<void> {
  const name = 'final_student_model.safetensors';
  const key = keys.trialArtifact(trialId, '1-00000000', name);
  const artifacts = hasModel ? [await storeText(store, key, `weights of ${trialId}`, name)] : [];
  const result: TrialResult = {
    trialId,
    status: failure ? 'failed' : 'completed',
    ...(failure ? { failure: { reason: failure } } : { summary: summaryOf(trialId, spec) }),
    ...(retry > 0 ? { retry } : {}),
    fence: '1-00000000',
    worker: 'earlier',
    bundleTrialIds: [trialId],
    artifacts,
    startedAt: NOW,
    finishedAt: NOW,
  };
  await putJson(store, keys.trialResult(trialId, retry), result);
}

function bleu(level: number): BleuCurve {
  const at = (order: number) => SNR_DB.map((snrDb) => level * (0.7 + 0.025 * snrDb) ** order);
  return { snrDb: SNR_DB, bleu1: at(1), bleu2: at(2), bleu3: at(3), bleu4: at(4) };
}

function divergence(level: number): DivergenceCurve {
  const flat = (value: number) => SNR_DB.map(() => value);
  return {
    snrDb: SNR_DB,
    kl: flat(level),
    reverseKl: flat(level * 1.1),
    jsd: flat(level / 4),
    top1Agreement: flat(1 - level),
    top5Overlap: flat(1 - level / 2),
  };
}
