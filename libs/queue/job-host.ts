// The worker's side of the queue: takes one job at a time, keeps its lock, gives it back on request without using up an
// attempt, and reports what is in flight. It waits out any outage of Redis; reports are dropped meanwhile.

import { setTimeout as delay } from 'node:timers/promises';
import { type Job, UnrecoverableError, WaitingError } from 'bullmq';
import type { EpochMetrics, FleetEvent, LiveTrial, LiveWorker } from '#experiment';
import { DEFAULT_POOL, Impossible } from '#experiment';
import { connectFailingFast, waitingOptions } from './connection.js';
import type { FleetJob } from './fleet.js';
import { eventsChannel, FleetChannels } from './fleet-channels.js';
import { backOffMs, LOCK_TIMES, LOST_WORKERS_LIMIT, type LockTimes, QUEUE_NAME } from './job-catalog.js';
import { type LivePreparation, LiveState } from './live-state.js';
import type { FleetSettings } from './redis-fleet.js';
import { charge, shareOf } from './shares.js';
import { SharingWorker, type Taker } from './take-by-shares.js';

/** Why a running job is told to stop. */
export type StopReason = 'give-back' | 'lock-lost';

/** What the handler of a job may know besides its payload. */
export interface JobContext {
  /** From 1, counting every start, also after give-backs and lost workers. Starts again when Redis was wiped. */
  attempt: number;
  /** No further try follows when this one fails. */
  isLastAttempt: boolean;
  /** Aborted with a StopReason: end soon, then throw (GivenBack for 'give-back'). */
  signal: AbortSignal;
}

/** Thrown by a handler that stopped without being done: the job goes back to the queue and no attempt is used up. */
export class GivenBack extends Error {
  override readonly name = 'GivenBack';
}

export interface JobHostOptions {
  /** Known to BullMQ and in the registry. */
  workerId: string;
  /** Returns when the job is done; throws GivenBack, Impossible (never tried again), or anything else (tried again). */
  handle(job: FleetJob, context: JobContext): Promise<void>;
  /** Trials somebody cancelled, paused or resumed, as a hint to look at the record. */
  onControls(trialIds: string[]): void;
  /** This worker shall give its job back and end; said once. */
  onDrain?(): void;
  /** The lock of the running job could not be renewed, whoever may have it now. */
  onLockTrouble?(): void;
  /** What is worth a line in the log. */
  onTrouble(message: string): void;
  /** Reports reach Redis from now on: at the start, and whenever it is back. */
  onReady?(): void;
  lockTimes?: LockTimes;
  /** Which jobs are for this worker, asked before each; absent: all of the default pool. */
  taker?(): Taker;
}

/** A worker that says nothing of itself. */
const TAKES_ALL: Taker = { pool: DEFAULT_POOL, labels: [], memoryBytes: Number.MAX_SAFE_INTEGER, holds: [] };

/** What a worker tells the fleet while it works; resolves even when Redis is gone. */
export interface LiveReports {
  trial(trial: LiveTrial): Promise<void>;
  trialEnded(trialId: string, status: 'completed' | 'failed' | 'cancelled' | 'pruned'): Promise<void>;
  trialPaused(trialId: string): Promise<void>;
  trialsStarted(trialIds: string[]): Promise<void>;
  epoch(trialId: string, metrics: EpochMetrics): Promise<void>;
  preparation(preparation: LivePreparation): Promise<void>;
  preparationEnded(preparationId: string, status: 'completed' | 'failed'): Promise<void>;
  worker(worker: LiveWorker): Promise<void>;
  workerGone(workerId: string): Promise<void>;
  /** Whether this worker is to go, for when the message was lost; the mark is taken away. */
  takeDrain(workerId: string): Promise<boolean>;
}

export interface JobHost {
  readonly reports: LiveReports;
  /** Takes no more jobs until `wake`; the one that runs goes on. */
  rest(): Promise<void>;
  wake(): void;
  /** Takes no more jobs, tells the running one to stop, and resolves when it is back in the queue. */
  giveBack(): Promise<void>;
  /** After giveBack: lets go of Redis. */
  close(): Promise<void>;
}

