// What work left in the store that nobody needs any more, apart from trials: checkpoints of bundles whose sweeps are over,
// uploaded files out of which a corpus or teacher was made, and writes that were never finished. Each must be a day old:
// what runs now writes more often than that.
import type { PreparationRecord, PreparationResult } from '#experiment';
import {
  findJson,
  keys,
  listFolders,
  listPages,
  type ObjectStore,
  preparationOfBundle,
  UNFINISHED_LIFE_MS,
} from '#storage';
import { ageInDays, heldBySweeps } from './retention.js';

export interface Leftover {
  key: string;
  size: number;
  reason: 'bundle' | 'upload' | 'unfinished';
  remove(): Promise<void>;
}

export async function* findLeftovers(store: ObjectStore, now: Date): AsyncGenerator<Leftover> {
  yield* staleBundles(store, now);
  yield* usedUploads(store, now);
  for (const { name, size, remove } of await store.unfinished({ olderThanMs: UNFINISHED_LIFE_MS })) {
    yield { key: name, size, reason: 'unfinished', remove };
  }
}

/** The pointer comes first, so that nobody finds a checkpoint half gone. */
async function* staleBundles(store: ObjectStore, now: Date): AsyncGenerator<Leftover> {
  const held = await heldBySweeps(store, { settledDays: 1, now });
  for await (const { id: bundleId, sizes } of listFolders(store, keys.bundles())) {
    if (held.bundles.has(bundleId) || (await isTeacherInTraining(store, bundleId))) continue;
    const trialIds = await trialsOfCheckpoints(store, bundleId, [...sizes.keys()]);
    if (trialIds.some((trialId) => held.trials.has(trialId))) continue;
    const objects = [...sizes]
      .map(([name, size]) => ({ key: `${keys.bundle(bundleId)}${name}`, size }))
      .sort((a, b) => Number(isPointer(b.key)) - Number(isPointer(a.key)));
    if (!(await areOld(store, objects, now))) continue;
    for (const { key, size } of objects) yield { key, size, reason: 'bundle', remove: () => store.delete(key) };
  }
}

async function isTeacherInTraining(store: ObjectStore, bundleId: string): Promise<boolean> {
  const preparationId = preparationOfBundle(bundleId);
  return preparationId !== undefined && !(await store.head(keys.preparationResult(preparationId)));
}

const isPointer = (key: string): boolean => key.endsWith('/checkpoint.json');

/** A bundle that was packed anew has an id that stands in no sweep; its checkpoints name its trials. */
async function trialsOfCheckpoints(store: ObjectStore, bundleId: string, names: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    const fence = /^attempts\/([^/]+)\/checkpoint\.json$/.exec(name)?.[1];
    if (fence === undefined) continue;
    const pointer = await orDamaged(
      findJson<{ manifest?: { trialIds?: unknown } }>(store, keys.bundleCheckpoint(bundleId, fence)),
    );
    const trialIds = pointer?.manifest?.trialIds;
    if (Array.isArray(trialIds)) found.push(...trialIds.filter((id) => typeof id === 'string'));
  }
  return found;
}

/** Files that users sent stay until every preparation that names them has ended, and a day longer. */
async function* usedUploads(store: ObjectStore, now: Date): AsyncGenerator<Leftover> {
  const needed = await neededUploads(store, now);
  for await (const objects of listPages(store, keys.uploads())) {
    for (const object of objects) {
      if (needed.has(object.key) || !(await areOld(store, [object], now))) continue;
      yield { ...object, reason: 'upload', remove: () => store.delete(object.key) };
    }
  }
}

async function neededUploads(store: ObjectStore, now: Date): Promise<Set<string>> {
  const needed = new Set<string>();
  for await (const { id, sizes } of listFolders(store, keys.preparations())) {
    const result = sizes.has('result.json')
      ? await findJson<PreparationResult>(store, keys.preparationResult(id))
      : undefined;
    if (result && ageInDays(result.finishedAt, now) >= 1) continue;
    const preparation = await findJson<PreparationRecord>(store, keys.preparation(id));
    for (const key of uploadsIn(preparation?.request)) needed.add(key);
  }
  return needed;
}

/** Keys of uploads anywhere in a request, whatever its kind. */
function uploadsIn(value: unknown): string[] {
  if (typeof value === 'string') return value.startsWith(keys.uploads()) ? [value] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(uploadsIn) : [];
}

async function areOld(store: ObjectStore, objects: { key: string }[], now: Date): Promise<boolean> {
  for (const { key } of objects) {
    const head = await orDamaged(store.head(key));
    if (head && now.getTime() - head.modifiedAt.getTime() < UNFINISHED_LIFE_MS) return false;
  }
  return true;
}

/** Of what is damaged nothing can be said, and nobody can use it. */
async function orDamaged<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Error && error.name === 'ObjectCorrupt') return undefined;
    throw error;
  }
}
