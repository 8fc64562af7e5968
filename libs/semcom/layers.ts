// The building blocks of DeepSC on tfjs-core, each over a leading group axis: activations [G, N, width] with N = batch x tokens,
// kernels [G, in, out]. Knows no ids, no channel and no training.
import * as tf from '@tensorflow/tfjs-core';
import { LAYER_NORM_EPSILON } from './architecture.js';
import type { Weights } from './weights.js';

/** Zeroes and rescales activations while training; absent when measuring. Called in a fixed order, once per site. */
export type Dropout = (x: tf.Tensor3D) => tf.Tensor3D;

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
  const kernel = parameter(weights, `${name}.weight`) as tf.Tensor3D;
  const bias = parameter(weights, `${name}.bias`);
  return tf.add(tf.matMul(x, kernel), tf.expandDims(bias, 1));
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

/** W2 relu(W1 x). */
export function feedForward(weights: Weights, name: string, x: tf.Tensor3D): tf.Tensor3D {
  return linear(weights, `${name}.w_2`, tf.relu(linear(weights, `${name}.w_1`, x)));
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

/**
 * Multi-head attention: softmax(q k' / sqrt(width) + hidden * -1e9) v, heads joined, then `dense`.
 * x [G, batch*tokens, d] asks, memory [G, batch*memoryTokens, d] answers; `hiding` is already times -1e9 and broadcasts to
 * [G*batch, heads, tokens, memoryTokens]; null when nothing is hidden.
 */
export function attend(
  weights: Weights,
  name: string,
  x: tf.Tensor3D,
  memory: tf.Tensor3D,
  options: { extent: Extent; memoryTokens: number; heads: number; hiding: tf.Tensor | null },
): tf.Tensor3D {
  const { extent, heads } = options;
  const memoryExtent = { ...extent, tokens: options.memoryTokens };
  const query = splitHeads(linear(weights, `${name}.wq`, x), extent, heads);
  const key = splitHeads(linear(weights, `${name}.wk`, memory), memoryExtent, heads);
  const value = splitHeads(linear(weights, `${name}.wv`, memory), memoryExtent, heads);
  return linear(weights, `${name}.dense`, joinHeads(weigh(query, key, value, options.hiding), extent));
}

/** softmax(q k' / sqrt(width) + hiding) v over [G*batch, heads, tokens, width]. */
export function weigh(query: tf.Tensor4D, key: tf.Tensor4D, value: tf.Tensor4D, hiding: tf.Tensor | null): tf.Tensor4D {
  const scores = tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(query.shape[3]));
  return tf.matMul(tf.softmax(hiding ? tf.add(scores, hiding) : scores), value) as tf.Tensor4D;
}

/** pe[t, 2i] = sin(t r_i), pe[t, 2i+1] = cos(t r_i), r_i = exp(-2i ln(10000) / d); [tokens, d], as the reference. */
export function positionTable(tokens: number, dModel: number): Float32Array {
  const table = new Float32Array(tokens * dModel);
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < dModel; i += 2) {
      const angle = t * Math.exp(-i * (Math.log(10000) / dModel));
      table[t * dModel + i] = Math.sin(angle);
      if (i + 1 < dModel) table[t * dModel + i + 1] = Math.cos(angle);
    }
  }
  return table;
}

/**
 * table[ids] * sqrt(d) + position. `table` [G, V, d], ids [batch*tokens] shared by all groups; returns [G, batch*tokens, d].
 */
export function embed(table: tf.Tensor, ids: tf.Tensor1D, extent: Extent): tf.Tensor3D {
  const [groups, vocabularySize, dModel] = table.shape as [number, number, number];
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
  const position = tf.tensor(positionTable(extent.tokens, dModel), [1, 1, extent.tokens, dModel]);
  return tf.reshape(tf.add(gathered, position), [groups, extent.batch * extent.tokens, dModel]);
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
