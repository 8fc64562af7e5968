// A tensor as a checkpoint holds it: name, element type, shape and raw bytes. Widening to float32 happens here and
// nowhere else. The machine is taken to be little-endian, as every platform of Node's official builds but s390x is.
import { CheckpointError } from './checkpoint-error.js';

const itemBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
} as const;

/** Element types, by their safetensors names. */
export type Dtype = keyof typeof itemBytes;

export interface NamedTensor {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Little-endian, row-major, without gaps; often a view into the file that was read, so not to be written to. */
  bytes: Uint8Array;
}

/** Bytes of one element. */
export function itemSize(dtype: Dtype): number {
  return itemBytes[dtype];
}

/** Whether a text names an element type. */
export function isDtype(text: string): text is Dtype {
  return Object.hasOwn(itemBytes, text);
}

/** Product of the sizes, 1 for a scalar; undefined when it is no exact whole number (beyond 2^53). */
export function elementCount(shape: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/**
 * The values as float32, always a fresh array: F16 and BF16 widen exactly, F64 and integers round to the nearest.
 * Throws CheckpointError for the 8-bit float types.
 */
export function toFloat32(tensor: NamedTensor): Float32Array {
  const { buffer } = new Uint8Array(tensor.bytes);
  switch (tensor.dtype) {
    case 'F32':
      return new Float32Array(buffer);
    case 'F16':
      return Float32Array.from(new Uint16Array(buffer), (bits) => halfTable()[bits] as number);
    case 'BF16':
      return widenBfloat16(new Uint16Array(buffer));
    case 'F64':
      return Float32Array.from(new Float64Array(buffer));
    case 'I64':
      return Float32Array.from(new BigInt64Array(buffer), Number);
    case 'U64':
      return Float32Array.from(new BigUint64Array(buffer), Number);
    case 'I32':
      return Float32Array.from(new Int32Array(buffer));
    case 'U32':
      return Float32Array.from(new Uint32Array(buffer));
    case 'I16':
      return Float32Array.from(new Int16Array(buffer));
    case 'U16':
      return Float32Array.from(new Uint16Array(buffer));
    case 'I8':
      return Float32Array.from(new Int8Array(buffer));
    case 'U8':
    case 'BOOL':
      return Float32Array.from(new Uint8Array(buffer));
    case 'F8_E4M3':
    case 'F8_E5M2':
      throw new CheckpointError(
        `Tensor "${tensor.name}" has the 8-bit type ${tensor.dtype}, which is not read here: convert it to float16 or float32 before saving.`,
      );
  }
}

/** A float32 tensor over a copy of the values; throws CheckpointError when the shape asks for another number of them. */
export function fromFloat32(name: string, shape: readonly number[], data: Float32Array): NamedTensor {
  if (elementCount(shape) !== data.length) {
    throw new CheckpointError(
      `Tensor "${name}" of shape [${shape.join(', ')}] cannot hold ${data.length} values; its shape and its data must agree.`,
    );
  }
  const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, dtype: 'F32', shape: [...shape], bytes: new Uint8Array(view) };
}

/** How many values of each floating-point tensor are NaN or infinite; tensors without any are left out. */
export function countNonFinite(tensors: Iterable<NamedTensor>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const tensor of tensors) {
    const exponent = exponentMask(tensor.dtype);
    if (!exponent) continue;
    // Only the top two bytes hold the exponent: all its bits set means NaN or infinity.
    const step = itemSize(tensor.dtype);
    let count = 0;
    for (let at = step - 2; at < tensor.bytes.length; at += step) {
      const top = ((tensor.bytes[at + 1] as number) << 8) | (tensor.bytes[at] as number);
      if ((top & exponent) === exponent) count++;
    }
    if (count > 0) counts.set(tensor.name, count);
  }
  return counts;
}

/** Throws CheckpointError when a tensor to be written has a name already seen, or bytes that do not fit its shape. */
export function refuseUnfit(tensor: NamedTensor, seen: Set<string>): void {
  if (seen.has(tensor.name)) {
    throw new CheckpointError(
      `The tensor name "${tensor.name}" is taken already; each tensor of a file needs its own.`,
    );
  }
  seen.add(tensor.name);
  const wanted = (elementCount(tensor.shape) ?? Number.NaN) * itemSize(tensor.dtype);
  if (!tensor.shape.every((size) => Number.isSafeInteger(size) && size >= 0) || wanted !== tensor.bytes.length) {
    throw new CheckpointError(
      `Tensor "${tensor.name}" of shape [${tensor.shape.join(', ')}] and type ${tensor.dtype} cannot have ${tensor.bytes.length} bytes; its shape and its data must agree.`,
    );
  }
}

function exponentMask(dtype: Dtype): number | undefined {
  if (dtype === 'F32' || dtype === 'BF16') return 0x7f80;
  if (dtype === 'F64') return 0x7ff0;
  return dtype === 'F16' ? 0x7c00 : undefined;
}

function widenBfloat16(source: Uint16Array): Float32Array {
  const bits = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) bits[i] = (source[i] as number) << 16;
  return new Float32Array(bits.buffer);
}

let halves: Float32Array | undefined;

/** Every float16 by its 16 bits; NaN payloads move to the top of the wider fraction, as hardware does. */
function halfTable(): Float32Array {
  if (halves) return halves;
  const bits = new Uint32Array(2 ** 16);
  const values = new Float32Array(bits.buffer);
  for (let half = 0; half < 2 ** 16; half++) {
    const sign = (half >>> 15) << 31;
    const exponent = (half >>> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) {
      values[half] = fraction * 2 ** -24;
      bits[half] = (bits[half] as number) | sign;
    } else {
      const wide = exponent === 31 ? 255 : exponent + 112;
      bits[half] = sign | (wide << 23) | (fraction << 13);
    }
  }
  halves = values;
  return values;
}
