// Reading one object from an S3 server: when the connection breaks, the reading goes on from the next byte, as long as
// the object is still the same one. What is read is checked by whoever asked for it.
import type { IncomingMessage } from 'node:http';
import { type BodyFacts, ObjectCorrupt } from './object-store.js';
import { S3Failure } from './s3-failure.js';
import type { S3Requests } from './s3-requests.js';

/** The object was overwritten while it was read: begin anew, or give up. */
export class ObjectReplaced extends Error {
  override readonly name = 'ObjectReplaced';
}

export interface ByteRange {
  start: number;
  /** Inclusive; absent: to the end. */
  end?: number;
}

/** Size and SHA-256 as the server tells them. Throws ObjectCorrupt for an object that this store did not write. */
export function factsIn(key: string, headers: IncomingMessage['headers']): BodyFacts {
  const sha256 = headers['x-amz-meta-sha256'];
  const total = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
  const size = Number(total ?? headers['content-length']);
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new ObjectCorrupt(`${key} cannot be trusted: it has no x-amz-meta-sha256, so something else put it there`);
  }
  return { size, sha256 };
}

/** An object that is open for reading: one version of it. */
export class S3Reading {
  private isClosed = false;

  private constructor(
    private readonly requests: S3Requests,
    readonly key: string,
    private response: IncomingMessage,
    private readonly range: ByteRange | undefined,
    private readonly signal: AbortSignal | undefined,
  ) {
    // An answer that breaks before anybody reads it is found when it is read.
    response.on('error', () => {});
  }

  /** Throws S3Failure (not found, range behind the end) and StoreUnavailable. */
  static async open(
    requests: S3Requests,
    key: string,
    options: { range?: ByteRange | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<S3Reading> {
    const { range, signal } = options;
    const response = await requests.send({ method: 'GET', key, headers: rangeHeader(range), signal });
    return new S3Reading(requests, key, response, range, signal);
  }

  get facts(): BodyFacts {
    return factsIn(this.key, this.response.headers);
  }

  /** The bytes asked for, once. Throws ObjectReplaced. */
  async *bytes(): AsyncGenerator<Buffer> {
    const version = versionOf(this.response);
    const size = sizeOf(this.response);
    const start = this.range?.start ?? 0;
    const end = Math.min(this.range?.end ?? size - 1, size - 1);
    let at = start;
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          for await (const chunk of wanted(this.response, at, end)) {
            at += chunk.length;
            attempt = 1;
            yield chunk;
          }
          if (at > end) return;
          throw new S3Failure(0, 'ERR_STREAM_PREMATURE_CLOSE', `the answer ended after ${at} of ${end + 1} bytes`);
        } catch (error) {
          if (this.isClosed) return;
          await this.requests.beforeNext(error, attempt, this.signal);
        }
        this.response.destroy();
        this.response = await this.again({ start: at, end }, version);
        if (this.isClosed) return;
      }
    } finally {
      this.close();
    }
  }

  close(): void {
    this.isClosed = true;
    this.response.destroy();
  }

  private async again(range: ByteRange, version: string): Promise<IncomingMessage> {
    const { requests, key, signal } = this;
    const response = await requests.send({ method: 'GET', key, headers: rangeHeader(range), signal });
    response.on('error', () => {});
    if (versionOf(response) === version) return response;
    response.destroy();
    throw new ObjectReplaced(`${key} was overwritten while it was read`);
  }
}

function rangeHeader(range: ByteRange | undefined): Record<string, string> {
  return range ? { range: `bytes=${range.start}-${range.end ?? ''}` } : {};
}

/** Bytes `at` to `end` of the object out of an answer that begins there or, from a server that ignores ranges, at 0. */
async function* wanted(response: IncomingMessage, at: number, end: number): AsyncGenerator<Buffer> {
  let position = response.statusCode === 206 ? at : 0;
  for await (const item of response) {
    const chunk = item as Buffer;
    const from = Math.max(0, at - position);
    const to = Math.min(chunk.length, end + 1 - position);
    position += chunk.length;
    if (to > from) yield chunk.subarray(from, to);
    // The rest is not wanted; an answer that is read to its end leaves the connection for the next request.
    if (response.statusCode !== 206 && position > end && position < sizeOf(response)) return;
  }
}

/** What tells one version of an object from the next: its writer, which every upload names anew. */
function versionOf({ headers }: IncomingMessage): string {
  return `${headers['x-amz-meta-writer']} ${headers['x-amz-meta-sha256']} ${headers.etag}`;
}

function sizeOf(response: IncomingMessage): number {
  const total = /\/(\d+)$/.exec(response.headers['content-range'] ?? '')?.[1];
  return Number(total ?? response.headers['content-length'] ?? 0);
}
