// Every job of the fleet in one table: its id, attempts, back-off, retention, and how its lock is kept. The record of
// what was done is the object store, so finished jobs leave nothing in Redis.
import type { JobsOptions } from 'bullmq';
import type { FleetJob } from './fleet.js';

export const QUEUE_NAME = 'bundles';

/** How a worker holds the lock of the job it works on. */
export interface LockTimes {
  /** A worker that has not renewed for this long has lost the job. */
  lockDurationMs: number;
  /** How often the fleet looks for lost jobs; a job is taken back at the second look that finds it without a lock. */
  stalledIntervalMs: number;
}

export const LOCK_TIMES: LockTimes = { lockDurationMs: 15_000, stalledIntervalMs: 4_000 };

/**
 * BullMQ fails a job for good once it was taken from this many lost workers in its whole life, whatever its attempts;
 * losing a machine is no fault of the job, so the budget is out of reach.
 */
export const LOST_WORKERS_LIMIT = 1_000_000;

/**
 * An attempt is used up when the handler throws. How often a bundle may fail is no matter of the queue: the worker counts
 * attempts that got no further, in the record, and fails the trials itself.
 */
const ATTEMPTS: Record<FleetJob['kind'], number> = { bundle: 1_000_000, preparation: 3 };

/**
 * How long a worker waits before it gives up a job that has failed so many times before. Not BullMQ's back-off: that is a time of
 * day by the clock of the worker where it failed, and where this clock is an hour ahead the job would rest for an hour.
 */
export function backOffMs(kind: FleetJob['kind'], attemptsMade: number): number {
  return kind === 'bundle' ? 2_000 : 2_000 * 2 ** attemptsMade;
}

/** Payloads are ids only; the worker reads everything else from the record. */
const PAYLOAD_LIMIT_BYTES = 10_000;

/** The job's id in BullMQ: the same work always has the same id, so it is in the queue at most once. */
export function jobIdOf(job: FleetJob): string {
  if (job.kind === 'preparation') return `preparation-${job.preparationId}`;
  return job.part ? `bundle-${job.bundleId}-${job.part}` : `bundle-${job.bundleId}`;
}

/** What BullMQ is told about a job of this kind. */
export function jobOptions(job: FleetJob): JobsOptions & { jobId: string } {
  return {
    attempts: ATTEMPTS[job.kind],
    jobId: jobIdOf(job),
    removeOnComplete: true,
    removeOnFail: true,
    stackTraceLimit: 1,
    sizeLimit: PAYLOAD_LIMIT_BYTES,
  };
}
