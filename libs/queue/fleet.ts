// The fleet as its users see it: what the API, the aggregator and the CLI may ask of Redis. Everything here is in flight
// and may vanish; callers decide from the object store.
import type { EpochMetrics, FleetEvent, LiveTrial, LiveWorker } from '#experiment';

/** What a BullMQ job carries: ids only, under 10 kB; the worker reads the rest from the record. */
export type FleetJob =
  | {
      kind: 'bundle';
      bundleId: string;
      sweepId: string;
      owner: string;
      trialIds: string[];
      /** Set when these trials of the bundle run beside the others; names the group. */
      part?: string;
      /** 1 to 9 among its owner's own, 9 first; absent: 5. */
      priority?: number;
      /** Only workers of this pool take it; absent: those of the default one. */
      pool?: string;
      /** Labels that a worker must have. */
      requires?: string[];
      /** What training it takes, by estimate; a worker with less leaves it to others. */
      memoryBytes?: number;
      /** A worker that holds them is preferred. */
      teacherId?: string;
      corpusId?: string;
      /** The sweep has a budget or stops early: its record says what of the trials may go on. */
      hasRules?: boolean;
    }
  | {
      kind: 'preparation';
      preparationId: string;
      owner: string;
      /** These as of a bundle. */
      pool?: string;
      requires?: string[];
      memoryBytes?: number;
    };

export type BundleJob = Extract<FleetJob, { kind: 'bundle' }>;

export interface FleetCounts {
  waiting: number;
  active: number;
}

export interface Fleet {
  /** Resolves when Redis answers; throws FleetUnavailable within `timeoutMs` otherwise. Checks the eviction policy too. */
  check(timeoutMs: number): Promise<void>;
  /** Adds what is not there yet (same id = same job), in bulk. */
  enqueue(jobs: FleetJob[]): Promise<void>;
  /** Which of these jobs Redis still knows (waiting, delayed or active). */
  known(jobs: FleetJob[]): Promise<Set<string>>;
  /**
   * For bundles of which these trials are wanted again: jobs that wait, also those of parts, are replaced by the one given; beside
   * one that runs, or that a worker goes on with although Redis has forgotten it, the trials get a job of their own.
   */
  renew(wanted: { job: BundleJob; trialIds: string[] }[]): Promise<void>;
  /** Takes jobs that wait out of the queue; those that run stay. */
  withdraw(jobs: FleetJob[]): Promise<void>;
  /** Workers are told to look at the record of these trials: somebody has cancelled, paused or resumed them. */
  announceControls(trialIds: string[]): Promise<void>;
  /** Tells a worker to give its job back and end. It is done when the worker is gone. */
  drainWorker(workerId: string): Promise<void>;
  counts(): Promise<FleetCounts>;
  /** Trials of this owner that wait for a worker. */
  waitingTrials(owner: string): Promise<number>;
  liveTrials(trialIds: string[]): Promise<Map<string, LiveTrial>>;
  /** Epochs reported so far by the running attempt. */
  liveEpochs(trialId: string): Promise<EpochMetrics[]>;
  liveWorkers(): Promise<LiveWorker[]>;
  publish(event: FleetEvent): Promise<void>;
  /** Events from now on; may miss some. Returns the unsubscriber. */
  subscribe(listener: (event: FleetEvent) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** Redis is gone, refuses writes, or is set up so that it would lose jobs. */
export class FleetUnavailable extends Error {
  override readonly name = 'FleetUnavailable';
}
