// What the object store holds, as types: corpora, teachers, trials, results, sweeps. JSON only; nothing here is mutable
// once written (see keys.ts in libs/storage for where each lies).

import type { Hyperparameters } from './hyperparameters.js';
import type { BleuCurve, EpochMetrics, Latency, TrialEvaluation } from './measurements.js';
import type { Channel, ChannelProfile, Split, StoppingMeasure, SweepStatus } from './terms.js';

export type { Hyperparameters } from './hyperparameters.js';
export * from './measurements.js';
export * from './preparations.js';

/** Part of every trial's identity: raised when the same request would give other numbers than before. */
export const NUMERICS_VERSION = 1;

/** The sizes of a DeepSC. */
export interface Architecture {
  vocabularySize: number;
  dModel: number;
  dff: number;
  heads: number;
  encoderLayers: number;
  decoderLayers: number;
}

/** A stored file: `name` is what users know it by, `key` where it lies in the store. */
export interface StoredFile {
  name: string;
  key: string;
  size: number;
  /** hex */
  sha256: string;
  contentType: string;
}

// ---------------------------------------------------------------------------------------------------------- corpora

export interface CorpusOptions {
  /** A sentence is kept when it has at least this many words ('.', '!', '?' count as words, as in the reference). */
  minWords: number;
  maxWords: number;
  /** Words seen less often become <UNK>. */
  minCount: number;
  /** When set, only sentences wholly inside the commonest `topWords` words are kept (no <UNK> at all). */
  topWords?: number;
  /** Share of the sentences that go to training. */
  trainShare: number;
  /** Which ones; absent (built-in corpora, and all of earlier versions): by order. */
  split?: Split;
}

/** What a corpus is like, for people to look at before they train on it. */
export interface CorpusStatistics {
  /**
   * Of a text: its lines, those of the right length, the different sentences among them, and those kept. Split by hash: how many
   * of the kept were left out of the test all the same, because training has them but for rare words.
   */
  text?: { lines: number; inLength: number; unique: number; kept: number; testLeftOut?: number };
  /** START and END included */
  tokensPerSentence: { min: number; mean: number; max: number };
  /** Share of the tokens that the vocabulary knows; the rest are <UNK>. */
  coverage: number;
  /** Words of the vocabulary that no training sentence holds. */
  wordsUnseenInTraining: number;
  /** Training sentences that stand there more than once, counted without their first. */
  repeatedInTraining: number;
  /** Test sentences that training holds too: a score on them says nothing. */
  testInTraining: number;
}

export interface CorpusRecord {
  corpusId: string;
  name: string;
  source:
    | { kind: 'builtin'; builtin: string; version: string }
    | { kind: 'text'; sha256: string; fileName: string }
    | { kind: 'tokens'; files: { fileName: string; sha256: string }[] };
  /** Absent when the sentences came as token ids, made elsewhere. */
  options?: CorpusOptions;
  vocabularySize: number;
  /** Longest sentence in tokens, START and END included. */
  maxTokens: number;
  sentences: { train: number; test: number };
  tokens: { train: number; test: number };
  /** Absent in records of earlier versions. */
  statistics?: CorpusStatistics;
  /** vocab.json, train.json, test.json */
  files: StoredFile[];
  createdAt: string;
}

// --------------------------------------------------------------------------------------------------------- teachers

/** How a teacher is trained here. */
export interface TeacherTraining {
  layers: number;
  dModel: number;
  dff: number;
  heads: number;
  batchSize: number;
  epochs: number;
  learningRate: number;
  weightDecay: number;
  dropout: number;
  channel: Channel;
  channelProfile: ChannelProfile;
  /** The SNR of each training step is drawn uniformly from this range. */
  trainSnrDb: [number, number];
  seed: number;
}

export interface Numerics {
  /** 'tensorflow' or 'wasm' */
  backend: string;
  /** e.g. 'TensorFlow 2.15.1' */
  library: string;
  threads: number;
  device: string;
}

