// The building blocks of DeepSC on tfjs-core, each over a leading group axis: activations [G, N, width] with N = batch x tokens,
// kernels [G, in, out]. Where the backend has fused kernels they are taken; the code here is their plain twin. Knows no channel.
import * as tf from '@tensorflow/tfjs-core';
import { LAYER_NORM_EPSILON } from './architecture.js';
import { type DropoutSite, dropOut } from './dropout.js';
import { fusedAddNorm, fusedAttention, fusedBiasRelu, fusedEmbed, hasFusedLayers, product } from './fused-layers.js';
import { positionTable } from './position-table.js';
import type { Weights } from './weights.js';

/** Which rows belong together: G groups, `batch` sentences of `tokens` positions each. */
export interface Extent {
  groups: number;
  batch: number;
  tokens: number;
}

export function parameter(weights: Weights, name: string): tf.Tensor {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`no parameter ${name}`);
  return tensor;
}

/** x W + b. x [G, N, in], W [G, in, out], b [G, out]; returns [G, N, out]. */
export function linear(weights: Weights, name: string, x: tf.Tensor3D): tf.Tensor3D {
  const { value, bias } = branchOf(weights, name, x);
  return tf.add(value, tf.expandDims(bias, 1));
}

/**
 * Layer normalisation over the last axis: (x - mean) / sqrt(variance + 1e-6) * gain + bias, biased variance.
 * x [G, N, d], gain and bias [G, d]. Gradient: dx = r (dh - mean(dh) - h mean(dh h)), h the normalised x, dh = dy gain.
 */
export function layerNorm(weights: Weights, name: string, x: tf.Tensor3D): tf.Tensor3D {
  const gain = tf.expandDims(parameter(weights, `${name}.weight`), 1) as tf.Tensor3D;
  const bias = tf.expandDims(parameter(weights, `${name}.bias`), 1) as tf.Tensor3D;
  return normalize(x, gain, bias) as tf.Tensor3D;
}

const normalize = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
  const [x, gain, bias, save] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const rootInverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), LAYER_NORM_EPSILON));
  const normal = tf.mul(centred, rootInverse);
  save([normal, rootInverse, gain]);
  return {
    value: tf.add(tf.mul(normal, gain), bias),
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [h, r, g] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      const dh = tf.mul(dy, g);
      const inner = tf.sub(tf.sub(dh, tf.mean(dh, -1, true)), tf.mul(h, tf.mean(tf.mul(dh, h), -1, true)));
      return [tf.mul(r, inner), tf.sum(tf.mul(dy, h), 1, true), tf.sum(dy, 1, true)];
    },
  };
});

/** What a sublayer adds to its residual: value [G, N, d], to which its bias [G, d] has yet to be added. */
export interface Branch {
  value: tf.Tensor3D;
  bias: tf.Tensor;
}

/** A linear layer that stops before its bias, so that what follows can add it in the same pass. */
export function branchOf(weights: Weights, name: string, x: tf.Tensor3D): Branch {
  return {
    value: product(x, parameter(weights, `${name}.weight`) as tf.Tensor3D, !weights.frozen),
    bias: parameter(weights, `${name}.bias`),
  };
}

/** max(x + bias, 0) */
export function biasRelu({ value, bias }: Branch): tf.Tensor3D {
  return hasFusedLayers() ? fusedBiasRelu(value, bias) : tf.relu(tf.add(value, tf.expandDims(bias, 1)));
}

/** x + bias, and max(x + bias, 0), where both are needed. */
export function biasAndRelu(branch: Branch): { linear: tf.Tensor3D; relu: tf.Tensor3D } {
  const sum = tf.add(branch.value, tf.expandDims(branch.bias, 1)) as tf.Tensor3D;
  return { linear: sum, relu: hasFusedLayers() ? biasRelu(branch) : tf.relu(sum) };
}

