// Made-up sweeps for specs and for looking at reports: records and results from a seeded formula, in the ranges that small
// DeepSC students show. Nothing outside specs may use it.
import { planCrossDecoding } from './cross-decoding.js';
import { isTaught } from './dials.js';
import { compressionOf, countParameters, studentArchitecture } from './parameters.js';
import { type PlannedTrial, planBundles, planTrials } from './plan.js';
import type {
  BleuCurve,
  CorpusRecord,
  CrossDecoding,
  DivergenceCurve,
  LikelihoodCurve,
  SentenceValues,
  StoredFile,
  SweepRecord,
  TeacherRecord,
  TrialResult,
  TrialSpec,
  TrialSummary,
} from './records.js';
import type { SweepResult } from './report/build-report.js';
import { parseSweepRequest } from './requests.js';

export const syntheticCorpus: CorpusRecord = {
  corpusId: 'c0ffee00c0ffee00c0ffee00c0ffee00',
  name: 'sotu-small',
  source: { kind: 'builtin', builtin: 'sotu-small', version: '0.2.3' },
  options: { minWords: 5, maxWords: 15, minCount: 1, topWords: 2000, trainShare: 0.9 },
  vocabularySize: 22_234,
  maxTokens: 17,
  sentences: { train: 4000, test: 450 },
  tokens: { train: 48_000, test: 5400 },
  files: [],
  createdAt: '2026-01-01T00:00:00.000Z',
};

const SNR = [0, 3, 6, 9, 12, 15, 18];

export const syntheticTeacher: TeacherRecord = {
  teacherId: '7eac4e007eac4e007eac4e007eac4e00',
  name: 'demo',
  architecture: { vocabularySize: 22_234, dModel: 128, dff: 512, heads: 8, encoderLayers: 4, decoderLayers: 4 },
  corpusId: syntheticCorpus.corpusId,
  origin: { kind: 'builtin', builtin: 'demo' },
  parameters: { total: 10_582_762, core: 2_022_672 },
  scores: { ...bleuCurve(SNR, 0), channel: 'awgn', channelProfile: 'exact', sentences: 400 },
  files: [],
  numerics: { backend: 'tensorflow', library: 'TensorFlow 2.15.1', threads: 1, device: 'CPU' },
  createdAt: '2026-01-01T00:00:00.000Z',
};

export interface SyntheticOptions {
  /** How strongly the gap falls with temperature; 0: not at all. */
  effect?: number;
  /** Standard deviation of the gap between seeds, as a share of it. */
  noise?: number;
  /** Another draw of all chance. */
  chance?: number;
  /** A tilt along log2 T that each seed has by itself, as a standard deviation in shares of the gap a doubling. */
  tilt?: number;
  /** Records as an earlier version wrote them: without likelihood, representations and values per sentence. */
  isEarlier?: boolean;
  /** Values per sentence; costs time. Default true. */
  withSentences?: boolean;
  failing?: (spec: TrialSpec) => string | undefined;
  withoutResult?: (trial: PlannedTrial) => boolean;
}

export interface SyntheticSweep {
  sweep: SweepRecord;
  results: SweepResult[];
}

/** Plans the request and makes a result for each trial. `run` changes ids, times and workers only. */
export function syntheticSweep(body: object, options: SyntheticOptions = {}, run = 1): SyntheticSweep {
  const request = parseSweepRequest(body);
  const planned = planTrials(request, syntheticTeacher, syntheticCorpus);
  const sweep: SweepRecord = {
    sweepId: `sweep${run}`,
    name: request.name,
    owner: 'somebody',
    kind: 'sweep',
    request,
    teacherId: syntheticTeacher.teacherId,
    corpusId: syntheticCorpus.corpusId,
    trials: planned.map(({ trialId, role }) => ({ trialId, role })),
    bundles: planBundles(planned, request.trialsPerBundle),
    warnings: [],
    createdAt: `2026-02-0${run}T00:00:00.000Z`,
  };
  const results = planned
    .filter((trial) => !options.withoutResult?.(trial))
    .map(({ trialId, spec }) => ({ spec, result: resultOf(trialId, spec, options, run) }));
  return { sweep, results };
}

