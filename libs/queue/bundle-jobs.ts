// From a record to its jobs.
import { bundleIdOf, hasRules, type PreparationRecord, type SweepRecord } from '#experiment';
import type { BundleJob, FleetJob } from './fleet.js';

/**
 * One job for each bundle of the sweep that still has open trials, carrying those. The job's id is that of the whole
 * bundle, not of what is left of it, so that it stays the same job while its trials finish one by one.
 */
export function bundleJobs(
  sweep: Pick<SweepRecord, 'sweepId' | 'owner' | 'bundles' | 'placement' | 'teacherId' | 'corpusId' | 'request'>,
  isOpen: (trialId: string) => boolean,
): BundleJob[] {
  const { sweepId, owner, teacherId, corpusId, placement } = sweep;
  const { memoryBytes = [], ...place } = placement ?? {};
  const rules = hasRules(sweep) ? { hasRules: true } : {};
  return sweep.bundles.flatMap((bundle, index) => {
    const trialIds = bundle.filter(isOpen);
    if (trialIds.length === 0) return [];
    const bytes = memoryBytes[index];
    const memory = bytes === undefined ? {} : { memoryBytes: bytes };
    const bundleId = bundleIdOf(bundle);
    return [{ kind: 'bundle', bundleId, sweepId, owner, trialIds, ...place, ...memory, teacherId, corpusId, ...rules }];
  });
}

/** The job of a preparation, to be made where its record says. */
export function preparationJob({
  preparationId,
  owner,
  placement = {},
}: Pick<PreparationRecord, 'preparationId' | 'owner' | 'placement'>): FleetJob {
  return { kind: 'preparation', preparationId, owner, ...placement };
}

/** The job of some trials of a bundle that run beside the others. */
export function partOf(job: BundleJob, trialIds: string[]): BundleJob {
  return { ...job, trialIds, part: bundleIdOf(trialIds) };
}
