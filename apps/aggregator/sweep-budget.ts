// Keeps a sweep to its budget: where its trials have taken the device time it may take, those that nobody has begun end as pruned.
// Decided from the record alone, and the same whoever decides it.
import { readOverspending, type SweepRecord, type TrialResult, unaffordable } from '#experiment';
import { keys, type ObjectStore, putJsonIfAbsent, spendingReader } from '#storage';

/** Gives the trials that were pruned for it; `known` is what has been read of those that ended. */
export async function pruneUnaffordable(
  store: ObjectStore,
  sweep: SweepRecord,
  known: Map<string, TrialResult>,
): Promise<string[]> {
  const over = await readOverspending(sweep, spendingReader<TrialResult>(store, sweep), known);
  if (!over) return [];
  for (const trialId of over.waiting)
    await putJsonIfAbsent(store, keys.trialPruned(trialId, sweep.sweepId), unaffordable(sweep, trialId, over.spent));
  return over.waiting;
}