/** Layer norm of x + dropout(branch). */
export function addNorm(
  weights: Weights,
  name: string,
  x: tf.Tensor3D,
  branch: Branch,
  site: DropoutSite | null = null,
): tf.Tensor3D {
  if (hasFusedLayers()) {
    const norm = { gain: parameter(weights, `${name}.weight`), bias: parameter(weights, `${name}.bias`) };
    return fusedAddNorm(x, branch, norm, site);
  }
  return layerNorm(weights, name, tf.add(x, dropOut(tf.add(branch.value, tf.expandDims(branch.bias, 1)), site)));
}

/** W2 relu(W1 x), its last bias not yet added. */
export function feedForward(weights: Weights, name: string, x: tf.Tensor3D): Branch {
  return branchOf(weights, `${name}.w_2`, biasRelu(branchOf(weights, `${name}.w_1`, x)));
}

/** [G, batch*tokens, d] to [G*batch, heads, tokens, d/heads]. */
export function splitHeads(x: tf.Tensor3D, extent: Extent, heads: number): tf.Tensor4D {
  const width = x.shape[2] / heads;
  return tf.transpose(tf.reshape(x, [extent.groups * extent.batch, extent.tokens, heads, width]), [0, 2, 1, 3]);
}

/** [G*batch, heads, tokens, width] to [G, batch*tokens, heads*width]. */
export function joinHeads(x: tf.Tensor4D, extent: Extent): tf.Tensor3D {
  const [, heads, , width] = x.shape;
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [extent.groups, extent.batch * extent.tokens, heads * width]);
}

/** What a sentence's positions may look at: the first `lengths[b]` positions of its memory and, if causal, none after their own. */
export interface View {
  causal: boolean;
  /** int32 [batch]; for the fused kernel */
  lengths: tf.Tensor1D;
  /** The same as an additive mask, 0 or -1e9, that broadcasts to [G*batch, heads, tokens, memoryTokens]; for the plain twin. */
  hiding: tf.Tensor | null;
}

/**
 * Multi-head attention: softmax(q k' / sqrt(width) + hiding) v, heads joined, then `dense`, its bias not yet added.
 * x [G, batch*tokens, d] asks, memory [G, batch*memoryTokens, d] answers; `memory` null: x itself.
 */
export function attend(
  weights: Weights,
  name: string,
  x: tf.Tensor3D,
  memory: tf.Tensor3D | null,
  options: { extent: Extent; memoryTokens: number; heads: number; view: View },
): Branch {
  const context = hasFusedLayers() ? attendFused : attendPlainly;
  return branchOf(weights, `${name}.dense`, context(weights, name, x, memory, options));
}

type AttendArguments = Parameters<typeof attend>;

function attendPlainly(...[weights, name, x, memory, options]: AttendArguments): tf.Tensor3D {
  const { extent, heads } = options;
  const memoryExtent = { ...extent, tokens: options.memoryTokens };
  const query = splitHeads(linear(weights, `${name}.wq`, x), extent, heads);
  const key = splitHeads(linear(weights, `${name}.wk`, memory ?? x), memoryExtent, heads);
  const value = splitHeads(linear(weights, `${name}.wv`, memory ?? x), memoryExtent, heads);
  return joinHeads(weigh(query, key, value, options.view.hiding), extent);
}

/** Projections that share an input are one product: [q k v] of x, or [k v] of the memory. */
function attendFused(...[weights, name, x, memory, options]: AttendArguments): tf.Tensor3D {
  const { extent, heads, memoryTokens, view } = options;
  const project = (input: tf.Tensor3D, names: string[]): Branch => {
    const all = (kind: string) => names.map((one) => parameter(weights, `${name}.${one}.${kind}`));
    const kernel = tf.concat(all('weight') as tf.Tensor3D[], 2) as tf.Tensor3D;
    return { value: product(input, kernel, !weights.frozen), bias: tf.concat(all('bias'), 1) };
  };
  const query = memory ? branchOf(weights, `${name}.wq`, x) : project(x, ['wq', 'wk', 'wv']);
  const answers = memory ? project(memory, ['wk', 'wv']) : query;
  return fusedAttention(
    { query: query.value, queryBias: query.bias, memory: answers.value, memoryBias: answers.bias },
    view.lengths,
    {
      batch: extent.batch,
      tokens: extent.tokens,
      memoryTokens,
      heads,
      width: x.shape[2] / heads,
      causal: view.causal,
      packed: memory === null,
    },
  );
}

