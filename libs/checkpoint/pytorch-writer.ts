// A state_dict as torch.save writes it (zip format, pickle protocol 2), so that torch.load(weights_only=True) takes it.
import { CheckpointError } from './checkpoint-error.js';
import { type Dtype, elementCount, type NamedTensor, refuseUnfit } from './named-tensor.js';
import { writeZip } from './zip-writer.js';

const storageClasses: Partial<Record<Dtype, string>> = {
  F64: 'DoubleStorage',
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
  I32: 'IntStorage',
  I16: 'ShortStorage',
  I8: 'CharStorage',
  U8: 'ByteStorage',
  BOOL: 'BoolStorage',
};

/**
 * Writes an OrderedDict of the tensors, in the given order, each with a storage of its own. The same tensors give the
 * same bytes. Throws CheckpointError on a repeated name, a size that does not fit, or a type torch has no storage class for.
 */
export function writePyTorch(tensors: Iterable<NamedTensor>): Uint8Array {
  const all = [...tensors];
  const text = (value: string) => new TextEncoder().encode(value);
  const root = 'archive';
  return writeZip([
    { name: `${root}/data.pkl`, bytes: pickleStateDict(all) },
    { name: `${root}/byteorder`, bytes: text('little') },
    ...all.map(({ bytes }, i) => ({ name: `${root}/data/${i}`, bytes })),
    { name: `${root}/version`, bytes: text('3\n') },
  ]);
}

function pickleStateDict(tensors: readonly NamedTensor[]): Uint8Array {
  const pickle = new PickleWriter();
  const seen = new Set<string>();
  pickle.opcodes(0x80, 2);
  pickle.emptyOrderedDict();
  pickle.mark();
  for (const [i, tensor] of tensors.entries()) {
    refuseUnfit(tensor, seen);
    const storageClass = storageClasses[tensor.dtype];
    if (!storageClass) {
      throw new CheckpointError(
        `Tensor "${tensor.name}" has the type ${tensor.dtype}, which a .pt file cannot hold: write safetensors instead.`,
      );
    }
    pickle.string(tensor.name);
    pickle.global('torch._utils', '_rebuild_tensor_v2');
    pickle.mark();
    pickle.mark();
    pickle.string('storage');
    pickle.global('torch', storageClass);
    pickle.string(`${i}`);
    pickle.string('cpu');
    pickle.int(elementCount(tensor.shape) ?? 0);
    pickle.tuple();
    pickle.opcodes(0x51); // BINPERSID
    pickle.int(0);
    pickle.ints(tensor.shape);
    pickle.ints(rowMajorStrides(tensor.shape));
    pickle.opcodes(0x89); // requires_grad: False
    pickle.emptyOrderedDict();
    pickle.tuple();
    pickle.opcodes(0x52); // REDUCE
  }
  pickle.opcodes(0x75, 0x2e); // SETITEMS, STOP
  return pickle.bytes();
}

/** Strides in elements; a dimension of size 0 counts as 1, as torch does. */
function rowMajorStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (const size of [...shape].reverse()) {
    strides.unshift(stride);
    stride *= Math.max(1, size);
  }
  return strides;
}

/** Emits the few protocol-2 opcodes a state_dict needs. */
class PickleWriter {
  private readonly parts: Uint8Array[] = [];

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.parts));
  }

  opcodes(...values: number[]): void {
    this.parts.push(Uint8Array.from(values));
  }

  mark(): void {
    this.opcodes(0x28);
  }

  tuple(): void {
    this.opcodes(0x74);
  }

  global(module: string, name: string): void {
    this.parts.push(Buffer.from(`c${module}\n${name}\n`));
  }

  emptyOrderedDict(): void {
    this.global('collections', 'OrderedDict');
    this.opcodes(0x29, 0x52); // EMPTY_TUPLE, REDUCE
  }

  string(text: string): void {
    const encoded = Buffer.from(text);
    const head = Buffer.alloc(5);
    head[0] = 0x58;
    head.writeUInt32LE(encoded.length, 1);
    this.parts.push(head, encoded);
  }

  ints(values: readonly number[]): void {
    this.mark();
    for (const value of values) this.int(value);
    this.tuple();
  }

  /** BININT up to 2^31, LONG1 of 8 bytes above. */
  int(value: number): void {
    const wide = value > 0x7fffffff;
    const part = Buffer.alloc(wide ? 10 : 5);
    part[0] = wide ? 0x8a : 0x4a;
    if (wide) {
      part[1] = 8;
      part.writeBigInt64LE(BigInt(value), 2);
    } else {
      part.writeInt32LE(value, 1);
    }
    this.parts.push(part);
  }
}
