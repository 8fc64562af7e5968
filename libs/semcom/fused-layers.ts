// The layers as single kernels, where the backend has registered them (the engine does, for TensorFlow on the CPU). Each has a plain
// twin in layers.ts; here are their calls and gradients. Shapes and formulas: libs/engine/native.
import * as tf from '@tensorflow/tfjs-core';
import { type DropoutSite, firstRow } from './dropout.js';

/** Kernels that a backend must have under these names for the fused path to be taken. */
export const FUSED_KERNELS = [
  'SemdistillAttention',
  'SemdistillAttentionGrad',
  'SemdistillBiasRelu',
  'SemdistillBiasReluGrad',
  'SemdistillAddNorm',
  'SemdistillAddNormGrad',
  'SemdistillEmbed',
  'SemdistillEmbedGrad',
] as const;
export type FusedKernel = (typeof FUSED_KERNELS)[number];

export function hasFusedLayers(): boolean {
  return tf.getKernel(FUSED_KERNELS[0], tf.getBackend()) !== undefined;
}

function call(kernel: FusedKernel, inputs: tf.Tensor[]): tf.Tensor[] {
  return tf.engine().runKernel(kernel, Object.fromEntries(inputs.entries())) as unknown as tf.Tensor[];
}

/**
 * tf.customGrad with the inputs and `save` told apart. What was saved, and the slope, are given back as soon as the gradients are
 * made: tfjs would keep all of them to the end of the backward pass, which doubled the memory of a step.
 */
