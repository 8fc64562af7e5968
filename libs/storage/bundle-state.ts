// What the record says of a bundle's training under way: whether somebody has begun it, and what its furthest checkpoint tells of.
import { findJson } from './json-objects.js';
import { keys } from './keys.js';
import { listPages } from './listing.js';
import { ObjectCorrupt, type ObjectStore } from './object-store.js';
import { type AskingSweep, readTrialEnding } from './record-state.js';

export interface BundleState {
  /** There is a checkpoint, or an attempt that has begun and not ended in good order. */
  hasBegun: boolean;
  /** Spent training, over all processes, by the furthest checkpoint; 0 before the first. */
  seconds: number;
  /** How many train together in it. */
  students: number;
}

interface Pointer {
  manifest?: { trialIds?: string[]; state?: { seconds?: number } };
}

export async function readBundleState(store: ObjectStore, bundleId: string): Promise<BundleState> {
  const found: BundleState = { hasBegun: false, seconds: 0, students: 0 };
  const folder = keys.bundle(bundleId);
  for await (const objects of listPages(store, folder)) {
    for (const { key } of objects) {
      const name = key.slice(folder.length);
      if (name.startsWith('starts/')) found.hasBegun = true;
      if (!/^attempts\/[^/]+\/checkpoint\.json$/.test(name)) continue;
      found.hasBegun = true;
      const { manifest } = (await readable(store, key)) ?? {};
      const seconds = manifest?.state?.seconds ?? 0;
      if (seconds >= found.seconds)
        Object.assign(found, { seconds, students: manifest?.trialIds?.length ?? found.students });
    }
  }
  return found;
}

/** Reads of a sweep's trials and bundles what its spending is summed from. */
export function spendingReader<Result>(store: ObjectStore, sweep: AskingSweep) {
  return {
    ending: (trialId: string) => readTrialEnding<Result>(store, trialId, sweep),
    bundle: (bundleId: string) => readBundleState(store, bundleId),
  };
}

/** A damaged pointer tells nothing, and keeps nobody from anything. */
async function readable(store: ObjectStore, key: string): Promise<Pointer | undefined> {
  try {
    return await findJson<Pointer>(store, key);
  } catch (error) {
    if (error instanceof ObjectCorrupt) return undefined;
    throw error;
  }
}
