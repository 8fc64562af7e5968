// One door for checkpoints of any kind: looks at the bytes, not at the name, and hands on to the reader of that kind.
import { CheckpointError } from './checkpoint-error.js';
import { recognizeForeign } from './foreign-formats.js';
import type { CheckpointLimits } from './limits.js';
import { countNonFinite, type NamedTensor } from './named-tensor.js';
import { type PyTorchFile, readPyTorch } from './pytorch.js';
import { isLegacy } from './pytorch-legacy.js';
import { isZip } from './pytorch-zip.js';
import { readSafetensors } from './safetensors.js';
import { commonPrefix } from './state-dict.js';

export interface Checkpoint extends Omit<PyTorchFile, 'format'> {
  format: 'safetensors' | 'pytorch-zip' | 'pytorch-legacy';
  /** Of safetensors; empty for others. */
  metadata: Map<string, string>;
}

/**
 * Reads a checkpoint, telling its kind by its bytes; the file's name only sharpens messages. `notes` tell what a user
 * should know before using it, such as values that are not finite. Throws CheckpointError.
 */
export function readCheckpoint(bytes: Uint8Array, fileName = '', limits?: Partial<CheckpointLimits>): Checkpoint {
  const found = readKind(bytes, fileName, limits);
  const bad = [...countNonFinite(found.tensors.values())];
  if (bad.length > 0) {
    const shown = bad.slice(0, 5).map(([name, count]) => `${JSON.stringify(name.slice(0, 80))} (${count})`);
    const rest = bad.length > 5 ? ` and ${bad.length - 5} more` : '';
    const where = `${shown.join(', ')}${rest}`;
    const message = `NaN or infinite values stand in ${where}: such a model cannot be used.`;
    found.notes.push({ code: 'non-finite', message, values: { where } });
  }
  return found;
}

function readKind(bytes: Uint8Array, fileName: string, limits?: Partial<CheckpointLimits>): Checkpoint {
  if (isZip(bytes) || isLegacy(bytes)) {
    const { format, ...file } = readPyTorch(bytes, limits);
    return { ...file, format: `pytorch-${format}`, metadata: new Map() };
  }
  if (!looksLikeSafetensors(bytes) && !fileName.toLowerCase().endsWith('.safetensors')) {
    throw new CheckpointError(recognizeForeign(bytes));
  }
  const { tensors, metadata } = readSafetensors(bytes, limits);
  return {
    format: 'safetensors',
    tensors,
    metadata,
    otherTensors: new Map(),
    values: new Map(),
    stateDictAt: [],
    prefix: commonPrefix([...tensors.keys()]),
    notes: [],
  };
}

/** A header length that a file can have, followed by an opening brace. */
function looksLikeSafetensors(bytes: Uint8Array): boolean {
  return bytes.length >= 10 && bytes[8] === 0x7b && bytes[5] === 0 && bytes[6] === 0 && bytes[7] === 0;
}

/** The tensors under the names the model itself gives them, without the wrappers' prefix; the bytes are shared. */
export function withoutPrefix(checkpoint: Pick<Checkpoint, 'tensors' | 'prefix'>): Map<string, NamedTensor> {
  const { prefix, tensors } = checkpoint;
  const stripped = [...tensors.values()].map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) }));
  return new Map(stripped.map((tensor) => [tensor.name, tensor]));
}
