// What is in flight, as Redis shows it: live status of trials, workers, events. All of it may be lost at any time and is
// never a reason to decide anything.
import type { EpochMetrics, Numerics } from './records.js';

export interface LiveTrial {
  trialId: string;
  phase: 'waiting' | 'training' | 'evaluating' | 'uploading';
  workerId: string;
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
  trainLoss?: number;
  validationLoss?: number;
  tokensPerSecond?: number;
  etaSeconds?: number;
  updatedAt: string;
}

export interface LiveWorker {
  workerId: string;
  host: string;
  processId: number;
  /** Absent until a trainer has said what it computes with. */
  numerics?: Numerics;
  /** What the machine has. */
  device?: WorkerDevice;
  /** Which bundles it takes; absent: those of the default pool. */
  pool?: string;
  labels?: string[];
  /** What a training may hold here. */
  memoryBytes?: number;
  /** Ids of the teachers and corpora in its cache. */
  holds?: string[];
  state: 'idle' | 'training' | 'draining';
  trialIds: string[];
  tokensPerSecond?: number;
  startedAt: string;
  updatedAt: string;
  /** Since it was last heard of, by Redis' own clock; only where it is listed. */
  heartbeatSeconds?: number;
}

export interface WorkerDevice {
  /** e.g. 'AMD EPYC 7763 64-Core Processor' */
  cpu: string;
  cores: number;
  memoryBytes: number;
  /** Models of the GPUs, as their driver names them; absent: none found. */
  gpus?: string[];
}

export type FleetEvent =
  | { type: 'trial-progress'; trial: LiveTrial }
  | { type: 'trial-epoch'; trialId: string; metrics: EpochMetrics }
  | { type: 'trial-ended'; trialId: string; status: 'completed' | 'failed' | 'cancelled' | 'pruned' }
  | { type: 'trial-paused'; trialId: string }
  | { type: 'preparation-ended'; preparationId: string; status: 'completed' | 'failed' }
  | { type: 'preparation-progress'; preparationId: string; fraction: number; message: string }
  | { type: 'sweep-settled'; sweepId: string; status: string };