/** The teacher and every student joined: a receiver loses the more, the further its gap is from the transmitter's. */
export function syntheticCrossDecoding(sweep: SweepRecord, results: SweepResult[]): CrossDecoding | undefined {
  const stored = results.map(({ spec, result }) => ({
    spec,
    result: { ...result, artifacts: [modelFile('final_student_model.safetensors', result.trialId)] },
  }));
  const teacher = { ...syntheticTeacher, files: [modelFile('model.safetensors', 'teacher')] };
  const request = planCrossDecoding(sweep, teacher, syntheticCorpus, stored);
  if (!request) return undefined;
  const gapOf = (label: string) =>
    results.find(({ result }) => result.trialId === label)?.result.summary?.evaluation.divergence.jsd[0] ?? 0;
  const { channel, channelProfile, snrDb, sentences, models } = request;
  const score = (sent: string, heard: string) => 0.94 - gapOf(heard) - 6 * Math.abs(gapOf(sent) - gapOf(heard));
  return {
    channel,
    channelProfile,
    snrDb,
    sentences,
    models: models.map(({ label, file }) => ({ label, sha256: file.sha256 })),
    bleu1: models.map((sent) => models.map((heard) => Math.max(0.03, score(sent.label, heard.label)))),
    numerics: syntheticTeacher.numerics,
  };
}

function modelFile(name: string, of: string): StoredFile {
  return { name, key: `${of}/${name}`, size: 1, sha256: of.padEnd(64, '0'), contentType: 'application/octet-stream' };
}

function resultOf(trialId: string, spec: TrialSpec, options: SyntheticOptions, run: number): TrialResult {
  const failure = options.failing?.(spec);
  const result: TrialResult = {
    trialId,
    status: failure ? 'failed' : 'completed',
    fence: `1-run${run}`,
    worker: `worker-${run}`,
    bundleTrialIds: [trialId],
    artifacts: [],
    startedAt: `2026-02-0${run}T00:00:00.000Z`,
    finishedAt: `2026-02-0${run}T00:01:00.000Z`,
  };
  if (failure) return { ...result, failure: { reason: failure, step: 17 } };
  return { ...result, summary: summaryOf(trialId, spec, options, run) };
}

function summaryOf(trialId: string, spec: TrialSpec, options: SyntheticOptions, run: number): TrialSummary {
  const { effect = 0.35, noise = 0.04, tilt = 0, chance = 0, isEarlier = false, withSentences = true } = options;
  const h = spec.hyperparameters;
  const { snrDb, sentences } = spec.evaluation;
  const taught = isTaught(h) ? h.temperature ** -effect : 1.6;
  const own = noise * normal(`${trialId} gap ${chance}`);
  const tilted = tilt * normal(`seed ${h.seed} ${chance}`) * Math.log2(h.temperature);
  const gap = 0.045 * taught * (1 + own + tilted) * (2 / h.studentLayers) ** 0.3;
  const bestLoss = 0.4 + 2 * gap;
  const epochs = Array.from({ length: 8 }, (_, index) => ({
    epoch: index + 1,
    step: 30 * (index + 1),
    trainLoss: 3 / (index + 1),
    trainCrossEntropy: 2 / (index + 1),
    trainDistillation: 1 / (index + 1),
    validationLoss: bestLoss + (7 - index) * 0.1,
    seconds: 2,
    tokensPerSecond: 9000 + 500 * run,
  }));
  const decoded = (curve: BleuCurve) => (isEarlier ? curve : decodedMore(curve));
  const distance = (curve: DivergenceCurve) => (isEarlier ? curve : divergenceMore(curve));
  const student = countParameters(studentArchitecture(syntheticTeacher.architecture, h));
  const ratio = compressionOf(syntheticTeacher.parameters, student);
  return {
    trialId,
    bestLoss,
    bestEpoch: 8,
    finalLoss: bestLoss,
    epochs,
    steps: 240,
    parameters: { teacher: syntheticTeacher.parameters, student },
    compressionRatio: ratio.total,
    compressionRatioCore: ratio.core,
    evaluation: {
      sentences,
      student: decoded(bleuCurve(snrDb, gap * 0.8)),
      ...(h.createHybrid ? { hybrid: bleuCurve(snrDb, gap * 0.5) } : {}),
      teacher: decoded(bleuCurve(snrDb, 0)),
      divergence: distance(divergenceCurve(snrDb, gap)),
      floor: distance(divergenceCurve(snrDb, 0.006)),
      ceiling: distance(divergenceCurve(snrDb, 0.55)),
      ...(isEarlier
        ? {}
        : { likelihood: { student: likelihoodCurve(snrDb, gap), teacher: likelihoodCurve(snrDb, 0) } }),
      ...(isEarlier || !withSentences ? {} : { sentenceValues: sentenceValues(trialId, sentences, snrDb, gap) }),
    },
    ...(isEarlier
      ? {}
      : {
          latency: {
            sentences: 16,
            student: { medianMs: 20 + run, p95Ms: 30 + run },
            teacher: { medianMs: 35 + run, p95Ms: 50 + run },
          },
        }),
    numerics: syntheticTeacher.numerics,
    trainingSeconds: 16 + run,
    evaluationSeconds: 4 + run,
  };
}

