// The object store in our words: the contract that both stores (directory, S3) keep and one test holds them to. The store
// is the record; whatever is written here whole and verified is true, and nothing half-written is ever visible.

/** hex SHA-256 and byte length of a body; the store refuses a body that does not match. */
export interface BodyFacts {
  size: number;
  sha256: string;
}

/** A body is bytes in memory or a file on disk; never a bare stream (its size and hash must be known before). */
export type Body = Uint8Array | { path: string };

export interface PutOptions extends Partial<BodyFacts> {
  contentType?: string;
  signal?: AbortSignal;
}

export interface ObjectHead extends BodyFacts {
  key: string;
  contentType: string;
  modifiedAt: Date;
}

export interface ListPage {
  objects: { key: string; size: number }[];
  /** Pass it on to get the next page; absent on the last one. */
  cursor?: string;
}

export interface PresignOptions {
  expirySeconds: number;
  /** What the client saves it as (Content-Disposition). */
  fileName?: string;
}

export interface ObjectStore {
  /** Human words for logs and errors, without secrets: 'directory /data' or 's3 http://host:9000/bucket'. */
  readonly description: string;
  /** What this store keeps more weakly than promised here, one sentence each, for the log at start; mostly empty. */
  readonly warnings: readonly string[];
  /** Fails with one clear sentence when the store cannot be reached, read or written. */
  check(): Promise<void>;
  /** Writes or overwrites; a reader sees the old or the new object, never a mixture. */
  put(key: string, body: Body, options?: PutOptions): Promise<BodyFacts>;
  /** Writes only if nothing is there; of any number of racing writers exactly one gets true. */
  putIfAbsent(key: string, body: Body, options?: PutOptions): Promise<boolean>;
  /** The whole object, verified against its SHA-256. Throws ObjectNotFound; ObjectTooLarge above maxBytes. */
  get(key: string, options?: { signal?: AbortSignal; maxBytes?: number }): Promise<Buffer>;
  /** Into a file (temp + rename), verified. Throws ObjectNotFound. */
  getToFile(key: string, path: string, options?: { signal?: AbortSignal }): Promise<BodyFacts>;
  /**
   * A byte stream, `end` inclusive; verified when the whole object is read (it then fails at its end with ObjectCorrupt).
   * Throws ObjectNotFound; RangeError when the range starts behind the object's end.
   */
  stream(key: string, range?: { start: number; end?: number }): Promise<NodeJS.ReadableStream>;
  head(key: string): Promise<ObjectHead | undefined>;
  /** Keys with the prefix in code-point order. */
  list(prefix: string, options?: { cursor?: string; limit?: number }): Promise<ListPage>;
  /** Deleting what is not there is no error. */
  delete(key: string): Promise<void>;
  /** A URL that fetches the object without credentials, or undefined when the store has none (the API then streams). */
  presign(key: string, options: PresignOptions): Promise<string | undefined>;
  /** What was begun so long ago and never became an object, as far as the store can tell. */
  unfinished(options: { olderThanMs: number }): Promise<UnfinishedWrite[]>;
  close(): Promise<void>;
}

/** Left by a process that was killed while it wrote. */
export interface UnfinishedWrite {
  /** An object's key, or the name of a temporary file. */
  name: string;
  /** Bytes that it takes up. */
  size: number;
  /** Takes it away; a process that still writes it begins anew. */
  remove(): Promise<void>;
}

/** So long nobody's unfinished write is touched. */
export const UNFINISHED_LIFE_MS = 24 * 3600 * 1000;

export class ObjectNotFound extends Error {
  override readonly name = 'ObjectNotFound';
  constructor(readonly key: string) {
    super(`no object ${key}`);
  }
}

/** The object has more bytes than the reader is ready to take. */
export class ObjectTooLarge extends Error {
  override readonly name = 'ObjectTooLarge';
}

/** The body given to put is not what its stated size or SHA-256 says; nothing was written. */
export class BodyMismatch extends Error {
  override readonly name = 'BodyMismatch';
}

/** The bytes read are not the bytes written. */
export class ObjectCorrupt extends Error {
  override readonly name = 'ObjectCorrupt';
}

/** The store itself failed: unreachable, full, no permission. `retriable` says whether waiting may help. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
  constructor(
    message: string,
    readonly retriable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
