// The checkpoints of a bundle as the store holds them, one of each attempt: which there are, which one to go on from, and
// which nobody needs any more. A training is a function of its state, so any attempt's checkpoint is as good as another's.
import {
  type AskingSweep,
  findJson,
  hasTrialEnded,
  keys,
  listPages,
  ObjectCorrupt,
  type ObjectStore,
  readTrialState,
} from '#storage';
import { type CheckpointManifest, parseManifest } from './checkpoint-manifest.js';

/** bundles/<id>/attempts/<fence>/checkpoint.json: overwritten by that attempt alone, with each newer checkpoint. */
export interface CheckpointPointer {
  /** as formatManifest writes it */
  manifest: unknown;
  /** where each file of the manifest lies */
  keys: Record<string, string>;
}

export interface StoredCheckpoint {
  fence: string;
  manifest: CheckpointManifest;
  fileKeys: Record<string, string>;
}

/** What lies under a bundle, from one listing. */
export interface BundleFolder {
  /** Attempts with a checkpoint. */
  fences: string[];
  /** Attempts that began at a position and have not ended in good order. */
  starts: { position: string; fence: string }[];
  /** Of all that is there. */
  keys: string[];
}

export async function listBundle(store: ObjectStore, bundleId: string): Promise<BundleFolder> {
  const found: BundleFolder = { fences: [], starts: [], keys: [] };
  const folder = keys.bundle(bundleId);
  for await (const objects of listPages(store, folder)) {
    for (const { key } of objects) {
      found.keys.push(key);
      const name = key.slice(folder.length);
      const attempt = /^attempts\/([^/]+)\/checkpoint\.json$/.exec(name);
      const start = /^starts\/([^/]+)\/([^/]+)\.json$/.exec(name);
      if (attempt) found.fences.push(attempt[1] as string);
      if (start) found.starts.push({ position: start[1] as string, fence: start[2] as string });
    }
  }
  return found;
}

/** The checkpoints that can be read, the furthest first. */
export async function readCheckpoints(
  store: ObjectStore,
  bundleId: string,
  fences: string[],
  onDamaged: (sentence: string) => void,
): Promise<StoredCheckpoint[]> {
  const found: StoredCheckpoint[] = [];
  for (const fence of fences) {
    const pointer = await findJson<CheckpointPointer>(store, keys.bundleCheckpoint(bundleId, fence)).catch((error) => {
      if (!(error instanceof ObjectCorrupt)) throw error;
      return onDamaged(error.message);
    });
    const manifest = pointer && parseManifest(JSON.stringify(pointer.manifest));
    if (pointer && manifest) found.push({ fence, manifest, fileKeys: pointer.keys });
  }
  return found.sort((a, b) => b.manifest.state.step - a.manifest.state.step);
}

/** Trials that can go on from it: not those that were dropped on the way. */
export function trialsIn({ trialIds, state }: CheckpointManifest): string[] {
  return trialIds.filter((_, k) => state.students[k]?.outcome !== 'cancelled');
}

/**
 * Which of these trials go on together, and from where: all of them where one checkpoint has them all, else those of the
 * checkpoint that is furthest (a trial that was paused has its own, older one); without any, all from the beginning.
 */
export function chooseGroup(
  checkpoints: StoredCheckpoint[],
  trialIds: readonly string[],
): { trialIds: string[]; from?: StoredCheckpoint } {
  const sharing = checkpoints
    .map((from) => ({ from, trialIds: trialIds.filter((trialId) => trialsIn(from.manifest).includes(trialId)) }))
    .filter((group) => group.trialIds.length > 0);
  const whole = sharing.find((group) => group.trialIds.length === trialIds.length);
  return whole ?? sharing[0] ?? { trialIds: [...trialIds] };
}

/** Removes what other attempts stored of trials that are all further in `mine`, or have ended. */
export async function removeSuperseded(
  store: ObjectStore,
  bundleId: string,
  mine: { fence: string; manifest: CheckpointManifest },
): Promise<void> {
  const { fences } = await listBundle(store, bundleId);
  const others = fences.filter((fence) => fence !== mine.fence);
  const have = new Set(trialsIn(mine.manifest));
  for (const { fence, manifest } of await readCheckpoints(store, bundleId, others, () => {})) {
    if (manifest.state.step > mine.manifest.state.step) continue;
    const left = trialsIn(manifest).filter((trialId) => !have.has(trialId));
    if (await haveEnded(store, left)) await removeAttempt(store, bundleId, fence);
  }
}

/** Removes the checkpoints of trials that have all ended, and with the last of them, once `trialIds` have, all of the bundle: then true. */
export async function removeEnded(
  store: ObjectStore,
  job: { bundleId: string; trialIds: string[]; sweepId: string },
): Promise<boolean> {
  const { bundleId, trialIds } = job;
  const [folder, isOver] = await Promise.all([listBundle(store, bundleId), haveEnded(store, trialIds, job)]);
  const kept = [];
  for (const checkpoint of await readCheckpoints(store, bundleId, folder.fences, () => {})) {
    if (await haveEnded(store, trialsIn(checkpoint.manifest), job))
      await removeAttempt(store, bundleId, checkpoint.fence);
    else kept.push(checkpoint);
  }
  if (kept.length > 0 || !isOver) return false;
  for (const key of folder.keys) await store.delete(key);
  return true;
}

/** Removes all of a bundle's checkpoints and starts. */
export async function removeBundle(store: ObjectStore, bundleId: string): Promise<void> {
  for (const fence of (await listBundle(store, bundleId)).fences) await removeAttempt(store, bundleId, fence);
  await removeUnder(store, keys.bundle(bundleId));
}

/** The pointer goes first, so that nobody finds it half gone. */
export async function removeAttempt(store: ObjectStore, bundleId: string, fence: string): Promise<void> {
  await store.delete(keys.bundleCheckpoint(bundleId, fence));
  await removeUnder(store, keys.bundleAttempt(bundleId, fence));
}

async function haveEnded(store: ObjectStore, trialIds: string[], asking?: AskingSweep): Promise<boolean> {
  const states = await Promise.all(trialIds.map((trialId) => readTrialState(store, trialId)));
  return states.every((state) => hasTrialEnded(state, asking));
}

async function removeUnder(store: ObjectStore, prefix: string): Promise<void> {
  for await (const objects of listPages(store, prefix)) for (const { key } of objects) await store.delete(key);
}
