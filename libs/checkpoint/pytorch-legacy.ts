// The format of torch.save before 1.6: five pickles in a row (magic number, protocol, machine, the object, the storage
// keys), then for each key an int64 element count and the raw elements.
import { CheckpointError } from './checkpoint-error.js';
import { type CheckpointLimits, tensorCeiling } from './limits.js';
import { itemSize } from './named-tensor.js';
import { readPickle } from './pickle-machine.js';
import type { OpenedPyTorch, PickledStorage, PickledValue } from './pickle-values.js';
import { PyTorchVocabulary, plainVocabulary } from './pytorch-vocabulary.js';

const magic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];

/** Whether the bytes begin with the pickled magic number of the format. */
export function isLegacy(bytes: Uint8Array): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

/** Reads the five pickles and finds the storages behind them. Throws CheckpointError. */
export function openLegacy(bytes: Uint8Array, limits: CheckpointLimits): OpenedPyTorch {
  const plain = (start: number, label: string) => readPickle({ bytes, start, label }, plainVocabulary, limits);
  const version = plain(magic.length, 'The protocol number of the file');
  if (version.value !== 1001) {
    throw new CheckpointError(
      `The file has the torch.save protocol ${shown(version.value)}, only 1001 is known: save it with a newer torch.`,
    );
  }
  const machine = plain(version.end, 'The machine description of the file');
  if (!(machine.value instanceof Map) || machine.value.get('little_endian') !== true) {
    throw new CheckpointError(
      'The file was saved on a big-endian machine in the old format: load and save it again with a newer torch.',
    );
  }
  const ceilings = { tensors: limits.tensors, rank: limits.rank, bytes: tensorCeiling(bytes.length, limits) };
  const vocabulary = new PyTorchVocabulary(ceilings);
  const object = readPickle({ bytes, start: machine.end, label: 'The pickle of the file' }, vocabulary, limits);
  const keys = plain(object.end, 'The list of storages');
  const contents = readStorages(bytes, keys, vocabulary.storages);
  return { value: object.value, storageBytes: (storage) => contents.get(storage) as Uint8Array };
}

function readStorages(
  bytes: Uint8Array,
  keys: { value: PickledValue; end: number },
  storages: Map<string, PickledStorage>,
): Map<PickledStorage, Uint8Array> {
  const contents = new Map<PickledStorage, Uint8Array>();
  if (!Array.isArray(keys.value))
    throw new CheckpointError('The file has no list of storages: it is damaged, save it again.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = keys.end;
  for (const key of keys.value) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (!storage || contents.has(storage)) {
      throw new CheckpointError(
        `The list of storages has ${shown(key)}, which no tensor uses or which is there twice: the file is damaged.`,
      );
    }
    const count = at + 8 <= bytes.length ? view.getBigInt64(at, true) : undefined;
    if (count !== BigInt(storage.length)) {
      throw new CheckpointError(
        `Storage ${storage.key} should have ${storage.length} elements, at byte ${at} the file says ${count ?? 'nothing more'}: it is cut short or damaged, fetch it again.`,
      );
    }
    const start = at + 8;
    at = start + storage.length * (storage.dtype ? itemSize(storage.dtype) : 1);
    if (at > bytes.length) {
      throw new CheckpointError(
        `The file ends inside storage ${storage.key}, ${at - bytes.length} bytes early: it is cut short, fetch it again.`,
      );
    }
    contents.set(storage, bytes.subarray(start, at));
  }
  if (contents.size !== storages.size) {
    throw new CheckpointError(
      `The file names ${storages.size} storages and holds ${contents.size}: it is damaged, save it again.`,
    );
  }
  if (at !== bytes.length) {
    throw new CheckpointError(
      `${bytes.length - at} bytes follow the last storage of the file: it is damaged, fetch it again.`,
    );
  }
  return contents;
}

function shown(value: PickledValue): string {
  return typeof value === 'string'
    ? JSON.stringify(value.slice(0, 80))
    : typeof value === 'object'
      ? 'no name'
      : String(value);
}
