// Bundles that should have a job and have none: Redis was wiped, or came back from an old backup.
import { type BundleJob, jobIdOf, type RedisFleet } from '#queue';

/** No lease is taken for longer. */
export const LEASE_MS = 60_000;

/** Of these jobs those that Redis does not know and nobody works on: a worker goes on with a job that a wiped Redis forgot. */
export async function missingBundleJobs(fleet: RedisFleet, jobs: BundleJob[]): Promise<BundleJob[]> {
  const known = await fleet.known(jobs);
  const unknown = jobs.filter((job) => !known.has(jobIdOf(job)));
  if (unknown.length === 0) return [];
  const live = await liveBundles(fleet, unknown);
  return unknown.filter((job) => !live.has(job.bundleId));
}

/** Bundles of which some trial was heard of within the last minute. */
export async function liveBundles(fleet: RedisFleet, jobs: BundleJob[]): Promise<Set<string>> {
  const live = await fleet.liveTrials(jobs.flatMap((job) => job.trialIds));
  return new Set(jobs.filter((job) => job.trialIds.some((trialId) => live.has(trialId))).map((job) => job.bundleId));
}
