// Registers the addon's operations as kernels of tfjs's TensorFlow backend, under the names that libs/semcom and libs/distillation
// look for.
import * as tf from '@tensorflow/tfjs-core';
import type { TensorflowBackend } from './raw-operations.js';

/** Outputs of each operation; inputs and formulas: native/. */
const OUTPUTS: Readonly<Record<string, number>> = {
  SemdistillAttention: 1,
  SemdistillAttentionGrad: 4,
  SemdistillBiasRelu: 1,
  SemdistillBiasReluGrad: 2,
  SemdistillAddNorm: 2,
  SemdistillAddNormGrad: 5,
  SemdistillEmbed: 1,
  SemdistillEmbedGrad: 1,
  SemdistillDistances: 1,
};

export function registerFusedLayers(backend: TensorflowBackend): void {
  for (const [kernelName, outputs] of Object.entries(OUTPUTS)) {
    if (tf.getKernel(kernelName, 'tensorflow')) continue;
    tf.registerKernel({
      kernelName,
      backendName: 'tensorflow',
      kernelFunc: ({ inputs }) => {
        const ordered = Object.keys(inputs).map((key) => inputs[key] as tf.Tensor);
        return backend.executeMultipleOutputs(kernelName, [], ordered, outputs);
      },
    });
  }
}
