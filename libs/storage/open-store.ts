// From settings to a store that is known to work.
import type { DirectorySettings, S3Settings } from '#config';
import { openDirectoryStore, type SignUrl } from './directory-store.js';
import type { ObjectStore } from './object-store.js';
import type { RetryPolicy } from './s3-requests.js';

export interface OpenStoreOptions {
  /** How the API signs URLs of its own for objects in a directory; without it such a store presigns nothing. */
  signUrl?: SignUrl;
  /** How patient the S3 store is with its server. */
  retries?: Partial<RetryPolicy>;
  /** Opening takes unfinished writes older than a day away, unless told to leave them. */
  keepUnfinished?: boolean;
}

/**
 * Opens the store, makes the folder or bucket where it is missing, and tries it. Throws StoreUnavailable with one clear
 * sentence; log the store's `warnings`.
 */
export async function openStore(
  settings: S3Settings | DirectorySettings,
  { signUrl, retries, keepUnfinished }: OpenStoreOptions = {},
): Promise<ObjectStore> {
  if (settings.kind === 'directory') return await openDirectoryStore(settings, { signUrl, keepUnfinished });
  // Loaded where it is needed: the S3 client takes longer to load than a store in a folder takes to open.
  const { openS3Store } = await import('./s3-store.js');
  return await openS3Store(settings, { retries, keepUnfinished });
}
