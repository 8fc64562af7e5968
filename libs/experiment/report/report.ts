// The report of a sweep as data. Everything outside `run` depends on results alone: two runs of one sweep give equal
// reports but for `run`, where ids, times and machines stand.

import type {
  Architecture,
  EvaluationSettings,
  Hyperparameters,
  Numerics,
  ParameterCounts,
  TrialRole,
  Warning,
} from '../records.js';
import type { Estimate } from '../statistics/index.js';

export const BLEU_CURVES = ['bleu1', 'bleu2', 'bleu3', 'bleu4'] as const;
export const DIVERGENCE_CURVES = ['jsd', 'kl', 'reverseKl', 'top1Agreement', 'top5Overlap'] as const;
export const HYBRID_CURVES = ['hybridBleu1', 'hybridBleu2', 'hybridBleu3', 'hybridBleu4'] as const;
/** teacher - student, the same sentences and noise */
export const GAP_CURVES = ['gapBleu1', 'gapBleu2', 'gapBleu3', 'gapBleu4'] as const;
export const CURVES = [...BLEU_CURVES, ...HYBRID_CURVES, ...GAP_CURVES, ...DIVERGENCE_CURVES] as const;

export type BleuCurveName = (typeof BLEU_CURVES)[number];
export type DivergenceCurveName = (typeof DIVERGENCE_CURVES)[number];
export type CurveName = (typeof CURVES)[number];
/** Hybrid curves are absent where no hybrid was made. */
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
  parameters: ParameterCounts;
  compressionRatio: number;
  compressionRatioCore: number;
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
  p: number;
  pHolm: number;
  /** number of tests in the family */
  tests: number;
  isSignificant: boolean;
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
  /** Present when the conclusion is 'significant-differences'. */
  largestGap?: Aim;
  balanced?: Aim;
  smallestGap?: Aim;
  /** Temperature sweeps: does the gap fall as the temperature rises, as the rule of thumb has it? */
  ruleOfThumb?: 'supported' | 'contradicted' | 'mixed' | 'undecided';
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
  }[];
  /** In the order of `settings`. Trials of a bundle train side by side, so a trial's seconds are its bundle's. */
  speed: { trainingSeconds: Estimate; evaluationSeconds: Estimate; tokensPerSecond: Estimate }[];
}

export interface Report {
  format: 1;
  name: string;
  kind: 'sweep' | 'distillation';
  teacher: { teacherId: string; name: string; architecture: Architecture; parameters: ParameterCounts };
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
  counts: { trials: number; completed: number; failed: number; missing: number };
  settings: ReportSetting[];
  trials: ReportTrial[];
  /** Mean over trials: the teacher's own BLEU; teacher against itself (floor); untrained student (ceiling). */
  anchors: {
    teacher: Record<BleuCurveName, number[]>;
    floor: Record<DivergenceCurveName, number[]>;
    ceiling: Record<DivergenceCurveName, number[]>;
  } | null;
  comparisons: Comparison[];
  /** True when settings were too many to test all pairs: then each is tested against its baseline only. */
  isPairTestingOmitted: boolean;
  verdicts: SeriesVerdict[];
  findings: Finding[];
  failures: ReportFailure[];
  /** Trials of the sweep without a result (cancelled). */
  missing: string[];
  warnings: Warning[];
  run: RunSection;
}

/** The rule of thumb of the field for one temperature; null where it says nothing. */
export function ruleOfThumb(temperature: number): 'large-gap' | 'balanced' | 'small-gap' | null {
  if (temperature >= 1 && temperature <= 2) return 'large-gap';
  if (temperature >= 3 && temperature <= 5) return 'balanced';
  if (temperature >= 6 && temperature <= 10) return 'small-gap';
  return null;
}
