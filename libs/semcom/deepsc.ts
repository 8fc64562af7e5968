// DeepSC: the transmitter (semantic encoder, channel encoder) and the receiver (channel decoder, semantic decoder, output layer),
// as functions of weights with a leading group axis. Source: the reference PyTorch model; see docs/model.md for the differences of its variants.
import * as tf from '@tensorflow/tfjs-core';
import { type DeepscShape } from './architecture.js';
import { type ChannelUse, normalizePower, transmit } from './channel.js';
import { type Dropout, noDropout } from './dropout.js';
import { hasFusedLayers } from './fused-layers.js';
import {
  addNorm,
  attend,
  biasAndRelu,
  biasRelu,
  branchOf,
  type Extent,
  embed,
  feedForward,
  linear,
  parameter,
  selfAttentionScores,
  type View,
} from './layers.js';
import type { Weights } from './weights.js';

/** A padded batch of token rows with START and END, and what the model needs to know of its pads. */
export interface Batch {
  /** [size * tokens], 0 is PAD */
  ids: Int32Array;
  size: number;
  tokens: number;
}

const HIDDEN = -1e9;

function isPadded(ids: Int32Array): boolean {
  return ids.includes(0);
}

/** Additive mask of the pads in `ids`, [groups*size, 1, 1, tokens]; null without pads. */
export function sourceHiding(batch: Batch, groups: number): tf.Tensor | null {
  if (!isPadded(batch.ids)) return null;
  const one = Float32Array.from(batch.ids, (id) => (id === 0 ? HIDDEN : 0));
  return tf.tensor(repeated(one, groups), [groups * batch.size, 1, 1, batch.tokens]);
}

/** Additive mask of the decoder's own past: causal, and pads of its input; [groups*size or 1, 1, tokens, tokens]. */
export function targetHiding(input: Batch, groups: number): tf.Tensor {
  const { size, tokens, ids } = input;
  const padded = isPadded(ids);
  const rows = padded ? size : 1;
  const mask = new Float32Array(rows * tokens * tokens);
  for (let b = 0; b < rows; b++)
    for (let i = 0; i < tokens; i++)
      for (let j = 0; j < tokens; j++)
        if (j > i || (padded && ids[b * tokens + j] === 0)) mask[(b * tokens + i) * tokens + j] = HIDDEN;
  const copies = padded ? groups : 1;
  return tf.tensor(repeated(mask, copies), [copies * rows, 1, tokens, tokens]);
}

/** 1 where a token is no pad: [1, size*tokens, 1]. */
export function keepMask(batch: Batch): tf.Tensor3D {
  return tf.tensor3d(
    Float32Array.from(batch.ids, (id) => (id === 0 ? 0 : 1)),
    [1, batch.ids.length, 1],
  );
}

/** How many ids of each row are no pads, int32 [size]; pads stand at the end of a row. */
export function sentenceLengths(batch: Batch): tf.Tensor1D {
  const lengths = new Int32Array(batch.size);
  for (let i = 0; i < batch.ids.length; i++)
    if (batch.ids[i] !== 0) lengths[Math.floor(i / batch.tokens)] = (i % batch.tokens) + 1;
  return tf.tensor1d(lengths, 'int32');
}

/** What may be looked at of a batch whose rows are repeated `fold` times: all its tokens, or only those before one's own. */
function viewOf(batch: Batch, causal: boolean, groups: number, fold: number): View {
  const lengths = sentenceLengths(batch);
  const hidingOf = causal ? targetHiding : sourceHiding;
  return {
    causal,
    lengths: fold === 1 ? lengths : tf.tile(lengths, [fold]),
    hiding: hasFusedLayers() ? null : hidingOf(batch, groups * fold),
  };
}

/** Is given the input of the last layer, [G, size*tokens, d]. */
export type LastLayerWatch = (input: tf.Tensor3D) => void;

