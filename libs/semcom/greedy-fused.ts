// One position of the decoder at a time with the fused layers: keys and values stay side by side in one tensor a layer, as the
// fused attention reads them. The plain twin is greedy-plain.ts.
import * as tf from '@tensorflow/tfjs-core';
import { sentenceLengths } from './deepsc.js';
import { fusedAttention } from './fused-layers.js';
import type { DecoderStart, DecoderSteps } from './greedy.js';
import { addNorm, type Branch, branchOf, embedAt, feedForward, linear, parameter } from './layers.js';
import type { Weights } from './weights.js';

/** Projections of one layer's attentions as single products, made once. */
interface Projections {
  /** [q k v] of the decoder's own past */
  self: Branch;
  /** k and v of the memory, computed: [G, size*sourceTokens, 2d] */
  memory: Branch;
}

export function fusedDecoderSteps(start: DecoderStart): DecoderSteps {
  const { weights, shape, source } = start;
  const [groups, , d] = parameter(weights, 'decoder.embedding.weight').shape as [number, number, number];
  const { size } = source;
  const layers = Array.from({ length: shape.decoderLayers }, (_, i) => projectionsOf(start, `decoder.dec_layers.${i}`));
  const seen = start.isMasked ? sentenceLengths(source) : (tf.fill([size], source.tokens, 'int32') as tf.Tensor1D);
  const past: (tf.Tensor4D | null)[] = layers.map(() => null);
  const attend = (query: Branch, answers: Branch, lengths: tf.Tensor1D, memoryTokens: number) =>
    fusedAttention(
      { query: query.value, queryBias: query.bias, memory: answers.value, memoryBias: answers.bias },
      lengths,
      {
        batch: size,
        tokens: 1,
        memoryTokens,
        heads: shape.heads,
        width: d / shape.heads,
        causal: false,
        packed: false,
      },
    );
  /** Queries of this position, and keys and values of all positions so far. */
  const lookBack = (layer: number, x: tf.Tensor3D): { query: Branch; answers: Branch } => {
    const { self } = layers[layer] as Projections;
    const packed = tf.matMul(x, self.value);
    const [queryBias, memoryBias] = tf.split(self.bias, [d, 2 * d], 1) as [tf.Tensor, tf.Tensor];
    const [query, now] = tf.split(packed, [d, 2 * d], 2) as [tf.Tensor3D, tf.Tensor3D];
    const column = tf.reshape(now, [groups, size, 1, 2 * d]) as tf.Tensor4D;
    const before = past[layer];
    const all = tf.keep(before ? tf.concat([before, column], 2) : tf.clone(column)) as tf.Tensor4D;
    before?.dispose();
    past[layer] = all;
    const flat = tf.reshape(all, [groups, size * (all.shape[2] as number), 2 * d]) as tf.Tensor3D;
    return { query: { value: query, bias: queryBias }, answers: { value: flat, bias: memoryBias } };
  };
  return {
    logits(current, t) {
      const lengths = tf.fill([size], t + 1, 'int32') as tf.Tensor1D;
      let x = embedAt(parameter(weights, 'decoder.embedding.weight'), current, t, { groups, batch: size, tokens: 1 });
      for (const [i, { memory }] of layers.entries()) {
        const name = `decoder.dec_layers.${i}`;
        const { query, answers } = lookBack(i, x);
        const self = attend(query, answers, lengths, t + 1);
        x = addNorm(weights, `${name}.layernorm1`, x, branchOf(weights, `${name}.self_mha.dense`, self));
        const cross = attend(branchOf(weights, `${name}.src_mha.wq`, x), memory, seen, source.tokens);
        x = addNorm(weights, `${name}.layernorm2`, x, branchOf(weights, `${name}.src_mha.dense`, cross));
        x = addNorm(weights, `${name}.layernorm3`, x, feedForward(weights, `${name}.ffn`, x));
      }
      return linear(weights, 'dense', x);
    },
    dispose() {
      seen.dispose();
      for (const { self, memory } of layers) tf.dispose([self.value, self.bias, memory.value, memory.bias]);
      tf.dispose(past.filter((tensor) => tensor !== null));
    },
  };
}

function projectionsOf({ weights, memory }: DecoderStart, layer: string): Projections {
  const [kernel, bias, answers, answersBias] = tf.tidy(() => {
    const self = ['wq', 'wk', 'wv'].map((name) => `${layer}.self_mha.${name}`);
    const cross = ['wk', 'wv'].map((name) => `${layer}.src_mha.${name}`);
    return [
      sideBySide(weights, self, 'weight'),
      sideBySide(weights, self, 'bias'),
      tf.matMul(memory, sideBySide(weights, cross, 'weight') as tf.Tensor3D),
      sideBySide(weights, cross, 'bias'),
    ];
  }) as [tf.Tensor3D, tf.Tensor, tf.Tensor3D, tf.Tensor];
  return { self: { value: kernel, bias }, memory: { value: answers, bias: answersBias } };
}

function sideBySide(weights: Weights, names: string[], kind: 'weight' | 'bias'): tf.Tensor {
  const all = names.map((name) => parameter(weights, `${name}.${kind}`));
  return tf.concat(all as tf.Tensor3D[], all[0]?.rank === 3 ? 2 : 1);
}
