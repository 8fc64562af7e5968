// What of the record may go: intermediate checkpoints after some days, and what attempts left that came second. Everything
// that is not known to be one of these stays, and so does all that a kept or unsettled sweep refers to.
import { bundleIdOf, type SettledRecord, type StoredFile, type SweepRecord, type TrialResult } from '#experiment';
import { findJson, keys, listFolders, type ObjectStore, sweepStateOf, trialStateOf } from '#storage';

export interface RetentionPolicy {
  /** Intermediate checkpoints go so many days after their trial has ended. */
  checkpointDays: number;
  now: Date;
}

export interface Dispensable {
  trialId: string;
  /** Artifacts of the result that go. */
  checkpoints: StoredFile[];
  /** Objects that no result refers to. */
  orphans: { key: string; size: number }[];
}

const CHECKPOINT = /^student_model_epoch\d+\.[a-z]+$/;
const DAY_MS = 24 * 3600 * 1000;

/** Trials with something that may go, in the order of their ids. */
export async function* findDispensable(store: ObjectStore, policy: RetentionPolicy): AsyncGenerator<Dispensable> {
  const { trials: held } = await heldBySweeps(store, { settledDays: policy.checkpointDays, now: policy.now });
  for await (const { id: trialId, sizes } of listFolders(store, keys.trials())) {
    const { retry, hasResult, prunedIn } = trialStateOf(new Set(sizes.keys()));
    if (!hasResult) continue;
    const result = await findJson<TrialResult>(store, keys.trialResult(trialId, retry));
    if (!result || ageInDays(result.finishedAt, policy.now) < 1) continue;
    const isOld = ageInDays(result.finishedAt, policy.now) >= policy.checkpointDays;
    const checkpoints =
      isOld && !held.has(trialId)
        ? result.artifacts.filter(({ name, key }) => CHECKPOINT.test(name) && sizes.has(below(trialId, key)))
        : [];
    const referred = new Set(result.artifacts.map(({ key }) => below(trialId, key)));
    // What a sweep kept of it when it stopped it early, while another had it trained to the end.
    for (const sweepId of prunedIn) {
      const pruned = await findJson<TrialResult>(store, keys.trialPruned(trialId, sweepId));
      for (const { key } of pruned?.artifacts ?? []) referred.add(below(trialId, key));
    }
    const orphans = [...sizes]
      .filter(([name]) => name.startsWith('attempts/') && !referred.has(name))
      .map(([name, size]) => ({ key: `${keys.trials()}${trialId}/${name}`, size }));
    if (checkpoints.length > 0 || orphans.length > 0) yield { trialId, checkpoints, orphans };
  }
}

/** Trials of sweeps that are kept, not settled, or settled too short a time ago; and the bundles that they make. */
export async function heldBySweeps(
  store: ObjectStore,
  { settledDays, now }: { settledDays: number; now: Date },
): Promise<{ trials: Set<string>; bundles: Set<string> }> {
  const held = { trials: new Set<string>(), bundles: new Set<string>() };
  for await (const { id: sweepId, sizes } of listFolders(store, keys.sweeps())) {
    const { version, isSettled } = sweepStateOf(new Set(sizes.keys()));
    const settled = isSettled ? await findJson<SettledRecord>(store, keys.sweepSettled(sweepId, version)) : undefined;
    const isOver = settled !== undefined && ageInDays(settled.settledAt, now) >= settledDays;
    if (isOver && !sizes.has('kept.json')) continue;
    const sweep = await findJson<SweepRecord>(store, keys.sweep(sweepId, version));
    for (const { trialId } of sweep?.trials ?? []) held.trials.add(trialId);
    for (const trialIds of sweep?.bundles ?? []) held.bundles.add(bundleIdOf(trialIds));
  }
  return held;
}

function below(trialId: string, key: string): string {
  const folder = `${keys.trials()}${trialId}/`;
  return key.startsWith(folder) ? key.slice(folder.length) : '';
}

/** A date that cannot be read is never old. */
export function ageInDays(date: string, now: Date): number {
  const age = (now.getTime() - Date.parse(date)) / DAY_MS;
  return Number.isNaN(age) ? 0 : age;
}
