// From files a trainer wrote to stored files: hashed, uploaded, described for the record.
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoredFile } from '#experiment';
import type { ObjectStore } from '#storage';
import { sha256Of } from './file-cache.js';

export interface NamedFile {
  name: string;
  contentType: string;
}

/** A file on disk with what the record will say about it. */
export interface HashedFile extends Omit<StoredFile, 'key'> {
  path: string;
}

export async function hashFiles(folder: string, files: NamedFile[]): Promise<HashedFile[]> {
  return Promise.all(
    files.map(async ({ name, contentType }) => {
      const path = join(folder, name);
      const { size } = await stat(path);
      return { name, contentType, path, size, sha256: await sha256Of(path) };
    }),
  );
}

/** Larger files are stored one after another: each takes memory for its parts. */
const SMALL_BYTES = 1024 ** 2;

/** Stores each file under `keyOf(name)`; the store refuses bytes that changed since they were hashed. */
export async function uploadFiles(
  store: ObjectStore,
  files: HashedFile[],
  keyOf: (name: string) => string,
): Promise<StoredFile[]> {
  const upload = async ({ path, ...facts }: HashedFile): Promise<void> => {
    await store.put(keyOf(facts.name), { path }, facts);
  };
  const inTurn = async () => {
    for (const file of files) if (file.size > SMALL_BYTES) await upload(file);
  };
  await allSettled([...files.filter(({ size }) => size <= SMALL_BYTES).map(upload), inTurn()]);
  return files.map(({ name, size, sha256, contentType }) => ({ name, key: keyOf(name), size, sha256, contentType }));
}

/** As Promise.all, but a failure is thrown when nothing is under way any more. */
export async function allSettled<T>(works: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(works);
  return Promise.all(works);
}

/** Stores a text as a file called `name`. */
export async function uploadText(
  store: ObjectStore,
  file: NamedFile & { text: string },
  key: string,
): Promise<StoredFile> {
  const bytes = Buffer.from(file.text);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await store.put(key, bytes, { size: bytes.length, sha256, contentType: file.contentType });
  return { name: file.name, key, size: bytes.length, sha256, contentType: file.contentType };
}
