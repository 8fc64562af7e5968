// How a sweep is shown: what was asked, the state of its trials, and where the report is.
import type {
  CostEstimate,
  Hyperparameters,
  SettledRecord,
  SweepRecord,
  SweepStatus,
  TrialRole,
  TrialStatus,
  Warning,
} from '#experiment';
import type { TrialView } from '../trials/trial-view.js';

export type TrialCounts = Record<TrialStatus, number>;

export interface SweepLinks {
  self: string;
  report: string;
  events: string;
}

/** A sweep in a list. */
export interface SweepListItem {
  sweepId: string;
  /** From 2, once it was extended or tried again after its end. */
  version?: number;
  name: string;
  owner: string;
  kind: SweepRecord['kind'];
  status: SweepStatus;
  counts: TrialCounts;
  teacherId: string;
  corpusId: string;
  warnings: Warning[];
  createdAt: string;
  settledAt?: string;
  /** False when Redis did not answer: the state of open trials is then the record's alone. */
  live: boolean;
  links: SweepLinks;
}

export interface SweepView extends SweepListItem {
  request: unknown;
  /** What it was expected to take when it was accepted; absent in sweeps of earlier versions. */
  estimate?: CostEstimate;
  /** What the workers of now lack for what still waits; absent: nothing. */
  waitsFor?: string[];
  reportFiles: Omit<SettledRecord['reportFiles'][number], 'key'>[];
  trials: TrialView[];
}

/** The answer to POST /v1/sweeps. With dryRun nothing is stored and there is no sweep to link to. */
export interface SweepSubmission {
  sweepId?: string;
  version?: number;
  name: string;
  status: SweepStatus | 'planned';
  trials: { trialId: string; role: TrialRole; hyperparameters: Hyperparameters }[];
  /** How many groups the trials are trained in. */
  bundles: number;
  /** Trials that had been trained before. */
  reused: number;
  /** What is to be trained will take; absent in sweeps of earlier versions. */
  estimate?: CostEstimate;
  warnings: Warning[];
  /** What the workers of now lack for it; absent: nothing. */
  waitsFor?: string[];
  links?: SweepLinks;
}

export interface DistillationSubmission {
  trialId: string;
  sweepId: string;
  status: TrialStatus;
  warnings: Warning[];
  /** What the workers of now lack for it; absent: nothing. */
  waitsFor?: string[];
}