/** softmax(q k' / sqrt(width) + hiding) v over [G*batch, heads, tokens, width]. */
export function weigh(query: tf.Tensor4D, key: tf.Tensor4D, value: tf.Tensor4D, hiding: tf.Tensor | null): tf.Tensor4D {
  return tf.matMul(tf.softmax(attentionScores(query, key, hiding)), value) as tf.Tensor4D;
}

function attentionScores(query: tf.Tensor4D, key: tf.Tensor4D, hiding: tf.Tensor | null): tf.Tensor4D {
  const scores = tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(query.shape[3]));
  return (hiding ? tf.add(scores, hiding) : scores) as tf.Tensor4D;
}

/**
 * What a layer's attention to its own input x is the softmax of, q k' / sqrt(width) + hiding, [G*batch, heads, tokens, tokens]. Computed
 * beside the layer itself, in plain operations: the fused one keeps no scores.
 */
export function selfAttentionScores(
  weights: Weights,
  name: string,
  x: tf.Tensor3D,
  { extent, heads, hiding }: { extent: Extent; heads: number; hiding: tf.Tensor | null },
): tf.Tensor4D {
  const of = (one: string) => splitHeads(linear(weights, `${name}.${one}`, x), extent, heads);
  return attentionScores(of('wq'), of('wk'), hiding);
}

/**
 * dropout(table[ids] * sqrt(d) + position). `table` [G, V, d], ids [batch*tokens] shared by all groups; returns [G, batch*tokens, d].
 */
export function embed(
  table: tf.Tensor,
  ids: tf.Tensor1D,
  extent: Extent,
  site: DropoutSite | null = null,
): tf.Tensor3D {
  const [groups, vocabularySize, dModel] = table.shape as [number, number, number];
  const positions = tf.tensor2d(positionTable(extent.tokens, dModel), [extent.tokens, dModel]);
  if (hasFusedLayers()) return fusedEmbed(table, ids, positions, site);
  const flat = tf.reshape(table, [groups * vocabularySize, dModel]);
  const offsets = tf.tensor2d(
    Int32Array.from({ length: groups }, (_, g) => g * vocabularySize),
    [groups, 1],
    'int32',
  );
  const rows = groups === 1 ? ids : tf.reshape(tf.add(tf.expandDims(ids, 0), offsets), [-1]);
  const gathered = tf.mul(
    tf.reshape(tf.gather(flat, rows as tf.Tensor1D), [groups, extent.batch, extent.tokens, dModel]),
    Math.sqrt(dModel),
  );
  const placed = tf.add(gathered, tf.reshape(positions, [1, 1, extent.tokens, dModel]));
  return dropOut(tf.reshape(placed, [groups, extent.batch * extent.tokens, dModel]), site);
}

/** The same for one position of rows that differ between groups: ids [G*batch] at `position`; returns [G, batch, d]. */
export function embedAt(table: tf.Tensor, ids: Int32Array, position: number, extent: Extent): tf.Tensor3D {
  const [groups, vocabularySize, dModel] = table.shape as [number, number, number];
  const rows = ids.map((id, i) => id + Math.floor(i / extent.batch) * vocabularySize);
  const flat = tf.reshape(table, [groups * vocabularySize, dModel]);
  const gathered = tf.mul(tf.gather(flat, tf.tensor1d(rows, 'int32')), Math.sqrt(dModel));
  const at = tf.tensor(positionTable(position + 1, dModel).slice(position * dModel), [1, dModel]);
  return tf.reshape(tf.add(gathered, at), [groups, extent.batch, dModel]);
}
