// The names a PyTorch pickle may use and what they mean here: storages, the functions that rebuild a tensor from one,
// and a few labels. Every number that comes from the file is checked before a tensor exists.
import { type Dtype, elementCount, itemSize } from './named-tensor.js';
import { PickleFault } from './pickle-bytes.js';
import { type PickleVocabulary } from './pickle-machine.js';
import {
  describe,
  PickledGlobal,
  PickledLabel,
  PickledOrderedDict,
  PickledStorage,
  PickledTensor,
  PickledTuple,
  type PickledValue,
} from './pickle-values.js';

const storageDtypes = new Map<string, Dtype>([
  ['torch.DoubleStorage', 'F64'],
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
]);

const untypedStorages = new Set(['torch.UntypedStorage', 'torch.storage.UntypedStorage']);

/** Named as the type of a tensor with attributes, never called. */
const tensorClasses = new Set(['torch.Tensor', 'torch.nn.parameter.Parameter']);

/** torch's dtype names; those without one of ours may be mentioned, but no tensor may have them. */
const torchDtypes = new Map<string, Dtype | undefined>([
  ['torch.float64', 'F64'],
  ['torch.float32', 'F32'],
  ['torch.float16', 'F16'],
  ['torch.bfloat16', 'BF16'],
  ['torch.int64', 'I64'],
  ['torch.int32', 'I32'],
  ['torch.int16', 'I16'],
  ['torch.int8', 'I8'],
  ['torch.uint64', 'U64'],
  ['torch.uint32', 'U32'],
  ['torch.uint16', 'U16'],
  ['torch.uint8', 'U8'],
  ['torch.bool', 'BOOL'],
  ['torch.float8_e4m3fn', 'F8_E4M3'],
  ['torch.float8_e5m2', 'F8_E5M2'],
  ['torch.complex64', undefined],
  ['torch.complex128', undefined],
]);

const refusedKinds: [RegExp, string][] = [
  [
    /^(os|posix|nt|subprocess|runpy|builtins|__builtin__|sys|shutil|socket|functools|torch\.hub)\./,
    'a way to run code',
  ],
  [/^(torch\.nn\.|__main__\.|models?\.)/, 'a whole module was saved instead of its state_dict'],
  [/^argparse\./, 'the arguments of a training script'],
  [/^(numpy|_codecs)\b/, 'a NumPy value: turn it into a number or a tensor before saving'],
  [/_rebuild_sparse/, 'a sparse tensor: call .to_dense() before saving'],
  [/_rebuild_qtensor|^torch\.Q/, 'a quantised tensor: call .dequantize() before saving'],
  [/^torch\.Complex/, 'complex numbers, which no weight of this model has'],
];

export interface TensorCeilings {
  tensors: number;
  rank: number;
  /** Bytes of one tensor. */
  bytes: number;
}

/** The allow-list for files of torch.save. One per file, for it keeps the storages that were named. */
export class PyTorchVocabulary implements PickleVocabulary {
  readonly storages = new Map<string, PickledStorage>();
  private tensors = 0;

  constructor(
    private readonly ceilings: TensorCeilings,
    /** Throws PickleFault when the file cannot hold such a storage (known early for zip files). */
    private readonly checkStorage: (storage: PickledStorage) => void = () => {},
  ) {}

  find(module: string, name: string): PickledValue | undefined {
    const path = `${module}.${name}`;
    if (torchDtypes.has(path)) return new PickledLabel(path);
    const lists = [this.functions, storageDtypes, untypedStorages, tensorClasses];
    return lists.some((list) => list.has(path)) ? new PickledGlobal(path) : undefined;
  }

  explain(path: string): string {
    return refusedKinds.find(([pattern]) => pattern.test(path))?.[1] ?? '';
  }

  call(path: string, args: readonly PickledValue[]): PickledValue {
    const known = this.functions.get(path);
    if (!known) throw new PickleFault(`calls ${path}, which may only be named`);
    return known(args);
  }