/** The semantic encoder. Returns encOut [G, size*tokens, d]. */
export function encode(
  weights: Weights,
  shape: DeepscShape,
  batch: Batch,
  dropout: Dropout = noDropout,
  watch?: LastLayerWatch,
): tf.Tensor3D {
  const table = parameter(weights, 'encoder.embedding.weight');
  const extent: Extent = { groups: table.shape[0] as number, batch: batch.size, tokens: batch.tokens };
  const view = viewOf(batch, false, extent.groups, 1);
  const options = { extent, memoryTokens: batch.tokens, heads: shape.heads, view };
  let x = embed(table, tf.tensor1d(batch.ids, 'int32'), extent, dropout());
  for (let i = 0; i < shape.encoderLayers; i++) {
    const layer = `encoder.enc_layers.${i}`;
    if (i === shape.encoderLayers - 1) watch?.(x);
    // Without a gradient in the making, what a layer needed is given back when it is done.
    x = tf.tidy(() => {
      const y = addNorm(
        weights,
        `${layer}.layernorm1`,
        x,
        attend(weights, `${layer}.mha`, x, null, options),
        dropout(),
      );
      return addNorm(weights, `${layer}.layernorm2`, y, feedForward(weights, `${layer}.ffn`, y), dropout());
    });
  }
  return x;
}

/** The channel encoder: W2 relu(W0 x), [G, N, d] to [G, N, 16]. */
export function encodeForChannel(weights: Weights, encoded: tf.Tensor3D): tf.Tensor3D {
  return linear(weights, 'channel_encoder.2', biasRelu(branchOf(weights, 'channel_encoder.0', encoded)));
}

/** The channel decoder: a = linear1 y; LN(a + linear3 relu(linear2 relu(a))), [G, N, 16] to memory [G, N, d]. */
export function decodeFromChannel(weights: Weights, received: tf.Tensor3D): tf.Tensor3D {
  const first = biasAndRelu(branchOf(weights, 'channel_decoder.linear1', received));
  const hidden = biasRelu(branchOf(weights, 'channel_decoder.linear2', first.relu));
  return addNorm(
    weights,
    'channel_decoder.layernorm',
    first.linear,
    branchOf(weights, 'channel_decoder.linear3', hidden),
  );
}

/** Transmitter: token rows to channel symbols of the profile's power, tx [G, size*tokens, 16]. */
export function send(
  weights: Weights,
  shape: DeepscShape,
  batch: Batch,
  profile: ChannelUse['profile'],
  dropout?: Dropout,
): tf.Tensor3D {
  return normalizePower(encodeForChannel(weights, encode(weights, shape, batch, dropout)), profile, keepMask(batch));
}

/** What the receiver's layers need besides its weights. */
export interface ReceiverInput {
  /** the source batch: its pads are hidden from the decoder */
  source: Batch;
  /** decoder input: each row without its last id */
  input: Batch;
  /** Groups of activations that share one group of weights (several transmitters into one receiver); default 1. */
  fold?: number;
}

/** Semantic decoder over a memory. memory [G, size*sourceTokens, d]; returns decOut [G, size*tokens, d]. */
export function decode(
  weights: Weights,
  shape: DeepscShape,
  memory: tf.Tensor3D,
  { source, input, fold = 1 }: ReceiverInput,
  dropout: Dropout = noDropout,
  watch?: LastLayerWatch,
): tf.Tensor3D {
  const table = parameter(weights, 'decoder.embedding.weight');
  const groups = table.shape[0] as number;
  const extent: Extent = { groups, batch: input.size * fold, tokens: input.tokens };
  const self = { extent, memoryTokens: input.tokens, heads: shape.heads, view: viewOf(input, true, groups, fold) };
  const cross = { extent, memoryTokens: source.tokens, heads: shape.heads, view: viewOf(source, false, groups, fold) };
  let x = embed(table, tf.tensor1d(repeated(input.ids, fold), 'int32'), extent, dropout());
  for (let i = 0; i < shape.decoderLayers; i++) {
    const layer = `decoder.dec_layers.${i}`;
    if (i === shape.decoderLayers - 1) watch?.(x);
    x = tf.tidy(() => {
      const y = addNorm(
        weights,
        `${layer}.layernorm1`,
        x,
        attend(weights, `${layer}.self_mha`, x, null, self),
        dropout(),
      );
      const z = addNorm(
        weights,
        `${layer}.layernorm2`,
        y,
        attend(weights, `${layer}.src_mha`, y, memory, cross),
        dropout(),
      );
      return addNorm(weights, `${layer}.layernorm3`, z, feedForward(weights, `${layer}.ffn`, z), dropout());
    });
  }
  return x;
}

