// Where a stored file can be fetched without the API key.
import type { StoredFile } from '#experiment';
import type { ObjectStore } from '#storage';

const EXPIRY_SECONDS = 3600;

/** A URL that is good for an hour and gives the file its name. */
export async function urlFor(store: ObjectStore, file: StoredFile): Promise<string> {
  const url = await store.presign(file.key, { expirySeconds: EXPIRY_SECONDS, fileName: file.name });
  if (url === undefined) throw new Error(`the store gives no URL for ${file.key}`);
  return url;
}
