// The fleet over BullMQ and Redis, for whoever asks of it: API, aggregator. Everything fails within two seconds when
// Redis is gone; nothing is retried here.

import { Queue } from 'bullmq';
import type { EpochMetrics, FleetEvent, LiveTrial, LiveWorker } from '#experiment';
import { partOf } from './bundle-jobs.js';
import type { BundleJob, Fleet, FleetCounts, FleetJob } from './fleet.js';
import { controlsChannel, drainChannel, eventsChannel, FleetChannels } from './fleet-channels.js';
import { jobIdOf, jobOptions, QUEUE_NAME } from './job-catalog.js';
import { acquireLease, type Lease } from './lease.js';
import { type LivePreparation, LiveState } from './live-state.js';
import { PartJobs } from './part-jobs.js';
import { checkRedis } from './redis-check.js';
import { RedisGate } from './redis-gate.js';
import { type OwnerShares, prioritiesOf, waitingTrials } from './shares.js';

const JOBS_PER_CALL = 500;
/** Nobody reads BullMQ's own event stream; ours are pub/sub. */
const EVENTS_KEPT = 100;

/** The settings of libs/config this needs. */
export interface FleetSettings {
  redisUrl: string;
  redisPrefix: string;
  allowUnsafeRedis: boolean;
  /** What owners may have; absent: all the same, without limits. */
  owners?: OwnerShares;
}

/** The fleet as API and aggregator hold it. */
export interface RedisFleet extends Fleet {
  /** Jobs that wait or run for parts of these bundles. */
  partJobs(bundleIds: string[]): Promise<BundleJob[]>;
  livePreparations(preparationIds: string[]): Promise<Map<string, LivePreparation>>;
  /** True once after Redis was set up or wiped: of what runs it then knows nothing yet. */
  isNew(): Promise<boolean>;
  /** Jobs that wait, and those that count as running although nobody holds their lock; at most so many of each. */
  heldJobs(limit: number): Promise<{ waiting: FleetJob[]; unheld: FleetJob[] }>;
  /** Names of leases that would outlast `ms` from now, or for ever. */
  stuckLeases(ms: number): Promise<string[]>;
  dropLease(name: string): Promise<void>;
  /** Takes the named lease for `ms`, or undefined while someone else holds it. It saves work and guards nothing. */
  lease(name: string, ms: number): Promise<Lease | undefined>;
}