  storage(id: readonly PickledValue[]): PickledStorage {
    const [kind, type, key, location, length, view] = id;
    if (
      kind !== 'storage' ||
      typeof key !== 'string' ||
      typeof location !== 'string' ||
      id.length < 5 ||
      id.length > 6
    ) {
      throw new PickleFault('has a persistent id that is no storage');
    }
    if (view !== undefined && view !== null) {
      throw new PickleFault('has a storage that is a view of another', 'load and save it with torch 0.4 or newer');
    }
    if (!(type instanceof PickledGlobal)) throw new PickleFault(`has a storage whose class is ${describe(type)}`);
    const dtype = storageDtypes.get(type.path);
    if (!dtype && !untypedStorages.has(type.path)) throw new PickleFault(`has a storage of the class ${type.path}`);
    if (!/^[A-Za-z0-9_]{1,64}$/.test(key))
      throw new PickleFault(`has a storage with the unsafe key ${JSON.stringify(key.slice(0, 80))}`);
    const storage = new PickledStorage(key, dtype, wholeNumber(length, `the length of storage ${key}`));
    const known = this.storages.get(key);
    if (known) {
      if (known.dtype !== storage.dtype || known.length !== storage.length) {
        throw new PickleFault(`claims storage ${key} twice, with different types or lengths`);
      }
      return known;
    }
    this.checkStorage(storage);
    this.storages.set(key, storage);
    return storage;
  }

  private readonly functions = new Map<string, (args: readonly PickledValue[]) => PickledValue>([
    ['collections.OrderedDict', orderedDict],
    ['collections.Counter', counter],
    ['torch.Size', size],
    ['torch.device', device],
    ['torch._utils._rebuild_tensor', (args) => this.rebuildTensor(args, [4, 4])],
    ['torch._utils._rebuild_tensor_v2', (args) => this.rebuildTensor(args, [6, 7])],
    ['torch._utils._rebuild_tensor_v3', (args) => this.rebuildTensor(args, [7, 8])],
    ['torch._tensor._rebuild_from_type_v2', (args) => this.rebuildSubclass(args)],
    ['torch._utils._rebuild_parameter', (args) => parameter(args, 3)],
    ['torch._utils._rebuild_parameter_with_state', (args) => parameter(args, 4)],
  ]);

  /** storage, offset, size, stride, requires_grad, hooks, dtype (v3) or metadata. */
  private rebuildTensor(args: readonly PickledValue[], [fewest, most]: [number, number]): PickledTensor {
    if (args.length < fewest || args.length > most)
      throw new PickleFault(`rebuilds a tensor from ${args.length} arguments`);
    const [storage, offset, shape, strides, , hooks, type] = args;
    if (!(storage instanceof PickledStorage))
      throw new PickleFault(`rebuilds a tensor from ${describe(storage)} instead of a storage`);
    if (hooks !== undefined && hooks !== null && !(hooks instanceof Map && hooks.size === 0)) {
      throw new PickleFault('rebuilds a tensor with hooks');
    }
    if (++this.tensors > this.ceilings.tensors) throw new PickleFault(`has more than ${this.ceilings.tensors} tensors`);
    const dtype = fewest === 7 ? namedDtype(type) : storage.dtype;
    if (!dtype) throw new PickleFault('rebuilds a tensor without an element type');
    if (storage.dtype && storage.dtype !== dtype)
      throw new PickleFault(`reads a storage of ${storage.dtype} as ${dtype}`);
    const length = storage.dtype ? storage.length : Math.floor(storage.length / itemSize(dtype));
    const tensor = new PickledTensor(
      storage,
      dtype,
      wholeNumber(offset, "a tensor's offset"),
      this.wholeNumbers(shape, "a tensor's size"),
      this.wholeNumbers(strides, "a tensor's stride"),
    );
    refuseBeyond(tensor, length, this.ceilings.bytes);
    return tensor;
  }

  /** A tensor with attributes of its own: function, class, arguments, attributes; the attributes are dropped. */
  private rebuildSubclass(args: readonly PickledValue[]): PickledValue {
    const [rebuild, type, inner] = args;
    const plain = rebuild instanceof PickledGlobal && rebuild.path.startsWith('torch._utils._rebuild_');
    if (args.length !== 4 || !plain || !(type instanceof PickledGlobal) || !(inner instanceof PickledTuple)) {
      throw new PickleFault('rebuilds a tensor of a subclass from something else than a tensor');
    }
    return this.call(rebuild.path, inner.items);
  }

