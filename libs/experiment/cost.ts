// What a sweep will take of device time and of the clock, before it starts: from what trainings of the same shape took, else from what
// the device managed on others, else from a stated rate. Pure; the rates are the record's (keys.rate), written by workers.
import { canonicalJson, shapeIdOf } from './identity.js';
import { countMacs, countParameters, studentArchitecture } from './parameters.js';
import type { BundleRate, CorpusRecord, CostEstimate, TeacherRecord, TrialSpec } from './records.js';

/** Multiply-accumulates a second and thread, where nothing was ever measured: TensorFlow on one core of a server CPU of about 2020. */
export const STATED_RATE = { training: 9e9, evaluation: 6e9 };
/** What a bundle takes beside training and evaluation: the trainer's start, files read and stored. */
const STATED_OVERHEAD_SECONDS = 4;
/** Reads and writes of one parameter by the optimizer, in multiply-accumulates that take as long. */
const MACS_A_PARAMETER_STEP = 6;

/** One group of trials to be trained together. */
export interface CostedBundle {
  /** of any of its trials; they differ in nothing that takes time */
  spec: TrialSpec;
  students: number;
}

export interface CostContext {
  teacher: Pick<TeacherRecord, 'architecture'>;
  corpus: Pick<CorpusRecord, 'sentences' | 'tokens'>;
}

export interface Work {
  training: number;
  evaluation: number;
  steps: number;
}

/** Multiply-accumulates of training and of measuring a bundle; three forward passes' worth for a pass there and back. */
export function bundleWork({ spec, students }: CostedBundle, { teacher, corpus }: CostContext): Work {
  const { hyperparameters: h, evaluation } = spec;
  const student = studentArchitecture(teacher.architecture, h);
  const tokens = corpus.tokens.train / Math.max(1, corpus.sentences.train);
  const taught = countMacs(teacher.architecture, tokens);
  const whole = countMacs(student, tokens);
  const transmitter = whole - countMacs({ ...student, encoderLayers: 0 }, tokens);
  const isKept = h.distillPart !== 'full' && h.freezeKeptSide;
  // Behind a frozen transmitter nothing goes back; through a frozen receiver it has to.
  const a = isKept && h.distillPart === 'decoder' ? 3 * (whole - transmitter) : 0;
  const b = isKept && h.distillPart === 'encoder' ? 2 * (whole - transmitter) + 3 * transmitter : 0;
  const sentences = Math.min(h.sentencesPerEpoch ?? corpus.sentences.train, corpus.sentences.train);
  const steps = h.epochs * Math.ceil(sentences / h.batchSize);
  const learned = students * (a || b || 3 * whole);
  const validated = students * whole * Math.min(Math.max(evaluation.sentences, 200), corpus.sentences.test);
  const updates = steps * students * countParameters(student).total * MACS_A_PARAMETER_STEP;
  const passes = evaluation.sentences * evaluation.snrDb.length;
  return {
    training: h.epochs * (sentences * (learned + taught) + validated) + updates,
    // Decoding and distances of the students, decoding of the teacher and its part in three distances, floor and ceiling.
    evaluation: passes * (2 * students * whole + whole + 5 * taught),
    steps,
  };
}

/** What was measured of a bundle that one process trained from its beginning to its end. */
export function rateOf(
  bundle: CostedBundle,
  context: CostContext,
  measured: Pick<BundleRate, 'trainingSeconds' | 'evaluationSeconds' | 'overheadSeconds' | 'device' | 'measuredAt'>,
): BundleRate {
  return { shape: shapeIdOf(bundle.spec), students: bundle.students, work: bundleWork(bundle, context), ...measured };
}

/** What is known: rates of the bundle's shape, and rates of any shape; the newest first, those of devices at hand before others. */
export interface KnownRates {
  ofShape(shape: string): readonly BundleRate[];
  any: readonly BundleRate[];
}

/** Costs of all bundles, one after another on the workers as they become free. `workers` 0 is counted as one to come. */
export function estimateCost(
  bundles: readonly CostedBundle[],
  context: CostContext,
  known: KnownRates,
  { workers, threads }: { workers: number; threads: number },
): CostEstimate {
  const parts = bundles.map((bundle) => bundleCost(bundle, context, known, threads));
  const busyUntil = new Array<number>(Math.max(1, workers)).fill(0);
  for (const { seconds, overhead } of parts) {
    const next = busyUntil.indexOf(Math.min(...busyUntil));
    busyUntil[next] = (busyUntil[next] ?? 0) + seconds + overhead;
  }
  const source = SOURCES.find((one) => parts.some((part) => part.source === one)) ?? 'same-shape';
  return {
    deviceSeconds: rounded(parts.reduce((sum, { seconds }) => sum + seconds, 0)),
    wallSeconds: rounded(Math.max(...busyUntil)),
    workers,
    source,
  };
}

/** The weakest first: an estimate is as good as its weakest part. */
const SOURCES = ['stated-rate', 'same-device', 'same-shape'] as const;

function bundleCost(bundle: CostedBundle, context: CostContext, known: KnownRates, threads: number) {
  const work = bundleWork(bundle, context);
  const ofShape = known.ofShape(shapeIdOf(bundle.spec));
  const distance = ({ students }: BundleRate) => Math.abs(students - bundle.students);
  const [like] = [...ofShape].sort((a, b) => distance(a) - distance(b));
  const rate = like ?? known.any[0];
  if (!rate) {
    const seconds =
      work.training / (STATED_RATE.training * threads) + work.evaluation / (STATED_RATE.evaluation * threads);
    return { seconds, overhead: STATED_OVERHEAD_SECONDS, source: 'stated-rate' as const };
  }
  const seconds =
    (rate.trainingSeconds * work.training) / rate.work.training +
    (rate.evaluationSeconds * work.evaluation) / rate.work.evaluation;
  return { seconds, overhead: rate.overheadSeconds, source: like ? ('same-shape' as const) : ('same-device' as const) };
}

function rounded(seconds: number): number {
  return Number(seconds.toPrecision(3));
}

/** Devices that compute alike, as far as a record can tell. */
export function isSameDevice(a: BundleRate['device'], b: BundleRate['device']): boolean {
  return canonicalJson({ ...a }) === canonicalJson({ ...b });
}