export interface TeacherRecord {
  teacherId: string;
  name: string;
  architecture: Architecture;
  corpusId: string;
  origin:
    | { kind: 'builtin'; builtin: string }
    | { kind: 'trained'; training: TeacherTraining }
    | { kind: 'imported'; fileName: string; sha256: string };
  parameters: ParameterCounts;
  scores: BleuCurve & { channel: Channel; channelProfile: ChannelProfile; sentences: number };
  /** What the scores say against its use; absent when nothing. */
  warnings?: Warning[];
  /** model.safetensors */
  files: StoredFile[];
  numerics: Numerics;
  /** Where its training was taken up from a checkpoint, and where memory did not hold whole batches. */
  resumes?: TrainingResume[];
  microBatches?: MicroBatches[];
  createdAt: string;
}

/** Two stored models joined; its id is that of the preparation that made it. */
export interface HybridRecord {
  hybridId: string;
  name: string;
  /** Where each side comes from: the label and the content of that model. */
  transmitter: { label: string; sha256: string };
  receiver: { label: string; sha256: string };
  architecture: Architecture;
  corpusId: string;
  parameters: ParameterCounts;
  scores: TeacherRecord['scores'];
  warnings: Warning[];
  /** hybrid_model.safetensors */
  files: StoredFile[];
  numerics: Numerics;
  createdAt: string;
}

export interface ParameterCounts {
  total: number;
  /** without embeddings and output layer */
  core: number;
}

// ----------------------------------------------------------------------------------------------------------- trials

/** How a trained student is measured; part of the trial. */
export interface EvaluationSettings {
  snrDb: number[];
  /** The first this many test sentences. */
  sentences: number;
  /** Only where it was asked for, so that trials without it keep their ids. */
  sentenceSimilarity?: true;
}

export interface TrialSpec {
  numericsVersion: number;
  teacherId: string;
  corpusId: string;
  hyperparameters: Hyperparameters;
  evaluation: EvaluationSettings;
}

export interface TrialRecord {
  trialId: string;
  spec: TrialSpec;
  createdAt: string;
}

/** What the trainer knows when a trial has ended well; numbers only, no files. */
export interface TrialSummary {
  trialId: string;
  bestLoss: number;
  bestEpoch: number;
  finalLoss: number;
  epochs: EpochMetrics[];
  steps: number;
  parameters: { teacher: ParameterCounts; student: ParameterCounts };
  compressionRatio: number;
  compressionRatioCore: number;
  evaluation: TrialEvaluation;
  numerics: Numerics;
  /** The trial's share of the time spent, over all processes that trained it. */
  trainingSeconds: number;
  evaluationSeconds: number;
  /** Absent in records of earlier versions. */
  latency?: Latency;
  /** Bytes that training was expected to take at its peak, for the whole bundle. */
  predictedMemoryBytes?: number;
  /** Where another process went on from a checkpoint, and by what the steps before were computed. Absent: trained in one go. */
  resumes?: TrainingResume[];
  /** Where memory no longer held a whole batch: from that step on it was computed in so many parts. Absent: never. */
  microBatches?: MicroBatches[];
}

export interface TrainingResume {
  step: number;
  /** What the steps before were computed by; other numerics after it may give other last bits. */
  numerics: Numerics;
  hasOtherNumerics: boolean;
}

/** From this step on a batch was computed in so many parts. */
export interface MicroBatches {
  step: number;
  parts: number;
  note: string;
}

export interface TrialResult {
  trialId: string;
  /** 'pruned' only in what one sweep says of it, at keys.trialPruned. */
  status: 'completed' | 'failed' | 'pruned';
  /** Present when pruned. */
  pruned?: PrunedFacts;
  /** Present when failed. */
  failure?: { reason: string; step?: number };
  /** Present when completed. */
  summary?: TrialSummary;
  /** Which retry after a failure this is the result of; absent: none. */
  retry?: number;
  /** The attempt that wrote this result; its artifacts lie under it. */
  fence: string;
  worker: string;
  bundleTrialIds: string[];
  artifacts: StoredFile[];
  startedAt: string;
  finishedAt: string;
}

/** Why a sweep gave a trial up, and what the trial had by then. */
export interface PrunedFacts {
  sweepId: string;
  cause: 'budget' | 'early-stopping';
  /** one sentence */
  reason: string;
  // Of a trial that had begun:
  decision?: RungDecision;
  epochs?: EpochMetrics[];
  step?: number;
  bestLoss?: number;
  bestEpoch?: number;
  /** The trial's share of the time spent, over all processes that trained it. */
  trainingSeconds?: number;
  numerics?: Numerics;
}

