// The zip format of torch.save: <root>/data.pkl names the storages, <root>/data/<key> holds their bytes.
import { CheckpointError } from './checkpoint-error.js';
import { type CheckpointLimits, tensorCeiling } from './limits.js';
import { itemSize } from './named-tensor.js';
import { PickleFault } from './pickle-bytes.js';
import { readPickle } from './pickle-machine.js';
import type { OpenedPyTorch, PickledStorage } from './pickle-values.js';
import { PyTorchVocabulary } from './pytorch-vocabulary.js';
import { ZipArchive } from './zip-archive.js';

/** Whether the bytes begin like a zip archive (an empty one included). */
export function isZip(bytes: Uint8Array): boolean {
  const [p, k, three, four] = bytes;
  return p === 0x50 && k === 0x4b && ((three === 3 && four === 4) || (three === 5 && four === 6));
}

/** Unpickles <root>/data.pkl; storages are read when asked for. Throws CheckpointError. */
export function openZip(bytes: Uint8Array, limits: CheckpointLimits): OpenedPyTorch {
  const archive = new ZipArchive(bytes, limits);
  const root = findRoot(archive.names());
  const pickle = archive.read(`${root}/data.pkl`) as Uint8Array;
  if (pickle.length > limits.pickleBytes) {
    throw new CheckpointError(
      `${root}/data.pkl has ${pickle.length} bytes, more than the ${limits.pickleBytes} allowed: save model.state_dict() alone.`,
    );
  }
  const swap = isBigEndian(archive, root);
  const record = (storage: PickledStorage): Uint8Array => {
    const data = archive.read(`${root}/data/${storage.key}`);
    const needed = storage.length * (storage.dtype ? itemSize(storage.dtype) : 1);
    if (!data) throw new PickleFault(`names storage ${storage.key}, which the archive does not have`);
    if (data.length !== needed) {
      throw new PickleFault(`claims ${needed} bytes for storage ${storage.key}, whose record has ${data.length}`);
    }
    if (!swap) return data;
    if (!storage.dtype) throw new PickleFault(`has the untyped storage ${storage.key} from a big-endian machine`);
    return swapped(data, itemSize(storage.dtype));
  };
  const contents = new Map<PickledStorage, Uint8Array>();
  const ceilings = { tensors: limits.tensors, rank: limits.rank, bytes: tensorCeiling(bytes.length, limits) };
  const vocabulary = new PyTorchVocabulary(ceilings, (storage) => contents.set(storage, record(storage)));
  const label = `${root.slice(0, 80)}/data.pkl`;
  const { value } = readPickle({ bytes: pickle, start: 0, label }, vocabulary, limits);
  return { value, storageBytes: (storage) => contents.get(storage) as Uint8Array };
}

function findRoot(names: string[]): string {
  const pickles = names.filter((name) => name === 'data.pkl' || name.endsWith('/data.pkl'));
  const [pickle] = pickles;
  const root = pickle?.slice(0, -'/data.pkl'.length);
  if (names.some((name) => name.endsWith('/constants.pkl') || name.includes('/code/'))) {
    throw new CheckpointError(
      'This is a TorchScript archive (it holds code): save model.state_dict() with torch.save and use that file.',
    );
  }
  if (pickle === undefined && names.length > 0 && names.every((name) => name.endsWith('.npy'))) {
    throw new CheckpointError('This is a NumPy archive (.npz): save the weights as safetensors or with torch.save.');
  }
  if (pickle === undefined) {
    throw new CheckpointError(
      `This zip archive of ${names.length} records has no data.pkl, so torch.save did not write it: save model.state_dict() with torch.save and use that file.`,
    );
  }
  if (pickles.length > 1 || !root || root.includes('/')) {
    throw new CheckpointError(
      `The archive must have one data.pkl in one folder, but has ${pickles
        .slice(0, 4)
        .map((name) => JSON.stringify(name.slice(0, 80)))
        .join(', ')}: use the file as torch.save wrote it.`,
    );
  }
  return root;
}

function isBigEndian(archive: ZipArchive, root: string): boolean {
  const record = archive.read(`${root}/byteorder`);
  if (!record) return false;
  const order = new TextDecoder('latin1').decode(record.subarray(0, 16));
  if (order !== 'little' && order !== 'big') {
    throw new CheckpointError(
      `The archive gives ${JSON.stringify(order)} as its byte order instead of "little" or "big": it is damaged.`,
    );
  }
  return order === 'big';
}

/** A copy with the bytes of each element reversed. */
function swapped(data: Uint8Array, size: number): Uint8Array {
  const copy = new Uint8Array(data);
  for (let at = 0; at + size <= copy.length; at += size) copy.subarray(at, at + size).reverse();
  return copy;
}
