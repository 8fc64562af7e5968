// What a trial is: its own record or, where that is not written yet, what the record of its sweep says; then it is written.
import { type SweepRecord, type TrialRecord, trialInSweep } from '#experiment';
import { findJson, getJson, keys, type ObjectStore, putJsonIfAbsent, readSweepState } from '#storage';

/** Throws ObjectNotFound when neither is there. */
export async function trialRecord(store: ObjectStore, trialId: string, sweepId: string): Promise<TrialRecord> {
  const record = await findJson<TrialRecord>(store, keys.trial(trialId));
  if (record) return record;
  const { exists, version } = await readSweepState(store, sweepId);
  const sweep = exists ? await getJson<SweepRecord>(store, keys.sweep(sweepId, version)) : undefined;
  const planned = sweep && trialInSweep(sweep, trialId);
  if (!planned) return getJson<TrialRecord>(store, keys.trial(trialId)); // there now, or the error that says what is missing
  await putJsonIfAbsent(store, keys.trial(trialId), planned);
  return planned;
}
