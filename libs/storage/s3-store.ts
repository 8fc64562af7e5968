// The object store on an S3 server (MinIO, Ceph, AWS …). Asks little of it: path style, signature V4, PUT, GET with range,
// HEAD, ListObjectsV2, DELETE, multipart. The SHA-256 of an object stands in its metadata (x-amz-meta-sha256); ETags are
// never taken for hashes. Requests and retries: s3-requests.ts; the upload loop: s3-upload.ts.
import type { IncomingHttpHeaders } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import type { Client } from 'minio';
import type { S3Settings } from '#config';
import { assertIntact, assertStated, factsOf, measureBody, saveVerified, verifier } from './body.js';
import { contentDisposition } from './content-disposition.js';
import { assertKey, assertPrefix, isKey } from './key-rules.js';
import {
  type Body,
  type BodyFacts,
  type ListPage,
  ObjectCorrupt,
  type ObjectHead,
  ObjectNotFound,
  type ObjectStore,
  ObjectTooLarge,
  type PresignOptions,
  type PutOptions,
  StoreUnavailable,
  type UnfinishedWrite,
} from './object-store.js';
import { probeAbilities, type S3Abilities, warningsFor } from './s3-abilities.js';
import { ensureBucket, probeWrite, sweepProbes, sweepUploads, unfinishedWrites } from './s3-bucket.js';
import { S3Failure } from './s3-failure.js';
import { type ByteRange, factsIn, ObjectReplaced, S3Reading } from './s3-read.js';
import { clientFor, DEFAULT_RETRIES, type RetryPolicy, S3Requests } from './s3-requests.js';
import { upload } from './s3-upload.js';
import { PART_SIZE, type Uploaded, type UploadOptions } from './s3-upload-plan.js';
import { listingIn } from './s3-xml.js';

const DEFAULT_PAGE = 1000;
/** What servers give at most in one answer. */
const SERVER_PAGE = 1000;
/** How often a server that answers with something old is looked at again. */
const LOOKS = 4;
const SECOND_MS = 1000;
const MAX_PRESIGN_SECONDS = 7 * 24 * 3600;

/** Connects, creates the bucket where it is missing, and finds out what the server can do. */
export async function openS3Store(
  settings: S3Settings,
  {
    retries,
    keepUnfinished,
  }: { retries?: Partial<RetryPolicy> | undefined; keepUnfinished?: boolean | undefined } = {},
): Promise<ObjectStore> {
  for (const [variable, address] of [
    ['S3_ENDPOINT', settings.endpoint],
    ['S3_PUBLIC_ENDPOINT', settings.publicEndpoint],
  ] as const) {
    if (address.pathname !== '/') {
      throw new StoreUnavailable(`${variable} must be scheme, host and port only, not ${address.href}.`, false);
    }
  }
  const requests = await S3Requests.open(settings, { ...DEFAULT_RETRIES, ...retries });
  try {
    const impatient = requests.impatient();
    await ensureBucket(impatient, settings);
    const abilities = await probeAbilities(impatient);
    const isSwept = abilities.listsUploads && !keepUnfinished;
    await Promise.all([isSwept && sweepUploads(impatient), sweepProbes(impatient)]);
    return new S3Store(settings, requests, abilities);
  } catch (error) {
    requests.close();
    throw error instanceof S3Failure ? requests.trouble(error) : error;
  }
}

class S3Store implements ObjectStore {
  readonly description: string;
  readonly warnings: readonly string[];
  /** Signs for the address that clients outside use: a signature holds for one host only. */
  private readonly signer: Client;

  constructor(
    private readonly settings: S3Settings,
    private readonly requests: S3Requests,
    private readonly abilities: S3Abilities,
  ) {
    this.description = `s3 ${settings.endpoint.origin}/${settings.bucket}`;
    this.warnings = warningsFor(abilities);
    this.signer = clientFor(settings, settings.publicEndpoint);
  }

  async check(): Promise<void> {
    const impatient = this.requests.impatient();
    await ensureBucket(impatient, this.settings);
    await probeWrite(impatient);
  }

  async put(key: string, body: Body, options: PutOptions = {}): Promise<BodyFacts> {
    assertKey(key);
    const uploaded = await this.uploadVerified(key, body, options);
    // Only a condition can be refused, and there is none.
    if (!uploaded) throw new StoreUnavailable(`The S3 server refused ${key} for a condition that was not set.`, false);
    return uploaded.facts;
  }

