// How a trial is shown: what was asked, how far it is, what came out.
import type {
  EpochMetrics,
  EvaluationSettings,
  Hyperparameters,
  LiveTrial,
  PrunedFacts,
  StoredFile,
  TrialRole,
  TrialStatus,
  TrialSummary,
} from '#experiment';

export type ArtifactView = Omit<StoredFile, 'key'>;

export interface TrialView {
  trialId: string;
  status: TrialStatus;
  /** Its role in the sweep it is shown in. */
  role?: TrialRole;
  hyperparameters: Hyperparameters;
  evaluation: EvaluationSettings;
  teacherId: string;
  corpusId: string;
  /** False when Redis did not answer: the status is then the record's alone. */
  live: boolean;
  progress?: LiveTrial;
  /** Without the epochs, which are at /metrics. */
  summary?: Omit<TrialSummary, 'epochs'>;
  failure?: { reason: string; step?: number };
  /** Why a sweep gave it up, and what it had by then; the epochs are at /metrics. */
  pruned?: Omit<PrunedFacts, 'epochs'>;
  attempts?: number;
  worker?: string;
  artifacts: ArtifactView[];
  createdAt: string;
  startedAt?: string;
  finishedAt?: string;
}

export interface TrialMetricsView {
  trialId: string;
  live: boolean;
  epochs: EpochMetrics[];
}
