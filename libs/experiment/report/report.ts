// The report of a sweep as data. Everything outside `run` depends on results alone: two runs of one sweep give equal
// reports but for `run`, where ids, times and machines stand.

import type {
  Architecture,
  CostEstimate,
  EvaluationSettings,
  Hyperparameters,
  Numerics,
  ParameterCounts,
  PrunedFacts,
  TrialRole,
  Warning,
} from '../records.js';
import type { Estimate, Interval, Trend } from '../statistics/index.js';
import type { Channel, ChannelProfile } from '../terms.js';

export const BLEU_CURVES = ['bleu1', 'bleu2', 'bleu3', 'bleu4'] as const;
/** What greedy decoding gives, of a student or the teacher. */
export const DECODED_CURVES = [
  ...BLEU_CURVES,
  'cumulativeBleu2',
  'cumulativeBleu3',
  'cumulativeBleu4',
  'corpusBleu',
  'exactSentences',
  'wordErrorRate',
  'sentenceSimilarity',
  'sentenceSimilarityFloor',
] as const;
/** What a model says of the right words, of a student or the teacher. */
export const LIKELIHOOD_CURVES = ['crossEntropy', 'tokenAccuracy', 'calibrationError'] as const;
export const CKA_CURVES = ['ckaEncOut', 'ckaChEncOut', 'ckaMemory', 'ckaDecOut'] as const;
/** Distances to the teacher. jsdShare is JSD / ln 2, from 0 to 1. */
export const DIVERGENCE_CURVES = [
  'jsd',
  'jsdShare',
  'kl',
  'reverseKl',
  'top1Agreement',
  'top5Overlap',
  'agreementTeacherRight',
  'agreementTeacherWrong',
  'entropyGap',
  ...CKA_CURVES,
] as const;
export const HYBRID_CURVES = ['hybridBleu1', 'hybridBleu2', 'hybridBleu3', 'hybridBleu4'] as const;
/** teacher - student, the same sentences and noise */
export const GAP_CURVES = ['gapBleu1', 'gapBleu2', 'gapBleu3', 'gapBleu4'] as const;
export const CURVES = [
  ...DECODED_CURVES,
  ...HYBRID_CURVES,
  ...GAP_CURVES,
  ...LIKELIHOOD_CURVES,
  ...DIVERGENCE_CURVES,
] as const;

export type OwnCurveName = (typeof DECODED_CURVES)[number] | (typeof LIKELIHOOD_CURVES)[number];
export type DivergenceCurveName = (typeof DIVERGENCE_CURVES)[number];
export type CurveName = (typeof CURVES)[number];
/** Hybrid curves are absent where no hybrid was made; measures that a record of an earlier version lacks are absent too. */
export type PerCurve<Value> = { [name in CurveName]?: Value };

/** An estimate at each SNR; sd, low and high are null with one seed. */
export interface EstimateCurve {
  n: number;
  mean: number[];
  sd: number[] | null;
  low: number[] | null;
  high: number[] | null;
}

/** All trials that differ in nothing but the seed. */
export interface ReportSetting {
  /** e.g. 'T=4' or 'T=4, layers=2'; 'no teacher' for a baseline */
  label: string;
  kind: 'distilled' | 'baseline';
  role: TrialRole;
  /** The varied hyperparameters; a baseline has no temperature and no weight. */
  values: Partial<Hyperparameters>;
  /** What varies besides the axis, as a label; settings of one series differ in the axis only. */
  series: string;
  seeds: number[];
  trialIds: string[];
  /** of the best epoch */
  validationLoss: Estimate;
  finalLoss: Estimate;
  curves: PerCurve<EstimateCurve>;
  /** at `headlineSnrDb` */
  atHeadline: PerCurve<Estimate>;
  meanOverSnr: PerCurve<Estimate>;
  /** 95 % intervals when seeds and sentences are both drawn anew; absent where records hold no values per sentence. */
  crossed?: { jsd: Interval; bleu1: Interval };
  /**
   * The mean JSD over that of the untrained student. (The floor is no zero for it: on common noise, as here, a teacher is no way from
   * itself, while other noise alone may move it further than the student is.)
   */
  gapShare: number | null;
  /** Validation loss by epoch, over the seeds that reached it. */
  learning: LearningPoint[];
  parameters: ParameterCounts;
  compressionRatio: number;
  compressionRatioCore: number;
  /** float32 parameters */
  bytes: number;
  /** Multiply-accumulates for one sentence of the corpus's mean length, sent, received and decoded. */
  macsPerSentence: number;
}