  /**
   * Exact where the server keeps If-None-Match. Where it does not, whoever stands in the object at the end was first: of
   * racing writers two may then get true, when the later one writes after the earlier one looked.
   */
  async putIfAbsent(key: string, body: Body, options: PutOptions = {}): Promise<boolean> {
    assertKey(key);
    const facts = await measureBody(body, options.signal);
    assertStated(key, facts, options);
    if (this.abilities.conditionalPut) {
      // Spares sending a large body that would be refused.
      if (facts.size > PART_SIZE && (await this.headers(key)) !== undefined) return false;
      return (await this.uploadVerified(key, body, { ...options, ...facts, onlyIfAbsent: true })) !== undefined;
    }
    if ((await this.headers(key)) !== undefined) return false;
    const uploaded = await this.uploadVerified(key, body, { ...options, ...facts });
    return uploaded !== undefined && (await this.headers(key))?.['x-amz-meta-writer'] === uploaded.writer;
  }

  async get(key: string, options: { signal?: AbortSignal; maxBytes?: number } = {}): Promise<Buffer> {
    return await this.reading(key, options.signal, async (object) => {
      const written = object.facts;
      if (options.maxBytes !== undefined && written.size > options.maxBytes) {
        throw new ObjectTooLarge(`${key} has ${written.size} bytes where at most ${options.maxBytes} are read`);
      }
      const chunks: Buffer[] = [];
      for await (const chunk of object.bytes()) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      assertIntact(key, factsOf(bytes), written);
      return bytes;
    });
  }

  async getToFile(key: string, path: string, options: { signal?: AbortSignal } = {}): Promise<BodyFacts> {
    return await this.reading(key, options.signal, async (object) => {
      const written = object.facts;
      await saveVerified(key, object.bytes(), path, { written, signal: options.signal });
      return written;
    });
  }

  async stream(key: string, range?: ByteRange): Promise<Readable> {
    assertKey(key);
    return await this.answered(key, async () => {
      const object = await S3Reading.open(this.requests, key, { range });
      const bytes = Readable.from(object.bytes(), { objectMode: false });
      // A reader that leaves early must not leave the connection hanging.
      bytes.once('close', () => object.close());
      if (range !== undefined) return bytes;
      try {
        return pipeline(bytes, verifier(key, object.facts), () => {});
      } catch (error) {
        object.close();
        throw error;
      }
    });
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    assertKey(key);
    const headers = await this.headers(key);
    if (!headers) return undefined;
    return {
      key,
      ...factsIn(key, headers),
      contentType: headers['content-type'] ?? 'application/octet-stream',
      modifiedAt: new Date(headers['last-modified'] ?? 0),
    };
  }

  async list(prefix: string, options: { cursor?: string; limit?: number } = {}): Promise<ListPage> {
    assertPrefix(prefix);
    const limit = options.limit ?? DEFAULT_PAGE;
    const objects: ListPage['objects'] = [];
    let cursor = options.cursor;
    for (;;) {
      const query = new URLSearchParams({
        prefix,
        'max-keys': String(Math.min(SERVER_PAGE, limit - objects.length)),
        ...this.listingAfter(cursor),
      });
      const { text } = await this.answered(prefix, () =>
        this.requests.sendForText(
          { method: 'GET', query: query.toString().replaceAll('+', '%20') },
          (answer) => listingIn(answer, prefix) !== undefined,
        ),
      );
      const { objects: page, isTruncated } = listingIn(text, prefix) as NonNullable<ReturnType<typeof listingIn>>;
      // What others put into the bucket under names that we do not have is none of ours.
      objects.push(...page.filter((item) => isKey(item.key)));
      cursor = page.at(-1)?.key;
      if (cursor === undefined || !isTruncated) return { objects };
      if (objects.length >= limit) return { objects, cursor };
    }
  }

  async delete(key: string): Promise<void> {
    assertKey(key);
    try {
      await this.requests.sendForText({ method: 'DELETE', key });
    } catch (error) {
      if (error instanceof S3Failure && error.isNotFound) return;
      throw error instanceof S3Failure ? this.requests.trouble(error) : error;
    }
  }

