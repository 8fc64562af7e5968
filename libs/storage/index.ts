// The record: one interface, two stores (directory, S3), one place for keys. The only code that knows minio.
export { type BundleState, readBundleState, spendingReader } from './bundle-state.js';
export { contentDisposition } from './content-disposition.js';
export type { SignUrl } from './directory-store.js';
export { findJson, getJson, putJson, putJsonIfAbsent } from './json-objects.js';
export { InvalidKey } from './key-rules.js';
export * from './keys.js';
export { listFolders, listPages } from './listing.js';
export * from './object-store.js';
export { type OpenStoreOptions, openStore } from './open-store.js';
export {
  type AskingSweep,
  hasTrialEnded,
  isOpenTrial,
  isPrunedFor,
  readSweepState,
  readTrialEnding,
  readTrialState,
  type SweepState,
  sweepStateOf,
  type TrialState,
  trialStateOf,
} from './record-state.js';
export type { RetryPolicy } from './s3-requests.js';
