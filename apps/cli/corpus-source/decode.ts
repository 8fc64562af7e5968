// Bytes of a user's file to text: the encoding that is named, or the one a byte order mark tells, else UTF-8; gzip is
// opened on the way. Everything is a stream, so the size of a file does not matter.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

export const ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be', 'latin1'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** A file that is not what it seems; the message is one sentence. */
export class SourceFault extends Error {
  override readonly name = 'SourceFault';
}

const PIECE_BYTES = 256 * 1024;

export async function isGzip(path: string): Promise<boolean> {
  const [first, second] = await firstBytes(path);
  return first === 0x1f && second === 0x8b;
}

/** The two bytes that tell gzip and UTF-16. */
export async function firstBytes(path: string): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The file's bytes, opened where it is gzip; `onRead` hears how many bytes of the file itself have been read. */
export async function* bytesOf(path: string, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  const counted = countedBytes(path, onRead);
  if (!(await isGzip(path))) {
    yield* counted;
    return;
  }
  const gunzip = createGunzip();
  // A failure of the file reaches the reader below through gunzip, which pipeline destroys with it.
  pipeline(counted, gunzip).catch(() => undefined);
  try {
    for await (const piece of gunzip) yield piece as Buffer;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (/^Z_/.test(code)) throw new SourceFault(`its gzip data is damaged or cut short (${code})`);
    throw error;
  }
}

async function* countedBytes(path: string, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
    onRead((piece as Buffer).length);
    yield piece as Buffer;
  }
}

/** Text of the bytes, without a byte order mark. Throws SourceFault where they are not of the encoding. */
export async function* textOf(bytes: AsyncIterable<Buffer>, asked: Encoding | undefined): AsyncGenerator<string> {
  let decoder: InstanceType<typeof TextDecoder> | undefined;
  let encoding: Encoding = asked ?? 'utf-8';
  try {
    for await (const piece of bytes) {
      if (!decoder) {
        encoding = asked ?? markedEncoding(piece) ?? 'utf-8';
        decoder = new TextDecoder(encoding, { fatal: true });
      }
      yield decoder.decode(piece, { stream: true });
    }
    yield decoder?.decode() ?? '';
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new SourceFault(`it is not ${encoding}; name its encoding with --encoding (${ENCODINGS.join(', ')})`);
  }
}

export function markedEncoding([a, b]: Uint8Array): Encoding | undefined {
  if (a === 0xff && b === 0xfe) return 'utf-16le';
  return a === 0xfe && b === 0xff ? 'utf-16be' : undefined;
}
