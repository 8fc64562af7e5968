// Bodies on their way in and out: measured, checked against what was stated, and hashed while they pass.
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Body, type BodyFacts, BodyMismatch, ObjectCorrupt } from './object-store.js';

const READ_CHUNK = 1024 ** 2;
/** Several parts are on their way at once, and each keeps a few chunks. */
const PART_CHUNK = 256 * 1024;

/** Size and SHA-256 of bytes in memory. */
export function factsOf(bytes: Uint8Array): BodyFacts {
  return { size: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Size and SHA-256 of a body, reading a file once. */
export async function measureBody(body: Body, signal?: AbortSignal): Promise<BodyFacts> {
  if (body instanceof Uint8Array) return factsOf(body);
  const file = createReadStream(body.path, { highWaterMark: READ_CHUNK });
  return await consumeFacts(file, signal);
}

/** Reads a stream to its end for its size and SHA-256. */
export async function consumeFacts(stream: AsyncIterable<unknown>, signal?: AbortSignal): Promise<BodyFacts> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of stream) {
    signal?.throwIfAborted();
    const bytes = chunk as Buffer;
    hash.update(bytes);
    size += bytes.byteLength;
  }
  return { size, sha256: hash.digest('hex') };
}

/** Throws BodyMismatch when a body is not what the caller stated. */
export function assertStated(key: string, found: BodyFacts, stated: Partial<BodyFacts>): void {
  if (stated.size !== undefined && stated.size !== found.size) {
    throw new BodyMismatch(`${key} was not stored: it has ${found.size} bytes where ${stated.size} were stated`);
  }
  if (stated.sha256 !== undefined && stated.sha256 !== found.sha256) {
    throw new BodyMismatch(`${key} was not stored: its SHA-256 is ${found.sha256} where ${stated.sha256} was stated`);
  }
}

/** Throws ObjectCorrupt when what was read is not what had been written. */
export function assertIntact(key: string, found: BodyFacts, written: BodyFacts): void {
  if (found.size === written.size && found.sha256 === written.sha256) return;
  throw new ObjectCorrupt(
    `${key} is damaged: ${found.size} bytes with SHA-256 ${found.sha256} were read where ${written.size} bytes with ${written.sha256} had been written`,
  );
}

/** Passes bytes on and fails at the end when they are not the ones written. */
export function verifier(key: string, written: BodyFacts): Transform {
  const hash = createHash('sha256');
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.byteLength;
      done(null, chunk);
    },
    flush(done) {
      try {
        assertIntact(key, { size, sha256: hash.digest('hex') }, written);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

/** Writes a verified stream beside `path` and renames it there when whole; on failure nothing is left. */
export async function saveVerified(
  key: string,
  source: AsyncIterable<Buffer> | NodeJS.ReadableStream,
  path: string,
  options: { written: BodyFacts; signal?: AbortSignal | undefined },
): Promise<void> {
  const temporary = `${path}.${randomUUID()}.part`;
  try {
    await pipeline(source, verifier(key, options.written), createWriteStream(temporary, { flush: true }), {
      ...(options.signal ? { signal: options.signal } : {}),
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    // The reason that was given, not the stream's own word for it.
    options.signal?.throwIfAborted();
    throw error;
  }
}

/** A body that can be read in parts, and each again: what retries and resumed uploads need. One version of its file. */
export interface OpenBody {
  readonly size: number;
  /** Bytes in memory, or a fresh stream of the file, which fails with BodyMismatch when the file has become shorter. */
  part(start: number, size: number): Buffer | Readable;
  close(): Promise<void>;
}

export async function openBody(key: string, body: Body): Promise<OpenBody> {
  if (body instanceof Uint8Array) {
    const whole = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    return {
      size: whole.length,
      part: (start, size) => whole.subarray(start, start + size),
      close: async () => {},
    };
  }
  const file = await open(body.path);
  const { size } = await file.stat();
  return {
    size,
    part: (start, length) => Readable.from(readPart(key, file, start, length), { objectMode: false }),
    close: () => file.close(),
  };
}

async function* readPart(key: string, file: FileHandle, start: number, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; ) {
    const buffer = Buffer.allocUnsafe(Math.min(PART_CHUNK, size - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start + at);
    if (bytesRead === 0) throw new BodyMismatch(`${key} was not stored: its file became shorter while it was read`);
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** SHA-256 of one part; `whole`, if given, takes the same bytes. */
export async function hashPart(part: Buffer | Readable, whole?: Hash): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of Buffer.isBuffer(part) ? [part] : part) {
    hash.update(chunk as Buffer);
    whole?.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

/** Bytes as a stream of moderate chunks, or the file's own stream. */
export function bodyStream(body: Body): Readable {
  if (!(body instanceof Uint8Array)) return createReadStream(body.path, { highWaterMark: READ_CHUNK });
  const whole = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return Readable.from(
    (function* () {
      for (let at = 0; at < whole.length; at += READ_CHUNK) yield whole.subarray(at, at + READ_CHUNK);
    })(),
    { objectMode: false },
  );
}
