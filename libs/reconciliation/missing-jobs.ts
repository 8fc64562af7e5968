// Bundles that should have a job and have none: Redis was wiped, or came back from an old backup.
import { type BundleJob, jobIdOf, type RedisFleet } from '#queue';

/** No lease is taken for longer. */
export const LEASE_MS = 60_000;

/**
 * Of these jobs those that Redis does not know and nobody works on (a worker goes on with a job that a wiped Redis forgot),
 * each without the trials that have a job of their own as a part of the bundle.
 */
export async function missingBundleJobs(fleet: RedisFleet, jobs: BundleJob[]): Promise<BundleJob[]> {
  const known = await fleet.known(jobs);
  const unknown = jobs.filter((job) => !known.has(jobIdOf(job)));
  if (unknown.length === 0) return [];
  const live = await liveBundles(fleet, unknown);
  const parts = await fleet.partJobs(unknown.map(({ bundleId }) => bundleId));
  const inParts = new Set(
    parts.flatMap(({ bundleId, trialIds }) => trialIds.map((trialId) => `${bundleId} ${trialId}`)),
  );
  return unknown
    .filter((job) => !live.has(job.bundleId))
    .map((job) => ({ ...job, trialIds: job.trialIds.filter((trialId) => !inParts.has(`${job.bundleId} ${trialId}`)) }))
    .filter(({ trialIds }) => trialIds.length > 0);
}

/** Bundles of which some trial was heard of within the last minute. */
export async function liveBundles(fleet: RedisFleet, jobs: BundleJob[]): Promise<Set<string>> {
  const live = await fleet.liveTrials(jobs.flatMap((job) => job.trialIds));
  return new Set(jobs.filter((job) => job.trialIds.some((trialId) => live.has(trialId))).map((job) => job.bundleId));
}