const GIVE_BACK_WAIT_MS = 1_500;
const CLOSE_WAIT_MS = 1_000;

/** Whose the job is; takes its lock where it has run out and the job still counts as running. */
const TAKE_LOCK_AGAIN = `
if redis.call('exists', KEYS[1]) == 0 then return 'unknown' end
local holder = redis.call('get', KEYS[2])
if holder == ARGV[1] then return 'ours' end
if holder then return 'taken' end
if not redis.call('lpos', KEYS[3], ARGV[3]) then return 'unknown' end
redis.call('set', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 'ours'`;

/** Starts taking jobs at once and whenever Redis is there. */
export function hostJobs(settings: FleetSettings, options: JobHostOptions): JobHost {
  const prefix = settings.redisPrefix;
  const lockTimes = options.lockTimes ?? LOCK_TIMES;
  const running = new Map<string, { token: string; stop: AbortController; ended: Promise<unknown> }>();
  const channels = new FleetChannels(settings.redisUrl, prefix);
  const reporting = connectFailingFast(settings.redisUrl);
  reporting.on('ready', () => {
    options.onReady?.();
    // Redis was away, perhaps for longer than a lock lasts: it is looked for before anybody else takes the job.
    for (const jobId of running.keys()) void lookAfterLock(jobId);
  });
  let draining = false;

  /** The time that a job took counts as its owner's, however it ended. */
  const chargeFor = async ({ data }: Job<FleetJob>, startedAt: number, isWhole: boolean): Promise<void> => {
    const seconds = (performance.now() - startedAt) / 1000;
    const pool = data.pool ?? DEFAULT_POOL;
    const { weight } = shareOf(settings.owners, data.owner);
    await charge(reporting, prefix, { pool, owner: data.owner, seconds, weight, isWhole }).catch(() => {});
  };

  const run = async (job: Job<FleetJob>, token: string | undefined, signal: AbortSignal): Promise<void> => {
    const isLastAttempt = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
    const startedAt = performance.now();
    try {
      await options.handle(job.data, { attempt: job.attemptsStarted, isLastAttempt, signal });
      await chargeFor(job, startedAt, true);
    } catch (error) {
      void chargeFor(job, startedAt, false);
      if (error instanceof GivenBack) {
        await within(GIVE_BACK_WAIT_MS, job.moveToWait(token));
        throw new WaitingError(error.message);
      }
      if (error instanceof Impossible) throw new UnrecoverableError(error.message);
      if (!isLastAttempt)
        await delay(backOffMs(job.data.kind, job.attemptsMade), undefined, { signal }).catch(() => {});
      throw error;
    }
  };

  const process = async (job: Job<FleetJob>, token?: string): Promise<void> => {
    const jobId = job.id ?? '';
    const stop = new AbortController();
    if (draining) stop.abort('give-back' satisfies StopReason);
    const ended = run(job, token, stop.signal).finally(() => running.delete(jobId));
    running.set(jobId, { token: token ?? '', stop, ended: ended.catch(() => {}) });
    return ended;
  };

  const choice = { prefix, taker: options.taker ?? (() => TAKES_ALL), owners: settings.owners ?? {} };
  const workerOptions = {
    // Options rather than a client: BullMQ closes only connections it made itself.
    connection: waitingOptions(settings.redisUrl),
    prefix,
    name: options.workerId,
    concurrency: 1,
    lockDuration: lockTimes.lockDurationMs,
    stalledInterval: lockTimes.stalledIntervalMs,
    maxStalledCount: LOST_WORKERS_LIMIT,
    runRetryDelay: 2_000,
    drainDelay: 5,
  };
  const worker = new SharingWorker(QUEUE_NAME, process, workerOptions, choice);
  worker.on('error', (error) => options.onTrouble(error.message));
  worker.on('lockRenewalFailed', (jobIds) => {
    for (const jobId of jobIds) void lookAfterLock(jobId);
  });
  reporting.on('error', () => {}); // the worker's own connection says it

  /**
   * A lock that ran out while Redis was away or full is taken again, as long as nobody else has the job. One that another
   * worker holds is lost: stop. A job that a wiped Redis forgot, or that waits again, is nobody's: go on.
   */
  async function lookAfterLock(jobId: string): Promise<void> {
    const job = running.get(jobId);
    if (!job) return;
    const found = await lockOf(jobId, job.token).catch(() => undefined);
    if (found === undefined || !running.has(jobId)) return;
    if (found === 'taken') {
      options.onTrouble(`another worker has job ${jobId} now; what this one makes of it changes nothing any more`);
      job.stop.abort('lock-lost' satisfies StopReason);
    } else if (found === 'unknown') {
      options.onTrouble(
        `Redis no longer knows job ${jobId} as running; going on, its result will be kept all the same`,
      );
    }
    options.onLockTrouble?.();
  }

  async function lockOf(jobId: string, token: string): Promise<'ours' | 'taken' | 'unknown'> {
    const key = worker.toKey(jobId);
    const ms = String(lockTimes.lockDurationMs);
    const answer = await reporting.eval(
      TAKE_LOCK_AGAIN,
      3,
      key,
      `${key}:lock`,
      worker.toKey('active'),
      token,
      ms,
      jobId,
    );
    return answer as 'ours' | 'taken' | 'unknown';
  }

  void channels.onControls(options.onControls);
  void channels.onDrain((workerId) => {
    if (workerId === options.workerId) options.onDrain?.();
  });

  return {
    reports: liveReports(new LiveState(reporting, prefix), (event) =>
      reporting.publish(eventsChannel(prefix), JSON.stringify(event)),
    ),
    rest: () => worker.pause(true),
    wake() {
      if (!draining) void worker.resume();
    },
    async giveBack() {
      draining = true;
      await worker.pause(true);
      const jobs = [...running.values()];
      for (const { stop } of jobs) stop.abort('give-back' satisfies StopReason);
      // Not worker.close(): it would wait for Redis, which may be gone.
      await Promise.all(jobs.map(({ ended }) => ended));
    },
    async close() {
      await within(CLOSE_WAIT_MS, worker.close());
      await channels.close();
      reporting.disconnect();
    },
  };
}