function withGradient(
  inputs: tf.Tensor[],
  compute: (save: tf.GradSaveFunc) => {
    value: tf.Tensor;
    gradients: (slope: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[];
  },
): tf.Tensor {
  return tf.customGrad((...all: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const { value, gradients } = compute(all.at(-1) as tf.GradSaveFunc);
    return {
      value,
      gradFunc: (slope: tf.Tensor, saved: tf.Tensor[]) => {
        const made = gradients(slope, saved);
        tf.dispose([slope, ...saved]);
        return made;
      },
    };
  })(...inputs);
}

/** x W over the group axis, [G, N, in] by [G, in, out], with or without a gradient for W. */
export function product(x: tf.Tensor3D, kernel: tf.Tensor3D, kernelLearns: boolean): tf.Tensor3D {
  return withGradient(kernelLearns ? [x, kernel] : [x], (save) => {
    save(kernelLearns ? [kernel, x] : [kernel]);
    return {
      value: tf.matMul(x, kernel),
      gradients: (slope, [w, input]) => {
        const dx = tf.matMul(slope, w as tf.Tensor, false, true);
        return input ? [dx, kernelGradient(input as tf.Tensor3D, slope as tf.Tensor3D)] : [dx];
      },
    };
  }) as tf.Tensor3D;
}

/**
 * x' slope for each group, [G, in, out]. TensorFlow splits the sum over the rows among threads when a small product stands alone, and
 * does not when it is one of several: groups one by one, so that a student in a bundle gets the bits it would get alone.
 */
function kernelGradient(x: tf.Tensor3D, slope: tf.Tensor3D): tf.Tensor3D {
  const [groups, , width] = x.shape;
  if (groups === 1 || width * slope.shape[2] > 128 * 64) return tf.matMul(x, slope, true, false);
  return tf.tidy(() => {
    const slopes = tf.split(slope, groups);
    return tf.concat(tf.split(x, groups).map((one, k) => tf.matMul(one, slopes[k] as tf.Tensor, true, false)));
  }) as tf.Tensor3D;
}

/** [rate, 1 - rate] and the five words that name a site; empty tensors without dropout. */
function siteTensors(site: DropoutSite | null, rows: number): [tf.Tensor, tf.Tensor] {
  if (!site || site.rate === 0) return [tf.tensor1d([]), tf.tensor1d([], 'int32')];
  const words = Int32Array.of(...site.stream.identity, firstRow(site, rows));
  return [tf.tensor1d([site.rate, 1 - site.rate]), tf.tensor1d(words, 'int32')];
}

/** Which columns of query and memory hold what; see attention.cc. */
export interface AttentionLayout {
  batch: number;
  tokens: number;
  memoryTokens: number;
  heads: number;
  width: number;
  causal: boolean;
  /** query, key and value are one tensor [q k v], given as both query and memory */
  packed: boolean;
}

/**
 * Attention over projections without their biases. query [G, batch*tokens, d or 3d], memory [G, batch*memoryTokens, 2d or 3d],
 * biases [G, width], lengths int32 [batch]: how many positions of each sentence's memory are seen. Returns [G, batch*tokens, d].
 */
export function fusedAttention(
  projected: { query: tf.Tensor3D; queryBias: tf.Tensor; memory: tf.Tensor3D; memoryBias: tf.Tensor },
  lengths: tf.Tensor1D,
  layout: AttentionLayout,
): tf.Tensor3D {
  const { batch, tokens, memoryTokens, heads, width, causal, packed } = layout;
  const inner = heads * width;
  const columns = packed ? [0, inner, 2 * inner] : [0, 0, inner];
  const words = [batch, tokens, memoryTokens, heads, width, Number(causal), ...columns, Number(packed)];
  const shape = tf.tensor1d(words, 'int32');
  const { query, queryBias, memory, memoryBias } = projected;
  const inputs = packed ? [query, queryBias] : [query, queryBias, memory, memoryBias];
  return withGradient(inputs, (save) => {
    const all = [query, memory, queryBias, memoryBias, lengths, shape];
    const [context] = call('SemdistillAttention', all) as [tf.Tensor];
    save(all);
    return {
      value: context,
      gradients: (slope, saved) => {
        const [dQuery, dMemory, dQueryBias, dMemoryBias] = call('SemdistillAttentionGrad', [...saved, slope]) as [
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
        ];
        if (!packed) return [dQuery, dQueryBias, dMemory, dMemoryBias];
        tf.dispose([dMemory, dMemoryBias]);
        return [dQuery, dQueryBias];
      },
    };
  }) as tf.Tensor3D;
}

/** max(x + bias, 0). x [G, N, f], bias [G, f]. */
export function fusedBiasRelu(x: tf.Tensor3D, bias: tf.Tensor): tf.Tensor3D {
  return withGradient([x, bias], (save) => {
    const [y] = call('SemdistillBiasRelu', [x, bias]) as [tf.Tensor];
    save([y]);
    return { value: y, gradients: (slope, [kept]) => call('SemdistillBiasReluGrad', [kept as tf.Tensor, slope]) };
  }) as tf.Tensor3D;
}

/** Layer norm of x + dropout(branch + branchBias). Tensors [G, N, d], vectors [G, d]. */
export function fusedAddNorm(
  x: tf.Tensor3D,
  branch: { value: tf.Tensor3D; bias: tf.Tensor },
  norm: { gain: tf.Tensor; bias: tf.Tensor },
  site: DropoutSite | null,
): tf.Tensor3D {
  const [rates, words] = siteTensors(site, x.shape[1]);
  return withGradient([x, branch.value, branch.bias, norm.gain, norm.bias], (save) => {
    const shared = [x, branch.value, branch.bias, norm.gain];
    const [y, statistics] = call('SemdistillAddNorm', [...shared, norm.bias, rates, words]) as [tf.Tensor, tf.Tensor];
    save([...shared, statistics, rates, words]);
    return {
      value: y,
      gradients: (slope, saved) => {
        const [dx, dBranch, ...sums] = call('SemdistillAddNormGrad', [...saved, slope]) as [
          tf.Tensor,
          tf.Tensor,
          ...tf.Tensor[],
        ];
        if (dBranch.size > 0) return [dx, dBranch, ...sums];
        dBranch.dispose();
        return [dx, tf.clone(dx), ...sums];
      },
    };
  }) as tf.Tensor3D;
}

/** dropout(table[ids] sqrt(d) + positions[n mod t]). table [G, V, d], ids [N], positions [t, d]; returns [G, N, d]. */
export function fusedEmbed(
  table: tf.Tensor,
  ids: tf.Tensor1D,
  positions: tf.Tensor2D,
  site: DropoutSite | null,
): tf.Tensor3D {
  const [rates, words] = siteTensors(site, ids.size);
  const vocabulary = tf.tensor1d([table.shape[1] as number], 'int32');
  return withGradient([table], (save) => {
    const [y] = call('SemdistillEmbed', [table, ids, positions, rates, words]) as [tf.Tensor];
    save([ids, vocabulary, rates, words]);
    return { value: y, gradients: (slope, saved) => call('SemdistillEmbedGrad', [slope, ...saved]) };
  }) as tf.Tensor3D;
}