/** A link that works from about 3 dB on. */
function bleuCurve(snrDb: number[], loss: number): BleuCurve {
  const level = (best: number, at: number) => snrDb.map((snr) => (best - loss) / (1 + Math.exp(-(snr - at) / 2.2)));
  return { snrDb, bleu1: level(0.95, -1), bleu2: level(0.91, 0), bleu3: level(0.87, 1), bleu4: level(0.83, 2) };
}

/** What records of this version hold besides. */
function decodedMore(curve: BleuCurve): BleuCurve {
  const geometric = (order: number) =>
    curve.snrDb.map((_, index) =>
      ([curve.bleu1, curve.bleu2, curve.bleu3, curve.bleu4] as const)
        .slice(0, order)
        .reduce((product, values) => product * Math.max(0, values[index] ?? 0) ** (1 / order), 1),
    );
  return {
    ...curve,
    cumulativeBleu2: geometric(2),
    cumulativeBleu3: geometric(3),
    cumulativeBleu4: geometric(4),
    corpusBleu: geometric(4).map((value) => 0.98 * value),
    exactSentences: curve.bleu4.map((value) => Math.max(0, value) ** 3),
    wordErrorRate: curve.bleu1.map((value) => 1 - value),
  };
}

function likelihoodCurve(snrDb: number[], gap: number): LikelihoodCurve {
  const accuracy = bleuCurve(snrDb, gap).bleu1;
  return {
    snrDb,
    crossEntropy: accuracy.map((value) => 0.3 + 4 * (1 - value)),
    tokenAccuracy: accuracy,
    calibrationError: accuracy.map((value) => 0.02 + 0.1 * (1 - value)),
  };
}

/** Hard sentences are hard for every student; a student's own part is small. */
function sentenceValues(trialId: string, sentences: number, snrDb: number[], gap: number): SentenceValues {
  const common = (i: number) => 1 + 0.6 * normal(`sentence ${i}`);
  const own = (i: number) => 0.15 * normal(`${trialId} sentence ${i}`);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const jsd = mean(divergenceCurve(snrDb, gap).jsd);
  const bleu1 = mean(bleuCurve(snrDb, gap * 0.8).bleu1);
  const places = Array.from({ length: sentences }, (_, i) => i);
  return {
    tokens: places.map((i) => 6 + (i % 9)),
    jsd: places.map((i) => Math.max(0, jsd * (common(i) + own(i)))),
    bleu1: places.map((i) => Math.min(1, Math.max(0, bleu1 + (1 - bleu1) * (0.5 * common(i) + own(i) - 0.5)))),
  };
}

function divergenceCurve(snrDb: number[], gap: number): DivergenceCurve {
  const at = (scale: number) => snrDb.map((snr) => Math.min(Math.LN2, gap * scale * (0.6 + 1.4 * Math.exp(-snr / 5))));
  return {
    snrDb,
    jsd: at(1),
    kl: at(4.2),
    reverseKl: at(4.9),
    top1Agreement: at(2).map((value) => Math.max(0, 1 - value)),
    top5Overlap: at(3).map((value) => Math.max(0, 1 - value)),
  };
}

function divergenceMore(curve: DivergenceCurve): DivergenceCurve {
  const from = (values: number[], scale: number) => values.map((value) => Math.max(0, 1 - scale * value));
  return {
    ...curve,
    agreementTeacherRight: from(curve.jsd, 1),
    agreementTeacherWrong: from(curve.jsd, 4),
    entropyGap: curve.jsd.map((value) => -value),
    ckaEncOut: from(curve.jsd, 0.5),
    ckaChEncOut: from(curve.jsd, 0.7),
    ckaMemory: from(curve.jsd, 0.9),
    ckaDecOut: from(curve.jsd, 1.1),
  };
}

/** A standard normal number that depends on the text only (FNV-1a, then Box-Muller). */
function normal(text: string): number {
  const uniform = (salt: string) => {
    let hash = 0x811c9dc5;
    for (const character of salt + text) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
    hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b) >>> 0;
    return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
  };
  return Math.sqrt(-2 * Math.log(uniform('a') + 2 ** -33)) * Math.cos(2 * Math.PI * uniform('b'));
}
