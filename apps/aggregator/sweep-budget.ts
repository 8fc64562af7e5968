// Keeps a sweep to its budget: where its trials have taken the device time it may take, those that nobody has begun end as pruned.
// Decided from the record alone, and the same whoever decides it.
import { budgetOf, readSpending, type SweepRecord, type TrialResult, unaffordable } from '#experiment';
import { keys, type ObjectStore, putJsonIfAbsent, readBundleState, readTrialEnding } from '#storage';

/** Gives the trials that were pruned for it. */
export async function pruneUnaffordable(store: ObjectStore, sweep: SweepRecord): Promise<string[]> {
  const budget = budgetOf(sweep);
  if (budget === undefined) return [];
  const { spent, waiting } = await readSpending(sweep, {
    ending: (trialId) => readTrialEnding<TrialResult>(store, trialId, sweep),
    bundle: (bundleId) => readBundleState(store, bundleId),
  });
  if (spent < budget) return [];
  for (const trialId of waiting)
    await putJsonIfAbsent(store, keys.trialPruned(trialId, sweep.sweepId), unaffordable(sweep, trialId, spent));
  return waiting;
}
