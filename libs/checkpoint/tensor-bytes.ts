// From a storage and a view of it to the row-major bytes of one tensor, with a ceiling on what all views cost together.
import { CheckpointError } from './checkpoint-error.js';
import { elementCount, itemSize } from './named-tensor.js';
import type { PickledStorage, PickledTensor } from './pickle-values.js';

/** Makes the bytes of tensors; a tensor seen before, or one that lies in its storage row by row, costs no copy. */
export class TensorBytes {
  private readonly made = new Map<PickledTensor, Uint8Array>();
  private claimed = 0;
  private copied = 0;

  constructor(
    /** The bytes of a storage, little-endian, as long as it claims. */
    private readonly storageBytes: (storage: PickledStorage) => Uint8Array,
    /** Bytes that all names together may claim, and that may be copied to put views in order. */
    private readonly ceilings: { claimed: number; copied: number },
  ) {}

  /** Row-major little-endian bytes; the bounds were checked when the tensor was rebuilt. Throws CheckpointError. */
  of(tensor: PickledTensor): Uint8Array {
    const length = (elementCount(tensor.shape) ?? Number.POSITIVE_INFINITY) * itemSize(tensor.dtype);
    this.claimed += length;
    const known = this.made.get(tensor);
    const copies = !known && !isRowMajor(tensor);
    if (copies) this.copied += length;
    if (this.claimed > this.ceilings.claimed || this.copied > this.ceilings.copied) {
      throw new CheckpointError(
        `The tensors of the file claim ${this.claimed} bytes together, far more than it holds: save each with .clone().`,
      );
    }
    if (known) return known;
    const storage = this.storageBytes(tensor.storage);
    const start = tensor.offset * itemSize(tensor.dtype);
    const bytes = copies ? gather(tensor, storage, length) : storage.subarray(start, start + length);
    this.made.set(tensor, bytes);
    return bytes;
  }
}

function isRowMajor({ shape, strides }: PickledTensor): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const extent = shape[i] as number;
    if (extent !== 1 && strides[i] !== expected) return false;
    expected *= extent;
  }
  return true;
}

/** Copies element after element in row-major order, like an odometer over the indices. */
function gather(tensor: PickledTensor, storage: Uint8Array, length: number): Uint8Array {
  const { shape, strides } = tensor;
  const size = itemSize(tensor.dtype);
  const out = new Uint8Array(length);
  const index = new Array<number>(shape.length).fill(0);
  let from = tensor.offset;
  for (let to = 0; to < length; to += size) {
    for (let i = 0, at = from * size; i < size; i++) out[to + i] = storage[at + i] as number;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] as number) + 1;
      const stride = strides[axis] as number;
      if (next < (shape[axis] as number)) {
        index[axis] = next;
        from += stride;
        break;
      }
      index[axis] = 0;
      from -= (next - 1) * stride;
    }
  }
  return out;
}
