// Keeps a sweep to its budget: where its trials have taken the device time it may take, those that nobody has begun end as pruned.
// Decided from the record alone, and the same whoever decides it.
import {
  budgetOf,
  readSpending,
  remembering,
  type SpendingReader,
  type SweepRecord,
  type TrialResult,
  unaffordable,
} from '#experiment';
import { keys, type ObjectStore, putJsonIfAbsent, readBundleState, readTrialEnding } from '#storage';

/** Gives the trials that were pruned for it; `known` is what has been read of those that ended. */
export async function pruneUnaffordable(
  store: ObjectStore,
  sweep: SweepRecord,
  known: Map<string, TrialResult>,
): Promise<string[]> {
  const budget = budgetOf(sweep);
  if (budget === undefined) return [];
  const reader: SpendingReader = {
    ending: (trialId) => readTrialEnding<TrialResult>(store, trialId, sweep),
    bundle: (bundleId) => readBundleState(store, bundleId),
  };
  const { spent, waiting } = await readSpending(sweep, remembering(reader, known));
  if (spent < budget) return [];
  for (const trialId of waiting)
    await putJsonIfAbsent(store, keys.trialPruned(trialId, sweep.sweepId), unaffordable(sweep, trialId, spent));
  return waiting;
}
