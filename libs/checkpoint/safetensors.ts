// safetensors, both ways: an 8-byte header length, a JSON header, then the bytes of all tensors without gaps.
// Specification: https://github.com/huggingface/safetensors#format
import { CheckpointError } from './checkpoint-error.js';
import { type CheckpointLimits, withDefaults } from './limits.js';
import { elementCount, isDtype, itemSize, type NamedTensor, refuseUnfit } from './named-tensor.js';
import { type HeaderEntry, parseHeader } from './safetensors-header.js';

export interface SafetensorsFile {
  /** In the order of the header. */
  tensors: Map<string, NamedTensor>;
  metadata: Map<string, string>;
}

/** Reads a safetensors file; the tensors are views into `bytes`. Throws CheckpointError. */
export function readSafetensors(bytes: Uint8Array, limits?: Partial<CheckpointLimits>): SafetensorsFile {
  const ceilings = withDefaults(limits);
  const header = parseHeader(headerText(bytes, ceilings), ceilings);
  const dataStart = 8 + Number(readLength(bytes));
  const data = bytes.subarray(dataStart);
  const tensors = new Map<string, NamedTensor>();
  for (const [name, entry] of header.entries) tensors.set(name, tensorAt(name, entry, data));
  refuseGaps(header.entries, data.length);
  return { tensors, metadata: header.metadata };
}

/**
 * Writes a safetensors file. The same input gives the same bytes: wider element types come first (so that every
 * tensor is aligned to its elements), otherwise the given order stays; metadata is sorted by key; the header is
 * padded with spaces to a multiple of 8. Throws CheckpointError on a repeated name or a size that does not fit the shape.
 */
export function writeSafetensors(
  tensors: Iterable<NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const ordered = [...tensors].sort((a, b) => itemSize(b.dtype) - itemSize(a.dtype));
  const seen = new Set<string>(['__metadata__']);
  for (const tensor of ordered) refuseUnfit(tensor, seen);
  const header = safetensorsHeader(ordered, metadata);
  const length = ordered.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const file = new Uint8Array(header.length + length);
  file.set(header);
  let at = header.length;
  for (const tensor of ordered) {
    file.set(tensor.bytes, at);
    at += tensor.bytes.length;
  }
  return file;
}

/**
 * What stands before the data of a safetensors file whose tensors follow in this order (wider element types first), for
 * writers that never hold the whole file. The names must differ.
 */
export function safetensorsHeader(
  tensors: readonly Pick<NamedTensor, 'name' | 'dtype' | 'shape'>[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const fields: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) {
    fields.push(
      `"__metadata__":{${keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`).join()}}`,
    );
  }
  let length = 0;
  for (const { name, dtype, shape } of tensors) {
    const end = length + (elementCount(shape) as number) * itemSize(dtype);
    const place = `{"dtype":"${dtype}","shape":[${shape.join()}],"data_offsets":[${length},${end}]}`;
    fields.push(`${JSON.stringify(name)}:${place}`);
    length = end;
  }
  const json = new TextEncoder().encode(`{${fields.join()}}`);
  const headerLength = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + headerLength);
  new DataView(header.buffer).setBigUint64(0, BigInt(headerLength), true);
  header.fill(0x20, 8);
  header.set(json, 8);
  return header;
}

function readLength(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
}

function headerText(bytes: Uint8Array, limits: CheckpointLimits): string {
  if (bytes.length < 8) {
    throw new CheckpointError(
      `The file has ${bytes.length} bytes, a safetensors file at least 10: it is cut short, fetch it again.`,
    );
  }
  const claimed = readLength(bytes);
  if (claimed > BigInt(limits.headerBytes)) {
    throw new CheckpointError(
      `The safetensors header claims ${claimed} bytes, more than the ${limits.headerBytes} allowed: the file is damaged or not safetensors.`,
    );
  }
  const length = Number(claimed);
  if (length > bytes.length - 8) {
    throw new CheckpointError(
      `The safetensors header claims ${length} bytes, but only ${bytes.length - 8} follow: the file is cut short, fetch it again.`,
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, 8 + length));
  } catch {
    throw new CheckpointError('The safetensors header is not valid UTF-8: the file is damaged or not safetensors.');
  }
}

function tensorAt(name: string, entry: HeaderEntry, data: Uint8Array): NamedTensor {
  const { dtype, shape, begin, end } = entry;
  const where = `Tensor ${JSON.stringify(name.slice(0, 80))} of the safetensors file`;
  if (!isDtype(dtype)) {
    throw new CheckpointError(
      `${where} has the unknown type "${dtype.slice(0, 40)}": convert it to F32 before saving.`,
    );
  }
  if (end < begin || end > data.length) {
    throw new CheckpointError(
      `${where} claims bytes ${begin} to ${end} of ${data.length}: the file is cut short or damaged, fetch it again.`,
    );
  }
  const wanted = (elementCount(shape) ?? Number.POSITIVE_INFINITY) * itemSize(dtype);
  if (wanted !== end - begin) {
    throw new CheckpointError(
      `${where} of shape [${shape.join(', ')}] and type ${dtype} needs ${wanted} bytes, its range has ${end - begin}: the file is damaged, fetch it again.`,
    );
  }
  return { name, dtype, shape, bytes: data.subarray(begin, end) };
}

function refuseGaps(entries: Map<string, HeaderEntry>, length: number): void {
  const ranges = [...entries.values()].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { begin, end } of ranges) {
    if (begin !== at) {
      throw new CheckpointError(
        `The safetensors ranges ${begin < at ? 'overlap' : 'leave a gap'} at byte ${Math.min(begin, at)} of the data: the file is damaged, fetch it again.`,
      );
    }
    at = end;
  }
  if (at !== length) {
    throw new CheckpointError(
      `${length - at} bytes follow the last tensor of the safetensors file: it is damaged, fetch it again.`,
    );
  }
}
