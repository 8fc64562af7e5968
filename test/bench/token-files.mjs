// Token files as the peers' prepare.py writes them: tokens.npz (int32 ids, int64 offsets and splits, stored without compression)
// and vocab.json. Reads just that much of zip and npy, and refuses the rest by name.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const LOCAL_HEADER = 0x04034b50;
const IN_EXTRA_FIELD = 0xffffffff;

/** The arrays of a stored .npz by name: Int32Array, or for int64 plain numbers (the files hold offsets far below 2^53). */
export function readNpz(bytes) {
  const arrays = new Map();
  for (let at = 0; at + 30 <= bytes.length && bytes.readUInt32LE(at) === LOCAL_HEADER; ) {
    const nameLength = bytes.readUInt16LE(at + 26);
    const extraLength = bytes.readUInt16LE(at + 28);
    const name = bytes.toString('utf8', at + 30, at + 30 + nameLength);
    if (bytes.readUInt16LE(at + 8) !== 0) throw new Error(`${name} is compressed; numpy.savez stores it plainly`);
    if (bytes.readUInt16LE(at + 6) & 8) throw new Error(`${name} has its size behind its data; numpy.savez does not`);
    const start = at + 30 + nameLength + extraLength;
    const size = entrySize(bytes, at, bytes.subarray(at + 30 + nameLength, start));
    if (start + size > bytes.length) throw new Error(`${name} is cut off: the file holds ${bytes.length} bytes`);
    arrays.set(name.replace(/\.npy$/, ''), readNpy(bytes.subarray(start, start + size), name));
    at = start + size;
  }
  if (arrays.size === 0) throw new Error('this is no .npz file');
  return arrays;
}

/** numpy writes zip64: the true sizes (plain, then stored) stand in the extra field with id 1. */
function entrySize(bytes, at, extra) {
  const size = bytes.readUInt32LE(at + 18);
  if (size !== IN_EXTRA_FIELD) return size;
  for (let field = 0; field + 4 <= extra.length; field += 4 + extra.readUInt16LE(field + 2))
    if (extra.readUInt16LE(field) === 1) return Number(extra.readBigUInt64LE(field + 12));
  throw new Error('a zip entry does not say its size');
}

function readNpy(bytes, name) {
  if (bytes.toString('latin1', 0, 6) !== '\x93NUMPY') throw new Error(`${name} is no .npy file`);
  const isLong = bytes[6] > 1;
  const start = isLong ? 12 + bytes.readUInt32LE(8) : 10 + bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', isLong ? 12 : 10, start);
  const type = /'descr': '([^']+)'/.exec(header)?.[1];
  const shape = /'shape': \((\d+),\)/.exec(header)?.[1];
  if (shape === undefined) throw new Error(`${name} is no array of one dimension`);
  const data = bytes.subarray(start);
  const length = Number(shape);
  if (type !== '<i4' && type !== '<i8') throw new Error(`${name} holds ${type}, not int32 or int64`);
  if (data.length !== length * (type === '<i4' ? 4 : 8))
    throw new Error(`${name} says ${length} numbers and holds ${data.length} bytes`);
  // A copy, because typed arrays must start at a multiple of their element size.
  const copy = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
  return type === '<i4' ? new Int32Array(copy) : Array.from(new BigInt64Array(copy), Number);
}

/** The training sentences of a folder (START and END included) and the size of its vocabulary. */
export function readTokenFolder(folder) {
  const arrays = readNpz(readFileSync(join(folder, 'tokens.npz')));
  const [ids, offsets, splits] = ['ids', 'offsets', 'splits'].map((name) => {
    const array = arrays.get(name);
    if (!array) throw new Error(`${join(folder, 'tokens.npz')} has no array ${name}`);
    return array;
  });
  const sentences = Array.from({ length: splits[1] }, (_, i) => Array.from(ids.subarray(offsets[i], offsets[i + 1])));
  return { sentences, vocabularySize: vocabularySizeOf(folder) };
}

export function vocabularySizeOf(folder) {
  return Object.keys(JSON.parse(readFileSync(join(folder, 'vocab.json'), 'utf8')).token_to_idx).length;
}