  async presign(key: string, options: PresignOptions): Promise<string> {
    assertKey(key);
    const { expirySeconds, fileName } = options;
    if (!Number.isInteger(expirySeconds) || expirySeconds < 1 || expirySeconds > MAX_PRESIGN_SECONDS) {
      throw new RangeError(`a signed URL holds for 1 to ${MAX_PRESIGN_SECONDS} seconds, not ${expirySeconds}`);
    }
    return await this.signer.presignedGetObject(
      this.settings.bucket,
      key,
      expirySeconds,
      fileName === undefined ? {} : { 'response-content-disposition': contentDisposition(fileName) },
    );
  }

  async unfinished({ olderThanMs }: { olderThanMs: number }): Promise<UnfinishedWrite[]> {
    if (!this.abilities.listsUploads) return [];
    return await this.answered('', () => unfinishedWrites(this.requests, olderThanMs));
  }

  async close(): Promise<void> {
    this.requests.close();
  }

  /** Uploads and then looks at what the server says it has. */
  private async uploadVerified(key: string, body: Body, options: UploadOptions): Promise<Uploaded | undefined> {
    const { requests, abilities, settings } = this;
    const target = { requests, abilities, bucket: settings.bucket };
    const uploaded = await upload(target, key, body, options);
    if (!uploaded) return undefined;
    for (let attempt = 1; ; attempt += 1) {
      const headers = await this.headers(key);
      if (headers?.['x-amz-meta-writer'] === uploaded.writer) {
        assertIntact(key, factsIn(key, headers), uploaded.facts);
        return uploaded;
      }
      // Another writer's object has replaced ours in the meantime: then the last one counts, as promised.
      const modifiedAt = Date.parse(headers?.['last-modified'] ?? '');
      if (modifiedAt - uploaded.answeredAt.getTime() > SECOND_MS) return uploaded;
      if (attempt < LOOKS) {
        await requests.pause(attempt, options.signal);
        continue;
      }
      // As new as ours: within the second that the clock of HTTP tells.
      if (modifiedAt - uploaded.answeredAt.getTime() > -SECOND_MS) return uploaded;
      const found = headers ? 'an older object' : 'no such object';
      throw new StoreUnavailable(`The S3 server took ${key} and then had ${found}; was it deleted?`, true);
    }
  }

  /** The last key rather than the server's token: it holds for any server and any time. The older listing knows it too. */
  private listingAfter(cursor: string | undefined): Record<string, string> {
    const { startAfter } = this.abilities;
    const after = cursor === undefined ? {} : { [startAfter ? 'start-after' : 'marker']: cursor };
    return startAfter ? { 'list-type': '2', ...after } : after;
  }

  private async headers(key: string): Promise<IncomingHttpHeaders | undefined> {
    try {
      const { headers } = await this.requests.sendForText({ method: 'HEAD', key });
      return headers;
    } catch (error) {
      if (error instanceof S3Failure && error.isNotFound) return undefined;
      throw error instanceof S3Failure ? this.requests.trouble(error) : error;
    }
  }

  /** Opens an object and reads it; all again when it is overwritten meanwhile, and once when its bytes came damaged. */
  private async reading<T>(
    key: string,
    signal: AbortSignal | undefined,
    read: (object: S3Reading) => Promise<T>,
  ): Promise<T> {
    assertKey(key);
    return await this.answered(key, async () => {
      for (let attempt = 1; ; attempt += 1) {
        const object = await S3Reading.open(this.requests, key, { signal });
        try {
          return await read(object);
        } catch (error) {
          const mayRead =
            (error instanceof ObjectReplaced && attempt < LOOKS) || (error instanceof ObjectCorrupt && attempt === 1);
          if (!mayRead) throw error;
        } finally {
          object.close();
        }
      }
    });
  }

  private async answered<T>(key: string, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      if (error instanceof ObjectReplaced) throw new StoreUnavailable(`${error.message} again and again.`, true);
      if (!(error instanceof S3Failure)) throw error;
      if (error.isNotFound) throw new ObjectNotFound(key);
      if (error.status === 416) throw new RangeError(`the range begins behind the end of ${key}`);
      throw this.requests.trouble(error);
    }
  }
}