function liveReports(live: LiveState, publish: (event: FleetEvent) => Promise<unknown>): LiveReports {
  // Reports are for watching only: when Redis is gone they are dropped, and the next one says more.
  const quietly = async (report: () => Promise<unknown>): Promise<void> => {
    await report().catch(() => {});
  };
  return {
    trial: (trial) =>
      quietly(async () => {
        await live.writeTrial(trial);
        await publish({ type: 'trial-progress', trial });
      }),
    trialEnded: (trialId, status) =>
      quietly(() => Promise.all([live.forgetTrial(trialId), publish({ type: 'trial-ended', trialId, status })])),
    trialPaused: (trialId) =>
      quietly(() => Promise.all([live.forgetTrial(trialId), publish({ type: 'trial-paused', trialId })])),
    trialsStarted: (trialIds) => quietly(() => live.clearEpochs(trialIds)),
    epoch: (trialId, metrics) =>
      quietly(async () => {
        await live.appendEpoch(trialId, metrics);
        await publish({ type: 'trial-epoch', trialId, metrics });
      }),
    preparation: (preparation) =>
      quietly(async () => {
        await live.writePreparation(preparation);
        const { preparationId, fraction, message } = preparation;
        await publish({ type: 'preparation-progress', preparationId, fraction, message });
      }),
    preparationEnded: (preparationId, status) =>
      quietly(() => publish({ type: 'preparation-ended', preparationId, status })),
    worker: (worker) => quietly(() => live.writeWorker(worker)),
    workerGone: (workerId) => quietly(() => live.forgetWorker(workerId)),
    takeDrain: (workerId) => live.takeDrain(workerId).catch(() => false),
  };
}

/** Waits for `work`, but no longer than `ms`; a failure is as good as the end of it. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => {}), timeout]);
  clearTimeout(timer);
}