  private wholeNumbers(value: PickledValue | undefined, what: string): number[] {
    if (!(value instanceof PickledTuple)) throw new PickleFault(`has ${describe(value)} as ${what} instead of a tuple`);
    if (value.items.length > this.ceilings.rank)
      throw new PickleFault(`has ${what} of ${value.items.length} dimensions`);
    return value.items.map((item) => wholeNumber(item, what));
  }
}

function refuseBeyond(tensor: PickledTensor, length: number, maxBytes: number): void {
  const { shape, strides, offset, storage } = tensor;
  const written = `of size [${shape.join(', ')}]`;
  if (shape.length !== strides.length) throw new PickleFault(`has a tensor ${written} with ${strides.length} strides`);
  const count = elementCount(shape);
  if (count === undefined || count * itemSize(tensor.dtype) > maxBytes) {
    throw new PickleFault(`claims a tensor ${written}, far more than a file of this size holds`);
  }
  let last = count === 0 ? offset - 1 : offset;
  if (count > 0) for (const [i, extent] of shape.entries()) last += (extent - 1) * (strides[i] as number);
  // Not written as last >= length: a sum beyond 2^53 must be refused too.
  if (!(last < length)) {
    throw new PickleFault(`has a tensor ${written} that reads past its storage ${storage.key} of ${length} elements`);
  }
}

function wholeNumber(value: PickledValue | undefined, what: string): number {
  if (typeof value === 'number' && value >= 0) return value;
  const shown = typeof value === 'number' || typeof value === 'bigint' ? `${value}` : describe(value);
  throw new PickleFault(`has ${shown} as ${what} instead of a whole number from 0 to 2^53`);
}

function namedDtype(type: PickledValue | undefined): Dtype | undefined {
  return type instanceof PickledLabel ? torchDtypes.get(type.text) : undefined;
}

function orderedDict(args: readonly PickledValue[]): PickledValue {
  const dict = new PickledOrderedDict();
  const [pairs] = args;
  if (pairs === undefined) return dict;
  // Python 2 wrote the items as a list of pairs.
  if (args.length !== 1 || !Array.isArray(pairs))
    throw new PickleFault('makes an OrderedDict from something else than pairs');
  for (const pair of pairs) {
    const items = pair instanceof PickledTuple ? pair.items : pair;
    if (!Array.isArray(items) || items.length !== 2 || typeof items[0] !== 'string') {
      throw new PickleFault('makes an OrderedDict from something else than pairs');
    }
    dict.set(items[0], items[1]);
  }
  return dict;
}

function counter(args: readonly PickledValue[]): PickledValue {
  const [counts] = args;
  if (args.length !== 1 || !(counts instanceof Map))
    throw new PickleFault('makes a Counter from something else than a dict');
  return counts;
}

function size(args: readonly PickledValue[]): PickledValue {
  const [sizes] = args;
  if (args.length !== 1 || !(sizes instanceof PickledTuple))
    throw new PickleFault('makes a torch.Size from something else than a tuple');
  return sizes;
}

function device(args: readonly PickledValue[]): PickledValue {
  const [type, index] = args;
  if (typeof type !== 'string' || args.length > 2 || (index !== undefined && typeof index !== 'number')) {
    throw new PickleFault('makes a torch.device from something else than a name and a number');
  }
  return new PickledLabel(index === undefined ? type : `${type}:${index}`);
}

function parameter(args: readonly PickledValue[], count: number): PickledValue {
  const [data, , hooks] = args;
  const plain = hooks === null || (hooks instanceof Map && hooks.size === 0);
  if (args.length !== count || !(data instanceof PickledTensor) || !plain) {
    throw new PickleFault('rebuilds a Parameter from something else than a tensor without hooks');
  }
  return data;
}

/** Nothing may be named, for pickles of plain data. */
export const plainVocabulary: PickleVocabulary = {
  find: () => undefined,
  explain: () => '',
  call: (path) => {
    throw new PickleFault(`calls ${path}`);
  },
  storage: () => {
    throw new PickleFault('names a storage, but is plain data');
  },
};
