// Greedy decoding: START, then the likeliest token again and again, with a key/value cache, for several receivers side by
// side. Stops as soon as every row of every receiver has said END.
import * as tf from '@tensorflow/tfjs-core';
import type { DeepscShape } from './architecture.js';
import { type Batch, sourceHiding } from './deepsc.js';
import {
  addNorm,
  branchOf,
  type Extent,
  embedAt,
  feedForward,
  joinHeads,
  linear,
  parameter,
  splitHeads,
  weigh,
} from './layers.js';
import type { Weights } from './weights.js';

const PAD = 0;
const START = 1;
const END = 2;

export interface GreedyOptions {
  /** Tokens to generate at most, START not counted (the reference: 29). */
  maxTokens: number;
  /** Whether pads of the source are hidden; the reference trains with the mask but decodes without. Default true. */
  memoryMask?: boolean;
  /** Go on to maxTokens although all rows have ended, as the reference does. Default false. */
  runOn?: boolean;
}

interface LayerCache {
  crossKey: tf.Tensor4D;
  crossValue: tf.Tensor4D;
  key: tf.Tensor4D | null;
  value: tf.Tensor4D | null;
}

/**
 * Token ids without START, [G][size][<= maxTokens], row-major in one array: result[(g * size + b) * maxTokens + t]; positions
 * after an early stop are PAD. memory [G, size*sourceTokens, d] is not disposed. Ties go to the lowest id. A PAD that a row
 * emits is hidden from its later positions, as the reference's mask does.
 */
export function greedyDecode(
  weights: Weights,
  shape: DeepscShape,
  memory: tf.Tensor3D,
  source: Batch,
  options: GreedyOptions,
): Int32Array {
  const groups = parameter(weights, 'decoder.embedding.weight').shape[0] as number;
  const rows = groups * source.size;
  const out = new Int32Array(rows * options.maxTokens);
  const extent: Extent = { groups, batch: source.size, tokens: 1 };
  const hiding = options.memoryMask === false ? null : sourceHiding(source, groups);
  const caches = startCaches(weights, shape, memory, source, groups);
  const past = new PastPads(rows);
  const ended = new Uint8Array(rows);
  let current = new Int32Array(rows).fill(START);
  try {
    for (let t = 0; t < options.maxTokens; t++) {
      past.push(current);
      const next = tf.tidy(() => {
        const x = embedAt(parameter(weights, 'decoder.embedding.weight'), current, t, extent);
        const pads = past.hiding();
        return nextTokens(weights, shape, x, { extent, caches, crossHiding: hiding, pads });
      });
      current = next.dataSync().slice() as Int32Array<ArrayBuffer>;
      next.dispose();
      let open = 0;
      for (let row = 0; row < rows; row++) {
        out[row * options.maxTokens + t] = current[row] as number;
        if (current[row] === END) ended[row] = 1;
        open += ended[row] ? 0 : 1;
      }
      if (open === 0 && !options.runOn) break;
    }
  } finally {
    for (const cache of caches) tf.dispose([cache.crossKey, cache.crossValue, cache.key ?? [], cache.value ?? []]);
    hiding?.dispose();
  }
  return out;
}

/** Keys and values of the memory, once a layer. */
function startCaches(
  weights: Weights,
  shape: DeepscShape,
  memory: tf.Tensor3D,
  source: Batch,
  groups: number,
): LayerCache[] {
  const extent: Extent = { groups, batch: source.size, tokens: source.tokens };
  return Array.from({ length: shape.decoderLayers }, (_, i) => {
    const name = `decoder.dec_layers.${i}.src_mha`;
    const [crossKey, crossValue] = tf.tidy(() => [
      splitHeads(linear(weights, `${name}.wk`, memory), extent, shape.heads),
      splitHeads(linear(weights, `${name}.wv`, memory), extent, shape.heads),
    ]) as [tf.Tensor4D, tf.Tensor4D];
    return { crossKey, crossValue, key: null, value: null };
  });
}

/** One position through all layers: x [G, size, d] to ids [G*size]. Grows the caches. */
function nextTokens(
  weights: Weights,
  shape: DeepscShape,
  start: tf.Tensor3D,
  step: { extent: Extent; caches: LayerCache[]; crossHiding: tf.Tensor | null; pads: tf.Tensor | null },
): tf.Tensor1D {
  const { extent, caches } = step;
  let x = start;
  caches.forEach((cache, i) => {
    const layer = `decoder.dec_layers.${i}`;
    const heads = (name: string) => splitHeads(linear(weights, `${layer}.self_mha.${name}`, x), extent, shape.heads);
    cache.key = grow(cache.key, heads('wk'));
    cache.value = grow(cache.value, heads('wv'));
    const self = joinHeads(weigh(heads('wq'), cache.key, cache.value, step.pads), extent);
    x = addNorm(weights, `${layer}.layernorm1`, x, branchOf(weights, `${layer}.self_mha.dense`, self));
    const query = splitHeads(linear(weights, `${layer}.src_mha.wq`, x), extent, shape.heads);
    const cross = joinHeads(weigh(query, cache.crossKey, cache.crossValue, step.crossHiding), extent);
    x = addNorm(weights, `${layer}.layernorm2`, x, branchOf(weights, `${layer}.src_mha.dense`, cross));
    x = addNorm(weights, `${layer}.layernorm3`, x, feedForward(weights, `${layer}.ffn`, x));
  });
  return tf.reshape(tf.argMax(linear(weights, 'dense', x), -1), [extent.groups * extent.batch]) as tf.Tensor1D;
}

function grow(past: tf.Tensor4D | null, now: tf.Tensor4D): tf.Tensor4D {
  const grown = past ? tf.concat([past, now], 2) : tf.clone(now);
  past?.dispose();
  return tf.keep(grown);
}

/** Which past positions of each row are PAD; builds a mask only once one is. */
class PastPads {
  private readonly columns: Int32Array[] = [];
  private found = false;

  constructor(private readonly rows: number) {}

  push(ids: Int32Array): void {
    this.columns.push(ids);
    this.found ||= ids.includes(PAD);
  }

  /** [rows, 1, 1, tokens so far], or null while no row has emitted a PAD. */
  hiding(): tf.Tensor | null {
    if (!this.found) return null;
    const tokens = this.columns.length;
    const mask = new Float32Array(this.rows * tokens);
    this.columns.forEach((ids, t) => {
      for (let row = 0; row < this.rows; row++) if (ids[row] === PAD) mask[row * tokens + t] = -1e9;
    });
    return tf.tensor(mask, [this.rows, 1, 1, tokens]);
  }
}
