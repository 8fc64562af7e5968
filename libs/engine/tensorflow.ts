// TensorFlow's raw operations through tfjs-node: our own fused loss and layers, Adam in place on resource variables.
// Each has a plain tfjs twin elsewhere, and a test that the two agree.
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { adamInPlace } from './adam-in-place.js';
import { registerFusedLayers } from './fused-layers.js';
import { tensorflowBackend, typeAttributeOf } from './raw-operations.js';

interface LossChunk {
  student: tf.Tensor2D;
  studentBias: tf.Tensor;
  teacher: tf.Tensor2D | null;
  teacherBias: tf.Tensor | null;
  labels: Int32Array;
  temperature: number;
  softWeight: number;
  hardWeight: number;
}

interface ChunkLoss {
  gradient: tf.Tensor2D;
  sums: tf.Tensor1D;
  biasGradient: tf.Tensor1D;
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

  /** The distillation loss of a chunk in one pass; see native/distillation-loss.cc for formula and shapes. Takes `student` over. */
  const lossKernel = (chunk: LossChunk): ChunkLoss => {
    const { student, studentBias } = chunk;
    const teacher = chunk.teacher ?? tf.zeros([0, student.shape[1]]);
    const labels = tf.tensor1d(chunk.labels, 'int32');
    const weights = tf.tensor1d([chunk.temperature, chunk.softWeight, chunk.hardWeight]);
    const inputs = [student, studentBias, teacher, chunk.teacherBias ?? studentBias, labels, weights];
    const outputs = backend.executeMultipleOutputs('SemdistillLoss', [], inputs, 3);
    tf.dispose([student, labels, weights, chunk.teacher ? [] : teacher]);
    const [gradient, sums, biasGradient] = outputs as [tf.Tensor2D, tf.Tensor1D, tf.Tensor1D];
    return { gradient, sums, biasGradient };
  };

  if (opsAddon && !isGpu) registerFusedLayers(backend);

  return {
    isGpu,
    lossKernel: opsAddon && !isGpu ? lossKernel : undefined,
    adam: adamInPlace(backend, typeAttribute, opsAddon !== null && !isGpu),
    libraryAdam: adamInPlace(backend, typeAttribute, false),
  };
}
