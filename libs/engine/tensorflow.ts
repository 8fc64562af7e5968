// TensorFlow's raw operations through tfjs-node: our own fused loss and layers, Adam in place on resource variables.
// Each has a plain tfjs twin elsewhere, and a test that the two agree.
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { adamInPlace } from './adam-in-place.js';
import { registerFusedLayers } from './fused-layers.js';
import { tensorflowBackend, typeAttributeOf } from './raw-operations.js';

interface LossChunk {
  student: tf.Tensor3D;
  studentBias: tf.Tensor;
  teacher: tf.Tensor2D;
  teacherBias: tf.Tensor;
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
  const lossKernel = (chunk: LossChunk): { gradient: tf.Tensor3D; sums: tf.Tensor2D; biasGradient: tf.Tensor2D } => {
    const labels = tf.tensor1d(chunk.labels, 'int32');
    const logits = [chunk.student, chunk.studentBias, chunk.teacher, chunk.teacherBias];
    const inputs = [...logits, labels, chunk.temperature, chunk.softWeight, chunk.hardWeight];
    const [gradient, sums, biasGradient] = backend.executeMultipleOutputs('SemdistillLoss', [], inputs, 3);
    labels.dispose();
    return {
      gradient: gradient as tf.Tensor3D,
      sums: sums as tf.Tensor2D,
      biasGradient: biasGradient as tf.Tensor2D,
    };
  };

  if (opsAddon && !isGpu) registerFusedLayers(backend);

  return {
    isGpu,
    lossKernel: opsAddon && !isGpu ? lossKernel : undefined,
    adam: adamInPlace(backend, typeAttribute),
  };
}
