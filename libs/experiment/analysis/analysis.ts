// What an analysis of two models holds: measurements as a worker makes them, and the report made of them. A is the reference, B the other.
import type {
  Architecture,
  DecodedCurve,
  DivergenceCurve,
  LikelihoodCurve,
  Numerics,
  ParameterCounts,
  StoredFile,
  Warning,
} from '../records.js';
import type { Channel } from '../terms.js';
import type { AnalysisConditions } from './request.js';

/** Means over the same sentences, whose difference between A and B is tested, in reading order. */
export const TESTED_DIFFERENCES = [
  'bleu1',
  'bleu2',
  'bleu3',
  'bleu4',
  'cumulativeBleu2',
  'cumulativeBleu3',
  'cumulativeBleu4',
  'exactSentences',
  'wordErrorRate',
  'crossEntropy',
  'tokenAccuracy',
] as const;
export type TestedDifference = (typeof TESTED_DIFFERENCES)[number];

/** Of these less is better. */
export const LESS_IS_BETTER: readonly string[] = ['wordErrorRate', 'crossEntropy', 'calibrationError'];

/** What one model gives, index = SNR. */
export interface ModelCurves {
  decoded: DecodedCurve;
  likelihood: LikelihoodCurve;
}

/** What one model does with one sentence at the headline SNR. */
export interface ReceivedSentence {
  text: string;
  bleu1: number;
  cumulativeBleu4: number;
  /** Word edits between what was sent and what arrived. */
  wordErrors: number;
}

export interface SentenceComparison {
  /** Place among the test sentences, from 0. */
  sentence: number;
  source: string;
  reference: ReceivedSentence;
  other: ReceivedSentence;
  /** between the two models' distributions, teacher-forced; nats per token */
  jsd: number;
}

/** Means over SNR of each sentence, in the order of the test split; wordErrorRate holds word edits, not yet divided. */
export type SentenceMeans = Record<TestedDifference, number[]>;

/** What is measured over one channel. */
export interface MeasuredChannel {
  channel: Channel;
  reference: ModelCurves;
  other: ModelCurves;
  /** B against A (as a student against its teacher) on common noise. */
  divergence: Required<DivergenceCurve>;
  /** A against itself under other noise. */
  floor: Required<DivergenceCurve>;
  /** One model's transmitter with the other's receiver. */
  crossed: { referenceSends: DecodedCurve; otherSends: DecodedCurve };
  /** Of each sentence: real tokens, words sent, and what both models make of it. */
  sentenceMeans: { tokens: number[]; words: number[]; reference: SentenceMeans; other: SentenceMeans };
  sentences: SentenceComparison[];
}

/** Time from tokens to decoded tokens of one sentence by itself. */
export interface AnalysisLatency {
  sentences: number;
  reference: { medianMs: number; p95Ms: number };
  other: { medianMs: number; p95Ms: number };
}

/** B less A in the mean over SNR, over the same sentences. */
export interface ModelDifference {
  measure: TestedDifference;
  reference: number;
  other: number;
  difference: number;
  low: number;
  high: number;
  p: number;
  pHolm: number;
  isSignificant: boolean;
}

export interface AnalysisOfChannel extends Omit<MeasuredChannel, 'sentenceMeans'> {
  differences: ModelDifference[];
  /** Places in `sentences` where B loses most against A in BLEU-1, the worst first. */
  worst: number[];
  /** And where it gains most. */
  gained: number[];
  /** Sentences that the two receive otherwise. */
  differing: number;
}

export interface AnalysedModel {
  label: string;
  /** of the model file */
  sha256: string;
  architecture: Architecture;
  parameters: ParameterCounts;
  bytes: number;
  macsPerSentence: number;
}

export interface AnalysisFinding {
  code: string;
  text: { en: string; zh: string };
}

/** Everything but `run` is a function of models, corpus, conditions and numerics. */
export interface AnalysisReport {
  format: 1;
  reference: AnalysedModel;
  other: AnalysedModel;
  corpus: { corpusId: string; name: string; vocabularySize: number };
  /** `sentences`: as many as there were. */
  conditions: AnalysisConditions;
  channels: AnalysisOfChannel[];
  findings: AnalysisFinding[];
  warnings: Warning[];
  run: { numerics: Numerics; latency: AnalysisLatency };
}

/** What the record of a finished analysis holds; the report itself is one of the files. */
export interface AnalysisResult {
  /** of everything in the report but `run`, as canonical JSON */
  contentSha256: string;
  files: StoredFile[];
}

/** The report without what is long: of the sentences those that are worst, and most gained, alone. */
export function withoutSentences(report: AnalysisReport): AnalysisReport {
  const channels = report.channels.map((channel) => {
    const shown = [...channel.worst, ...channel.gained];
    return {
      ...channel,
      sentences: shown.flatMap((place) => channel.sentences[place] ?? []),
      worst: channel.worst.map((_, index) => index),
      gained: channel.gained.map((_, index) => channel.worst.length + index),
    };
  });
  return { ...report, channels };
}

/** How much of the reference's BLEU-1 the other lacks. */
export function lossOf({ reference, other }: SentenceComparison): number {
  return reference.bleu1 - other.bleu1;
}
