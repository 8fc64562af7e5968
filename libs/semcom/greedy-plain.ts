// One position of the decoder at a time in plain operations: the twin of greedy-fused.ts.
import * as tf from '@tensorflow/tfjs-core';
import { sourceHiding } from './deepsc.js';
import type { DecoderStart, DecoderSteps } from './greedy.js';
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

const PAD = 0;

export function plainDecoderSteps(start: DecoderStart): DecoderSteps {
  const { weights, source } = start;
  const groups = parameter(weights, 'decoder.embedding.weight').shape[0] as number;
  const extent: Extent = { groups, batch: source.size, tokens: 1 };
  const hiding = start.isMasked ? sourceHiding(source, groups) : null;
  const caches = startCaches(start, groups);
  const past = new PastPads(groups * source.size);
  return {
    logits(current, t) {
      past.push(current);
      const x = embedAt(parameter(weights, 'decoder.embedding.weight'), current, t, extent);
      return positionLogits(start, x, { extent, caches, crossHiding: hiding, pads: past.hiding() });
    },
    dispose() {
      for (const cache of caches) tf.dispose([cache.crossKey, cache.crossValue, cache.key ?? [], cache.value ?? []]);
      hiding?.dispose();
    },
  };
}

interface LayerCache {
  crossKey: tf.Tensor4D;
  crossValue: tf.Tensor4D;
  key: tf.Tensor4D | null;
  value: tf.Tensor4D | null;
}

/** Keys and values of the memory, once a layer; kept beyond the caller's tidy. */
function startCaches({ weights, shape, memory, source }: DecoderStart, groups: number): LayerCache[] {
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

/** One position through all layers: x [G, size, d] to logits [G, size, V]. Grows the caches. */
function positionLogits(
  { weights, shape }: DecoderStart,
  start: tf.Tensor3D,
  step: { extent: Extent; caches: LayerCache[]; crossHiding: tf.Tensor | null; pads: tf.Tensor | null },
): tf.Tensor3D {
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
  return linear(weights, 'dense', x);
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