/** Connects in the background; call `check` to know that Redis is there and fit. */
export function openFleet(settings: FleetSettings): RedisFleet {
  const prefix = settings.redisPrefix;
  const gate = new RedisGate(settings.redisUrl);
  const queue = new Queue<FleetJob>(QUEUE_NAME, {
    connection: gate.redis,
    prefix,
    skipVersionCheck: true, // check() does it, with the remedy
    streams: { events: { maxLen: EVENTS_KEPT } },
  });
  queue.on('error', () => {}); // whoever asks gets the error; without a listener it would end the process
  const live = new LiveState(gate.redis, prefix);
  const channels = new FleetChannels(settings.redisUrl, prefix);
  const parts = new PartJobs(gate.redis, prefix, (jobId) => queue.toKey(jobId));

  const add = async (redis: typeof gate.redis, jobs: FleetJob[]): Promise<void> => {
    await parts.note(jobs.filter(isBundle));
    const priorities = await prioritiesOf(redis, prefix, jobs);
    const waiting = jobs.map((job, index) => ({
      name: job.kind,
      data: job,
      opts: { ...jobOptions(job), priority: priorities[index] as number },
    }));
    await queue.addBulk(waiting);
  };

  /** What to put into the queue for trials of a bundle that are wanted again, and takes out what that replaces. */
  const renewalOf = async (redis: typeof gate.redis, job: BundleJob, trialIds: string[]): Promise<BundleJob> => {
    const wanted = new Set(trialIds);
    const elsewhere = new Set<string>();
    for (const part of await parts.of([job.bundleId])) {
      // Removing fails for a job that a worker has.
      const isTaken = (await queue.remove(jobIdOf(part))) !== 1;
      for (const trialId of part.trialIds) (isTaken ? elsewhere : wanted).add(trialId);
    }
    const id = jobIdOf(job);
    const isKnown = (await redis.exists(queue.toKey(id))) === 1;
    const isFree = (await queue.remove(id)) === 1; // also when it is not there
    // A worker goes on with a job that a wiped Redis has forgotten.
    const others = job.trialIds.filter((trialId) => !wanted.has(trialId) && !elsewhere.has(trialId));
    const isAtWork = !isKnown && others.length > 0 && (await live.trials(others)).size > 0;
    if (!isFree || isAtWork)
      return partOf(
        job,
        job.trialIds.filter((trialId) => wanted.has(trialId)),
      );
    return { ...job, trialIds: job.trialIds.filter((trialId) => wanted.has(trialId) || !elsewhere.has(trialId)) };
  };

  return {
    async check(timeoutMs) {
      await gate.run(
        (redis) => checkRedis(redis, { redisUrl: settings.redisUrl, allowUnsafe: settings.allowUnsafeRedis }),
        { waitMs: timeoutMs, totalMs: timeoutMs },
      );
    },

    async enqueue(jobs) {
      for (let start = 0; start < jobs.length; start += JOBS_PER_CALL) {
        const some = jobs.slice(start, start + JOBS_PER_CALL);
        await gate.run((redis) => add(redis, some));
      }
    },

    async known(jobs) {
      const ids = jobs.map(jobIdOf);
      const known = new Set<string>();
      for (let start = 0; start < ids.length; start += JOBS_PER_CALL) {
        const some = ids.slice(start, start + JOBS_PER_CALL);
        // Finished jobs are removed at once, so a job's hash exists exactly while it waits, is delayed or runs.
        const pipeline = gate.redis.pipeline();
        for (const id of some) pipeline.exists(queue.toKey(id));
        const replies = await gate.run(() => pipeline.exec());
        some.forEach((id, index) => {
          const [error, exists] = replies?.[index] ?? [];
          if (error) throw error;
          if (exists === 1) known.add(id);
        });
      }
      return known;
    },

    partJobs: (bundleIds: string[]) => gate.run(() => parts.of(bundleIds)),

    async renew(wanted) {
      for (const { job, trialIds } of wanted) {
        await gate.run(async (redis) => {
          const next = await renewalOf(redis, job, trialIds);
          if (next.trialIds.length > 0) await add(redis, [next]);
        });
      }
    },

    async withdraw(jobs) {
      for (const job of jobs) await gate.run(() => queue.remove(jobIdOf(job)));
    },

    async announceControls(trialIds) {
      await gate.run((redis) => redis.publish(controlsChannel(prefix), JSON.stringify(trialIds)));
    },

    async drainWorker(workerId) {
      await gate.run(async (redis) => {
        await live.markDrain(workerId);
        await redis.publish(drainChannel(prefix), workerId);
      });
    },

    async counts(): Promise<FleetCounts> {
      const counts = await gate.run(() => queue.getJobCounts('wait', 'delayed', 'prioritized', 'active'));
      const of = (state: string) => counts[state] ?? 0;
      return { waiting: of('wait') + of('delayed') + of('prioritized'), active: of('active') };
    },

    waitingTrials: (owner: string): Promise<number> =>
      gate.run((redis) => waitingTrials(redis, prefix, queue.toKey('prioritized'), owner)),

    liveTrials: (trialIds: string[]): Promise<Map<string, LiveTrial>> => gate.run(() => live.trials(trialIds)),
    liveEpochs: (trialId: string): Promise<EpochMetrics[]> => gate.run(() => live.epochs(trialId)),
    liveWorkers: (): Promise<LiveWorker[]> => gate.run(() => live.workers()),
    livePreparations: (ids) => gate.run(() => live.preparations(ids)),
    lease: (name, ms) => gate.run((redis) => acquireLease(redis, `${prefix}:lease:${name}`, ms)),

    isNew: () => gate.run(async (redis) => (await redis.set(`${prefix}:epoch`, '1', 'NX')) === 'OK'),

    async heldJobs(limit) {
      const [waiting, active] = await gate.run(() =>
        Promise.all([
          queue.getJobs(['wait', 'delayed', 'prioritized'], 0, limit - 1, true),
          queue.getJobs(['active'], 0, limit - 1, true),
        ]),
      );
      const ids = active.map((job) => queue.toKey(`${job.id}:lock`));
      const locks = ids.length > 0 ? await gate.run((redis) => redis.mget(ids)) : [];
      const unheld = active.filter((_, index) => locks[index] === null);
      return { waiting: waiting.map((job) => job.data), unheld: unheld.map((job) => job.data) };
    },

    async stuckLeases(ms) {
      return gate.run(async (redis) => {
        const start = `${prefix}:lease:`;
        const stuck: string[] = [];
        for (let cursor = '0'; ; ) {
          const [next, found] = await redis.scan(cursor, 'MATCH', `${escaped(start)}*`, 'COUNT', 1000);
          for (const key of found) {
            const left = await redis.pttl(key);
            if (left === -1 || left > ms) stuck.push(key.slice(start.length));
          }
          cursor = next;
          if (cursor === '0') return stuck.sort();
        }
      });
    },

    async dropLease(name) {
      await gate.run((redis) => redis.del(`${prefix}:lease:${name}`));
    },

    async publish(event: FleetEvent) {
      await gate.run((redis) => redis.publish(eventsChannel(prefix), JSON.stringify(event)));
    },

    subscribe: (listener) => channels.onEvent(listener),

    async close() {
      await channels.close();
      gate.close();
      await queue.close().catch(() => {}); // the connection is ours and closed already
    },
  };
}

function isBundle(job: FleetJob): job is BundleJob {
  return job.kind === 'bundle';
}

/** A prefix as SCAN takes it: braces and brackets stand for themselves. */
function escaped(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