/** Scores of the last encoder layer's self-attention, from that layer's input; [G*size, heads, tokens, tokens]. */
export function lastEncoderScores(weights: Weights, shape: DeepscShape, batch: Batch, input: tf.Tensor3D): tf.Tensor4D {
  const extent: Extent = { groups: input.shape[0], batch: batch.size, tokens: batch.tokens };
  const hiding = sourceHiding(batch, extent.groups);
  const name = `encoder.enc_layers.${shape.encoderLayers - 1}.mha`;
  return selfAttentionScores(weights, name, input, { extent, heads: shape.heads, hiding });
}

/** The same of the last decoder layer's causal self-attention. `batch`: the decoder's input. */
export function lastDecoderScores(weights: Weights, shape: DeepscShape, batch: Batch, input: tf.Tensor3D): tf.Tensor4D {
  const extent: Extent = { groups: input.shape[0], batch: batch.size, tokens: batch.tokens };
  const hiding = targetHiding(batch, extent.groups);
  const name = `decoder.dec_layers.${shape.decoderLayers - 1}.self_mha`;
  return selfAttentionScores(weights, name, input, { extent, heads: shape.heads, hiding });
}

function repeated<T extends Int32Array | Float32Array>(values: T, times: number): T {
  if (times === 1) return values;
  const out = new (values.constructor as new (length: number) => T)(values.length * times);
  for (let i = 0; i < times; i++) out.set(values, i * values.length);
  return out;
}

/** The output layer: logits [G, N, V] = hidden dense + bias. For small N only; training uses the chunked loss instead. */
export function outputLogits(weights: Weights, hidden: tf.Tensor3D): tf.Tensor3D {
  return linear(weights, 'dense', hidden);
}

/** Decoder input and targets of a batch: rows without their last id, rows without their first. */
export function shiftTargets(batch: Batch): { input: Batch; targets: Int32Array } {
  const { size, tokens, ids } = batch;
  const input = new Int32Array(size * (tokens - 1));
  const targets = new Int32Array(size * (tokens - 1));
  for (let b = 0; b < size; b++) {
    input.set(ids.subarray(b * tokens, (b + 1) * tokens - 1), b * (tokens - 1));
    targets.set(ids.subarray(b * tokens + 1, (b + 1) * tokens), b * (tokens - 1));
  }
  return { input: { ids: input, size, tokens: tokens - 1 }, targets };
}

/** All taps of one forward pass with teacher forcing, for tests and analyses of small batches. */
export function forward(weights: Weights, shape: DeepscShape, batch: Batch, use: ChannelUse) {
  const encOut = encode(weights, shape, batch);
  const chEncOut = encodeForChannel(weights, encOut);
  const tx = normalizePower(chEncOut, use.profile, keepMask(batch));
  const rx = transmit(tx, use, batch.size, batch.tokens);
  const memory = decodeFromChannel(weights, rx);
  const decOut = decode(weights, shape, memory, { source: batch, input: shiftTargets(batch).input });
  return { encOut, chEncOut, tx, rx, memory, decOut, logits: outputLogits(weights, decOut) };
}