export interface LearningPoint extends Estimate {
  epoch: number;
}

export interface ReportTrial {
  trialId: string;
  /** index into `settings` */
  setting: number;
  seed: number;
  validationLoss: number;
  bestEpoch: number;
  finalLoss: number;
  atHeadline: PerCurve<number>;
  meanOverSnr: PerCurve<number>;
}

/** What paired tests are made of; chosen before any result is seen. */
export const TESTED_MEASURES = ['jsd', 'bleu1', 'validationLoss', 'hybridBleu1'] as const;
export type TestedMeasure = (typeof TESTED_MEASURES)[number];

/** Setting a minus setting b, paired by seed; p-values are Holm-corrected within measure and family. */
export interface Comparison {
  family: 'settings' | 'baseline';
  measure: TestedMeasure;
  /** indices into `settings` */
  a: number;
  b: number;
  n: number;
  difference: number;
  low: number;
  high: number;
  /** sample standard deviation of the differences */
  sd: number;
  /** Hedges' g of the paired differences; null with two seeds or no spread */
  hedgesG: number | null;
  /** 95 % interval when seeds and sentences are both drawn anew; null where records hold no values per sentence */
  crossed: Interval | null;
  p: number;
  pHolm: number;
  /** number of tests in the family, trends included */
  tests: number;
  isSignificant: boolean;
}

/** Does the measure go one way along the axis? Page's test, seeds as blocks; in the Holm family of the pairs, with half its level. */
export interface SeriesTrend extends Trend {
  measure: TestedMeasure;
  series: string;
  /** indices into `settings`, along the axis */
  settings: number[];
  /** What the slope is per: one doubling, or one unit of the axis. */
  scale: 'log2' | 'linear';
  pHolm: number;
  tests: number;
  /** pHolm below 0.05, and every seed by itself goes the same way */
  isSignificant: boolean;
}

/** What so many seeds can see; by the noncentral t distribution at the level of the first step of Holm's correction. */
export interface PowerNote {
  seeds: number;
  /** Root mean square over the pairs of the standard deviation of the differences. */
  sd: number;
  alpha: number;
  /** The smallest difference found four times in five. */
  detectable: number;
  /** The largest difference that is not significant; null when all are. */
  largestUnseen: number | null;
  /** How many seeds would find it four times in five; null when more than 200, or nothing is unseen. */
  seedsNeeded: number | null;
}

/** Share of the variance of the gap (epsilon²) that one varied hyperparameter accounts for by itself. */
export interface Importance {
  name: keyof Hyperparameters;
  /** different values */
  levels: number;
  share: number;
}

export interface FileHash {
  name: string;
  sha256: string;
}

/** BLEU-1 of every transmitter with every receiver, models of one seed with each other; rows and columns are parties. */
export interface CrossSection {
  channel: Channel;
  channelProfile: ChannelProfile;
  snrDb: number;
  sentences: number;
  /** null: the teacher; else an index into `settings` */
  parties: (number | null)[];
  /** [transmitter][receiver]: mean and interval over seeds; null where the two have no seed in common */
  bleu1: (Estimate | null)[][];
  /** [transmitter][receiver]: BLEU-1 that the receiver loses against its own transmitter, BLEU(j, j) - BLEU(i, j), paired by seed */
  mismatch: (Estimate | null)[][];
  /** [transmitter][receiver]: the mean over transmitters and receivers of different seeds; null where there are none. */
  otherSeeds: (number | null)[][];
  /** every pair measured, in the order of `models` */
  models: { label: string; sha256: string }[];
  pairs: number[][];
}

export interface Texts {
  en: string;
  zh: string;
}

export type Conclusion =
  | 'nothing-completed'
  | 'one-setting'
  | 'single-seed'
  /** too many settings to test all pairs */
  | 'not-tested'
  | 'no-significant-difference'
  /** The measure goes one way along the axis, but no two settings can be told apart. */
  | 'significant-trend'
  | 'significant-differences';

/** Which setting serves an aim, and which others cannot be told from it. Indices into `settings`. */
export interface Aim {
  setting: number;
  indistinguishable: number[];
}

