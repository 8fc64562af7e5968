// Files of torch.save, in the zip format (since 1.6) and the one before it, read without running anything in them.
import { CheckpointError } from './checkpoint-error.js';
import { recognizeForeign } from './foreign-formats.js';
import { type CheckpointLimits, tensorCeiling, withDefaults } from './limits.js';
import type { NamedTensor } from './named-tensor.js';
import type { PickledTensor } from './pickle-values.js';
import { isLegacy, openLegacy } from './pytorch-legacy.js';
import { isZip, openZip } from './pytorch-zip.js';
import { type CheckpointNote, locateStateDict, type PlainValue } from './state-dict.js';
import { TensorBytes } from './tensor-bytes.js';

export interface PyTorchFile {
  format: 'zip' | 'legacy';
  /** The state_dict in its own order; names keep their prefix. Bytes are views into the file where possible. */
  tensors: Map<string, NamedTensor>;
  /** Tensors elsewhere in the file (an optimizer's), by path: 'optimizer/state/0/exp_avg'. */
  otherTensors: Map<string, NamedTensor>;
  /** Scalars and short lists beside the tensors, by path: 'epoch', 'hyper_parameters/d_model'. */
  values: Map<string, PlainValue>;
  /** The keys that lead from the top object to the state_dict. */
  stateDictAt: string[];
  /** What a wrapper put before every name ('module.'), or ''. */
  prefix: string;
  notes: CheckpointNote[];
}

/** Reads a .pt, .pth or .ckpt file. Throws CheckpointError, whatever the bytes are; no code in the file can run. */
export function readPyTorch(bytes: Uint8Array, limits?: Partial<CheckpointLimits>): PyTorchFile {
  const ceilings = withDefaults(limits);
  const zip = isZip(bytes);
  if (!zip && !isLegacy(bytes)) throw new CheckpointError(recognizeForeign(bytes));
  const opened = zip ? openZip(bytes, ceilings) : openLegacy(bytes, ceilings);
  const located = locateStateDict(opened.value, ceilings);
  const content = new TensorBytes(opened.storageBytes, {
    claimed: tensorCeiling(bytes.length, ceilings),
    copied: bytes.length + ceilings.expansionSlackBytes,
  });
  const named = (found: Map<string, PickledTensor>) =>
    new Map(
      [...found].map(([name, tensor]): [string, NamedTensor] => [
        name,
        { name, dtype: tensor.dtype, shape: tensor.shape, bytes: content.of(tensor) },
      ]),
    );
  return {
    format: zip ? 'zip' : 'legacy',
    tensors: named(located.tensors),
    otherTensors: named(located.otherTensors),
    values: located.values,
    stateDictAt: located.stateDictAt,
    prefix: located.prefix,
    notes: located.notes,
  };
}
