// Takes single files out of a Python wheel, which is a zip archive, without unpacking the rest.
import { createReadStream, createWriteStream, mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const longestEnd = 22 + 65_535;

/**
 * Unpacks the entries whose name `isWanted` into `folder`, under their own names. Resolves to {name: size}. The wheel must
 * have been checked against its hash before: entries are not checked again.
 */
export async function unpackWheel(wheel, folder, isWanted) {
  const file = await open(wheel);
  try {
    const sizes = {};
    for (const entry of await directory(file)) {
      if (entry.name.endsWith('/') || entry.name.split('/').includes('..') || !isWanted(entry.name)) continue;
      await unpackEntry(file, wheel, entry, join(folder, entry.name));
      sizes[entry.name] = entry.size;
    }
    return sizes;
  } finally {
    await file.close();
  }
}

async function directory(file) {
  const { size } = await file.stat();
  const tail = await readAt(file, Math.max(0, size - longestEnd), Math.min(size, longestEnd));
  let end = tail.length - 22;
  while (end >= 0 && tail.readUInt32LE(end) !== endSignature) end--;
  if (end < 0) throw new Error('the wheel is not a zip archive');
  const bytes = await readAt(file, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
  const entries = [];
  for (let at = 0; at + 46 <= bytes.length && bytes.readUInt32LE(at) === entrySignature; ) {
    const nameLength = bytes.readUInt16LE(at + 28);
    entries.push({
      method: bytes.readUInt16LE(at + 10),
      packedSize: bytes.readUInt32LE(at + 20),
      size: bytes.readUInt32LE(at + 24),
      mode: bytes.readUInt32LE(at + 38) & (0o100 << 16) ? 0o755 : 0o644,
      offset: bytes.readUInt32LE(at + 42),
      name: bytes.toString('utf8', at + 46, at + 46 + nameLength),
    });
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return entries;
}

async function unpackEntry(file, wheel, { method, packedSize, mode, offset }, path) {
  mkdirSync(dirname(path), { recursive: true });
  const header = await readAt(file, offset, 30);
  const start = offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  const target = createWriteStream(path, { highWaterMark: 1 << 20, mode });
  if (packedSize === 0) return void (await new Promise((resolve) => target.end(resolve)));
  const packed = createReadStream(wheel, { start, end: start + packedSize - 1, highWaterMark: 1 << 20 });
  if (method === 0) await pipeline(packed, target);
  else await pipeline(packed, createInflateRaw({ chunkSize: 1 << 20 }), target);
}

async function readAt(file, position, length) {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead < length) throw new Error('the wheel is cut short');
  return buffer;
}
