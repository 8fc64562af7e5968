// Bodies on their way in and out: measured, checked against what was stated, and hashed while they pass.
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { giveBack } from './give-back.js';
import { type Body, type BodyFacts, BodyMismatch, ObjectCorrupt } from './object-store.js';

const READ_CHUNK = 512 * 1024;

/** Size and SHA-256 of bytes in memory. */
export function factsOf(bytes: Uint8Array): BodyFacts {
  return { size: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Size and SHA-256 of a body, reading a file once. */
export async function measureBody(body: Body, signal?: AbortSignal): Promise<BodyFacts> {
  return body instanceof Uint8Array ? factsOf(body) : await consumeFacts(bodyChunks(body), signal);
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

interface ChunkOptions {
  /** A small file takes a small buffer; half a megabyte for each of many small ones keeps the garbage collector busy. */
  fileSize: number;
  start?: number;
  end?: number;
  idle?: Buffer[];
}

/**
 * A file's bytes in one buffer that is filled anew each time: a large file then leaves no garbage of its own size. The
 * buffer is one of `idle` where there is one, and is put there at the end. A reader that leaves early may have a write of
 * it under way: that buffer is not used again.
 */
async function* chunksIn(
  file: FileHandle,
  { fileSize, start = 0, end = Number.POSITIVE_INFINITY, idle = [] }: ChunkOptions,
): AsyncGenerator<Buffer> {
  const buffer = idle.pop() ?? Buffer.allocUnsafeSlow(Math.min(READ_CHUNK, fileSize + 1));
  for (let at = start; at < end; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0) break;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
  idle.push(buffer);
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
  const file = await open(temporary, 'wx');
  try {
    const found = await writeGathered(file, source, options.signal);
    assertIntact(key, found, options.written);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    // The reason that was given, not the stream's own word for it.
    options.signal?.throwIfAborted();
    throw error;
  }
}

/**
 * Writes and hashes a stream. Small chunks are gathered, and one batch is written while the next one arrives. Chunks must
 * be nobody else's: their memory is given back once they are written.
 */
async function writeGathered(
  file: FileHandle,
  source: AsyncIterable<unknown>,
  signal: AbortSignal | undefined,
): Promise<BodyFacts> {
  const hash = createHash('sha256');
  let size = 0;
  let gathered: Buffer[] = [];
  let gatheredSize = 0;
  let writing: Promise<void> = Promise.resolve();
  const flush = async () => {
    await writing;
    const batch = gathered;
    writing = writeAll(file, batch).then(() => giveBack(batch));
    // A failure is met where the write is awaited.
    writing.catch(() => {});
    gathered = [];
    gatheredSize = 0;
  };
  try {
    for await (const chunk of source) {
      signal?.throwIfAborted();
      const bytes = chunk as Buffer;
      hash.update(bytes);
      size += bytes.byteLength;
      gathered.push(bytes);
      gatheredSize += bytes.byteLength;
      if (gatheredSize >= READ_CHUNK) await flush();
    }
    await flush();
  } finally {
    await writing;
  }
  return { size, sha256: hash.digest('hex') };
}

/** One writev may write less than all; the rest follows. */
async function writeAll(file: FileHandle, buffers: Buffer[]): Promise<void> {
  let rest = buffers.filter((buffer) => buffer.byteLength > 0);
  while (rest.length > 0) {
    let { bytesWritten } = await file.writev(rest);
    rest = rest.flatMap((buffer) => {
      const written = Math.min(bytesWritten, buffer.byteLength);
      bytesWritten -= written;
      return written < buffer.byteLength ? [buffer.subarray(written)] : [];
    });
  }
}

/** A body that can be read in parts, and each again: what retries and resumed uploads need. One version of its file. */
export interface OpenBody {
  readonly size: number;
  /**
   * Bytes in memory, or the file's anew: each chunk holds until the next one is asked for. Fails with BodyMismatch when
   * the file has become shorter.
   */
  part(start: number, size: number): Buffer | AsyncIterable<Buffer>;
  /** SHA-256 of a part; `whole` takes the same bytes. */
  hashPart(start: number, size: number, whole: Hash): Promise<string>;
  close(): Promise<void>;
}

export async function openBody(key: string, body: Body): Promise<OpenBody> {
  if (body instanceof Uint8Array) {
    const whole = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    return {
      size: whole.length,
      part: (start, size) => whole.subarray(start, start + size),
      hashPart: (start, size, hash) => hashChunks([whole.subarray(start, start + size)], hash),
      close: async () => {},
    };
  }
  const file = await open(body.path);
  const { size } = await file.stat();
  // Of parts that are over, for those to come.
  const idle: Buffer[] = [];
  return {
    size,
    part: (start, length) => exactly(key, chunksIn(file, { fileSize: size, start, end: start + length, idle }), length),
    hashPart: (start, length, hash) =>
      hashChunks(chunksIn(file, { fileSize: size, start, end: start + length, idle }), hash),
    close: () => file.close(),
  };
}

async function hashChunks(chunks: Iterable<Buffer> | AsyncIterable<Buffer>, whole: Hash): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) {
    hash.update(chunk);
    whole.update(chunk);
  }
  return hash.digest('hex');
}

/** As chunksIn, for exactly so many bytes. */
async function* exactly(key: string, chunks: AsyncGenerator<Buffer>, size: number): AsyncGenerator<Buffer> {
  let count = 0;
  for await (const chunk of chunks) {
    count += chunk.length;
    yield chunk;
  }
  if (count < size) throw new BodyMismatch(`${key} was not stored: its file became shorter while it was read`);
}

/** A body from its start to its end; each chunk holds until the next one is asked for. */
export async function* bodyChunks(body: Body): AsyncGenerator<Buffer> {
  if (body instanceof Uint8Array) {
    const whole = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    for (let at = 0; at < whole.length; at += READ_CHUNK) yield whole.subarray(at, at + READ_CHUNK);
    return;
  }
  const file = await open(body.path);
  try {
    yield* chunksIn(file, { fileSize: (await file.stat()).size });
  } finally {
    await file.close();
  }
}