export interface SeriesVerdict {
  series: string;
  conclusion: Conclusion;
  /** Settings from the largest to the smallest gap (mean JSD to the teacher). */
  ranking: number[];
  /** Present when the conclusion is 'significant-differences' or 'significant-trend'. */
  largestGap?: Aim;
  balanced?: Aim;
  smallestGap?: Aim;
  /** Temperature sweeps: does the gap fall as the temperature rises, as the rule of thumb has it? */
  ruleOfThumb?: 'supported' | 'contradicted' | 'mixed' | 'undecided';
  /** Present where pairs were tested. */
  power?: PowerNote;
  text: Texts[];
}

/** Something a reader must know before trusting a number. */
export interface Finding {
  code: string;
  /** indices into `settings` */
  settings: number[];
  text: Texts;
}

export interface ReportFailure {
  trialId: string;
  label: string;
  seed: number;
  reason: string;
  step?: number;
}

export interface ReportPruned extends Omit<ReportFailure, 'step'> {
  cause: PrunedFacts['cause'];
  // Where it had begun:
  epochs?: number;
  /** of its best epoch */
  validationLoss?: number;
  /** What early stopping compared. */
  value?: number | null;
}

export interface RunSection {
  sweepId: string;
  owner: string;
  createdAt: string;
  numerics: Numerics[];
  trials: {
    trialId: string;
    worker: string;
    startedAt: string;
    finishedAt: string;
    trainingSeconds: number;
    evaluationSeconds: number;
    tokensPerSecond: number;
    /** models and evaluation, as this run made them */
    files: FileHash[];
  }[];
  /** In the order of `settings`. Trials of a bundle train side by side, so a trial's seconds are its bundle's. */
  speed: {
    trainingSeconds: Estimate;
    evaluationSeconds: Estimate;
    tokensPerSecond: Estimate;
    /** Median over trials of the median time of one sentence; null where no record has it. */
    latencyMs: number | null;
  }[];
  teacherLatencyMs: number | null;
  /** What it was expected to take and what it took, device-seconds; null where nothing was expected (earlier versions). */
  cost: { expected: CostEstimate | null; deviceSeconds: number };
}

export interface Report {
  format: 2;
  name: string;
  kind: 'sweep' | 'distillation';
  teacher: {
    teacherId: string;
    name: string;
    architecture: Architecture;
    parameters: ParameterCounts;
    bytes: number;
    macsPerSentence: number;
  };
  corpus: {
    corpusId: string;
    name: string;
    vocabularySize: number;
    sentences: { train: number; test: number };
  };
  evaluation: EvaluationSettings;
  /** The measured SNR nearest to 12 dB. */
  headlineSnrDb: number;
  seeds: number[];
  /** Hyperparameters that vary, seed aside, in the field table's order. */
  varied: (keyof Hyperparameters)[];
  /** What the charts have on x: temperature when it varies, else the first that varies. */
  axis: keyof Hyperparameters | null;
  /** Hyperparameters all trials share. */
  fixed: Partial<Hyperparameters>;
  counts: { trials: number; completed: number; failed: number; pruned: number; missing: number };
  settings: ReportSetting[];
  trials: ReportTrial[];
  /** Mean over trials: the teacher's own BLEU; teacher against itself (floor); untrained student (ceiling). */
  anchors: {
    teacher: { [name in OwnCurveName]?: number[] };
    floor: { [name in DivergenceCurveName]?: number[] };
    ceiling: { [name in DivergenceCurveName]?: number[] };
  } | null;
  comparisons: Comparison[];
  trends: SeriesTrend[];
  /** True when settings were too many to test all pairs: then each is tested against its baseline only. */
  isPairTestingOmitted: boolean;
  verdicts: SeriesVerdict[];
  /** Null where no models were joined. */
  crossDecoding: CrossSection | null;
  /** Empty unless two or more hyperparameters vary. */
  importances: Importance[];
  findings: Finding[];
  failures: ReportFailure[];
  /** Trials that the sweep gave up before their end; they take part in no comparison. */
  pruned: ReportPruned[];
  /** Trials of the sweep without a result (cancelled). */
  missing: string[];
  warnings: Warning[];
  /** What makes the same numbers again: the request with ids in place of names, and what to type. */
  reproduction: { command: string; request: unknown };
  hashes: { teacher: FileHash[]; corpus: FileHash[] };
  run: RunSection;
}

/** The rule of thumb of the field for one temperature; null where it says nothing. */
export function ruleOfThumb(temperature: number): 'large-gap' | 'balanced' | 'small-gap' | null {
  if (temperature >= 1 && temperature <= 2) return 'large-gap';
  if (temperature >= 3 && temperature <= 5) return 'balanced';
  if (temperature >= 6 && temperature <= 10) return 'small-gap';
  return null;
}
