// Bytes <-> tensors by name: safetensors and PyTorch files. Pure: no files, no network; trusts nothing it reads.
export { type Checkpoint, readCheckpoint, withoutPrefix } from './checkpoint.js';
export * from './checkpoint-error.js';
export { type CheckpointLimits, defaultLimits } from './limits.js';
export { countNonFinite, type Dtype, fromFloat32, itemSize, type NamedTensor, toFloat32 } from './named-tensor.js';
export { readPickledLists } from './pickled-lists.js';
export { type PyTorchFile, readPyTorch } from './pytorch.js';
export { writePyTorch } from './pytorch-writer.js';
export { readSafetensors, type SafetensorsFile, safetensorsHeader, writeSafetensors } from './safetensors.js';
export type { CheckpointNote, PlainScalar, PlainValue } from './state-dict.js';