/** What early stopping looks at, the less the better; null: no number. */
export interface RungValue {
  trialId: string;
  measure: StoppingMeasure;
  epoch: number;
  value: number | null;
}

/** What was decided of a trial at a rung, once and for all. */
export interface RungDecision extends RungValue {
  /** 1 is the best of those that had reached the rung by then. */
  rank: number;
  reached: number;
  isStopped: boolean;
}

/** Which artifacts of a trial the retention policy has removed; the result itself stays as it was written. */
export interface TrimmedRecord {
  trialId: string;
  removed: { name: string; size: number; sha256: string }[];
  trimmedAt: string;
}

// ----------------------------------------------------------------------------------------------------------- sweeps

/** A trial's role in its sweep: asked for, or put in so that the comparison means something. */
export type TrialRole = 'requested' | 'baseline' | 'reference';

export interface SweepTrial {
  trialId: string;
  role: TrialRole;
  /** Hyperparameters beside the common ones; absent in records of earlier versions. */
  own?: Partial<Hyperparameters>;
}

export interface Warning {
  /** e.g. 'temperature-below-1' */
  code: string;
  message: string;
}

export interface SweepRecord {
  sweepId: string;
  /** Counted up when a sweep is extended, or tried again after it was settled; absent: the first. The newest is what counts. */
  version?: number;
  /** When this version was made; absent: with the sweep. */
  versionedAt?: string;
  name: string;
  owner: string;
  kind: 'sweep' | 'distillation';
  /** The request as sent, defaults filled in. */
  request: unknown;
  teacherId: string;
  corpusId: string;
  /** What its trials have in common; absent in records of earlier versions. */
  common?: Omit<TrialSpec, 'hyperparameters'> & { hyperparameters: Partial<Hyperparameters> };
  trials: SweepTrial[];
  /** How the trials are trained together: a pure function of the request, so two runs give the same numbers. */
  bundles: string[][];
  /** Where and when they run; absent in records of earlier versions. */
  placement?: Placement;
  warnings: Warning[];
  /** Absent in records of earlier versions. */
  estimate?: CostEstimate;
  createdAt: string;
}

export interface Placement {
  /** 1 to 9 among its owner's own work; absent: 5. */
  priority?: number;
  /** Absent: the default one. */
  pool?: string;
  requires?: string[];
  /** What each bundle will take, by estimate, in the order of bundles. */
  memoryBytes: number[];
}

export interface SettledRecord {
  sweepId: string;
  /** As in the sweep's record. */
  version?: number;
  status: Extract<SweepStatus, 'completed' | 'completed_with_failures' | 'failed' | 'cancelled'>;
  /** pruned is absent in records of earlier versions: none */
  counts: { completed: number; failed: number; cancelled: number; pruned?: number };
  /** report.json, report.csv, report.md, report.html, *.svg; none when nothing completed */
  reportFiles: StoredFile[];
  settledAt: string;
}

/** What a sweep was expected to take when it was accepted (with what it had been expected to before, when it was extended). */
export interface CostEstimate {
  /** Training and evaluation, summed over bundles. */
  deviceSeconds: number;
  /** From the start to the last trial's end, on the workers there were. */
  wallSeconds: number;
  workers: number;
  /** Where the figure comes from: trainings of the same shape, others on such a device, or a stated rate. */
  source: 'same-shape' | 'same-device' | 'stated-rate';
}

/** What one bundle took that a process trained from its beginning to its end; the newest of each shape, size and device. */
export interface BundleRate {
  /** shapeIdOf */
  shape: string;
  students: number;
  /** multiply-accumulates, by the arithmetic of cost.ts */
  work: { training: number; evaluation: number; steps: number };
  trainingSeconds: number;
  evaluationSeconds: number;
  /** Beside these two. */
  overheadSeconds: number;
  device: { cpu: string; threads: number; library: string; device: string };
  measuredAt: string;
}

/** A sweep that the retention policy leaves alone, with all that it refers to. */
export interface KeptRecord {
  sweepId: string;
  keptAt: string;
}
