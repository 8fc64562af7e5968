// TensorFlow's raw operations through tfjs-node: our fused loss, Adam in place on resource variables, stateless random numbers.
// Each has a plain tfjs twin elsewhere, and a test that the two agree.
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { adamInPlace } from './adam-in-place.js';
import { tensorflowBackend, typeAttributeOf } from './raw-operations.js';

interface LossChunk {
  student: tf.Tensor3D;
  teacher: tf.Tensor2D;
  labels: Int32Array;
  temperature: tf.Tensor1D;
  softWeight: tf.Tensor1D;
  hardWeight: tf.Tensor1D;
}

const require = createRequire(import.meta.url);

/** Opens the raw operations of a TensorFlow backend that tfjs-node has registered; loads our addon when there is one. */
export function openTensorflow(opsAddon: string | null) {
  const backend = tensorflowBackend();
  const typeAttribute = typeAttributeOf(backend);
  // The first op creates TensorFlow's context; our op must be registered after its libraries are loaded.
  tf.ones([1]).dispose();
  const isGpu = backend.isUsingGpuDevice === true;
  if (opsAddon && !isGpu) require(opsAddon);

  /** The distillation loss of a chunk in one pass; see native/distillation-loss.cc for formula and shapes. */
  const lossKernel = (chunk: LossChunk): { gradient: tf.Tensor3D; sums: tf.Tensor2D } => {
    const labels = tf.tensor1d(chunk.labels, 'int32');
    const inputs = [chunk.student, chunk.teacher, labels, chunk.temperature, chunk.softWeight, chunk.hardWeight];
    const [gradient, sums] = backend.executeMultipleOutputs('SemdistillLoss', [], inputs, 2);
    labels.dispose();
    return { gradient: gradient as tf.Tensor3D, sums: sums as tf.Tensor2D };
  };

  /** Uniform [0, 1), a pure function of shape and the two keys (TensorFlow's stateless Philox). */
  const uniform = (shape: number[], keys: [number, number]): tf.Tensor => {
    const [dimensions, seed] = [tf.tensor1d(shape, 'int32'), tf.tensor1d(keys, 'int32')];
    const int32 = backend.binding.TF_INT32 as number;
    const out = backend.executeSingleOutput(
      'StatelessRandomUniform',
      [typeAttribute('dtype'), typeAttribute('T', int32), typeAttribute('Tseed', int32)],
      [dimensions, seed],
    );
    tf.dispose([dimensions, seed]);
    return out;
  };

  return {
    isGpu,
    lossKernel: opsAddon && !isGpu ? lossKernel : undefined,
    uniform,
    adam: adamInPlace(backend, typeAttribute),
  };
}
