// Records are JSON objects in the store: two-space, in the order they were built, with a final newline, so that people
// can read and compare them.
import { type BodyFacts, ObjectCorrupt, ObjectNotFound, type ObjectStore } from './object-store.js';

const JSON_TYPE = 'application/json';
const DEFAULT_MAX_BYTES = 32 * 1024 ** 2;

/** Writes or overwrites a record. Throws TypeError on numbers that JSON cannot hold (NaN, infinities). */
export async function putJson(store: ObjectStore, key: string, value: unknown): Promise<BodyFacts> {
  return await store.put(key, encode(key, value), { contentType: JSON_TYPE });
}

/** Writes a record unless there is one; true for exactly one of any number of racing writers. */
export async function putJsonIfAbsent(store: ObjectStore, key: string, value: unknown): Promise<boolean> {
  return await store.putIfAbsent(key, encode(key, value), { contentType: JSON_TYPE });
}

/** Reads a record; the caller knows (or checks) its shape. Throws ObjectNotFound, ObjectTooLarge, ObjectCorrupt. */
export async function getJson<T>(
  store: ObjectStore,
  key: string,
  { maxBytes = DEFAULT_MAX_BYTES }: { maxBytes?: number } = {},
): Promise<T> {
  const bytes = await store.get(key, { maxBytes });
  try {
    return JSON.parse(bytes.toString('utf8')) as T;
  } catch (error) {
    throw new ObjectCorrupt(`${key} is not JSON`, { cause: error });
  }
}

/** As getJson, but undefined when there is no such object. */
export async function findJson<T>(
  store: ObjectStore,
  key: string,
  options?: { maxBytes?: number },
): Promise<T | undefined> {
  try {
    return await getJson<T>(store, key, options);
  } catch (error) {
    if (error instanceof ObjectNotFound) return undefined;
    throw error;
  }
}

function encode(key: string, value: unknown): Buffer {
  const text = JSON.stringify(
    value,
    (name, item: unknown) => {
      if (typeof item === 'number' && !Number.isFinite(item)) {
        throw new TypeError(`${key}: ${name} is ${item}, which JSON cannot hold`);
      }
      return item;
    },
    2,
  );
  if (text === undefined) throw new TypeError(`${key}: ${typeof value} is not JSON`);
  return Buffer.from(`${text}\n`);
}
