// Bodies on their way in and out: measured, checked against what was stated, and hashed while they pass.
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Body, type BodyFacts, BodyMismatch, ObjectCorrupt } from './object-store.js';

const READ_CHUNK = 1024 ** 2;

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
  source: NodeJS.ReadableStream,
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

/**
 * Gives a body piece by piece, in order; a file that is shorter than its stated size fails with BodyMismatch. A piece
 * read from a file is valid only until it is given back to `release`, so that large files need few buffers.
 */
export async function* pieces(
  key: string,
  body: Body,
  layout: { size: number; pieceSize: number; buffers: Buffer[] },
): AsyncGenerator<Buffer> {
  if (body instanceof Uint8Array) {
    const whole = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    for (let at = 0; at < whole.length; at += layout.pieceSize) yield whole.subarray(at, at + layout.pieceSize);
    return;
  }
  const file = await open(body.path);
  try {
    for (let at = 0; at < layout.size; ) {
      const wanted = Math.min(layout.pieceSize, layout.size - at);
      const buffer = layout.buffers.pop() ?? Buffer.allocUnsafe(layout.pieceSize);
      let filled = 0;
      while (filled < wanted) {
        const { bytesRead } = await file.read(buffer, filled, wanted - filled, at + filled);
        if (bytesRead === 0) throw new BodyMismatch(`${key} was not stored: its file became shorter while it was read`);
        filled += bytesRead;
      }
      yield buffer.subarray(0, wanted);
      at += wanted;
    }
  } finally {
    await file.close();
  }
}

/** A small file or bytes as one Buffer. */
export async function wholeBody(key: string, body: Body, size: number): Promise<Buffer> {
  for await (const piece of pieces(key, body, { size, pieceSize: Math.max(size, 1), buffers: [] })) return piece;
  return Buffer.alloc(0);
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
