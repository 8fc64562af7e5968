// Jobs for parts of a bundle, by bundle: which there are cannot be told from a bundle's id, and whoever puts a bundle's trials into
// the queue must know which of them have a job already. The notes vanish with the jobs when Redis is wiped.
import type { Redis } from 'ioredis';
import type { BundleJob } from './fleet.js';
import { jobIdOf } from './job-catalog.js';

/** Longer than a part waits and runs; those of jobs that have ended are taken away when they are come across. */
const NOTE_SECONDS = 30 * 24 * 3600;

export class PartJobs {
  constructor(
    private readonly redis: Redis,
    private readonly prefix: string,
    private readonly keyOfJob: (jobId: string) => string,
  ) {}

  /** To be called before the jobs are added; does nothing for jobs of whole bundles. */
  async note(jobs: BundleJob[]): Promise<void> {
    const parts = jobs.filter(({ part }) => part !== undefined);
    if (parts.length === 0) return;
    const pipeline = this.redis.pipeline();
    for (const job of parts) {
      pipeline.sadd(this.keyOf(job.bundleId), jobIdOf(job));
      pipeline.expire(this.keyOf(job.bundleId), NOTE_SECONDS);
    }
    await executed(pipeline);
  }

  /** The part jobs of these bundles that wait or run. */
  async of(bundleIds: string[]): Promise<BundleJob[]> {
    const asked = [...new Set(bundleIds)];
    const pipeline = this.redis.pipeline();
    for (const bundleId of asked) pipeline.smembers(this.keyOf(bundleId));
    const noted = (await executed(pipeline)).map((ids) => ids as string[]);
    const ids = noted.flatMap((found, index) => found.map((id) => ({ id, bundleId: asked[index] as string })));
    if (ids.length === 0) return [];
    const reading = this.redis.pipeline();
    for (const { id } of ids) reading.hget(this.keyOfJob(id), 'data');
    const found = await executed(reading);
    const gone = ids.filter((_, index) => found[index] === null);
    for (const { id, bundleId } of gone) await this.redis.srem(this.keyOf(bundleId), id);
    return found.flatMap((data) => (typeof data === 'string' ? [JSON.parse(data) as BundleJob] : []));
  }

  private keyOf(bundleId: string): string {
    return `${this.prefix}:parts:${bundleId}`;
  }
}

async function executed(pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> {
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}
