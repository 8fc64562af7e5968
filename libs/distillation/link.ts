// A link: one model's transmitter and another's (or the same one's) receiver, over a channel. Either side may hold one model or K;
// one against K is the teacher's side shared by all students.
import * as tf from '@tensorflow/tfjs-core';
import {
  type Batch,
  type ChannelUse,
  type DeepscShape,
  type Dropout,
  decode,
  decodeFromChannel,
  encode,
  encodeForChannel,
  keepMask,
  type LastLayerWatch,
  normalizePower,
  transmit,
  type Weights,
} from '#semcom';

/** A model, or K of one shape side by side, or one side of it. */
export interface Sided {
  shape: DeepscShape;
  /** [G, …] */
  weights: Weights;
}

export interface Link {
  transmitter: Sided;
  receiver: Sided;
}

/** What went into the last layer of the semantic encoder and of the semantic decoder; absent where that side was not computed. */
export type LastInputs = { encoder?: tf.Tensor3D; decoder?: tf.Tensor3D };

function groupsOf(weights: Weights): number {
  const [first] = weights.values();
  return first?.shape[0] as number;
}

/** How many models the link stands for: the larger of its sides. */
export function linkGroups(link: Link): number {
  return Math.max(groupsOf(link.transmitter.weights), groupsOf(link.receiver.weights));
}

/** Transmitter: encOut [Gt, N, d] and the symbols sent, of the profile's power, tx [Gt, N, 16]. */
export function sendBatch(
  transmitter: Sided,
  batch: Batch,
  profile: ChannelUse['profile'],
  dropout?: Dropout,
  watch?: LastLayerWatch,
) {
  const encOut = encode(transmitter.weights, transmitter.shape, batch, dropout, watch);
  const tx = normalizePower(encodeForChannel(transmitter.weights, encOut), profile, keepMask(batch));
  return { encOut, tx };
}

/** What the receiver's decoder sees: memory [Gr, fold*N, d], and how many transmitters are folded into one receiver's batch. */
export function remember(receiver: Sided, rx: tf.Tensor3D): { memory: tf.Tensor3D; fold: number } {
  const [sent, rows, width] = rx.shape;
  const heard = groupsOf(receiver.weights);
  if (sent === heard) return { memory: decodeFromChannel(receiver.weights, rx), fold: 1 };
  if (sent === 1) return { memory: decodeFromChannel(receiver.weights, tf.tile(rx, [heard, 1, 1])), fold: 1 };
  const folded = tf.reshape(rx, [1, sent * rows, width]) as tf.Tensor3D;
  return { memory: decodeFromChannel(receiver.weights, folded), fold: sent };
}

/** Teacher-forced decoding of what was received: decOut [G, size*(tokens of input), d]. */
export function decodeReceived(
  receiver: Sided,
  rx: tf.Tensor3D,
  options: { source: Batch; input: Batch; dropout?: Dropout | undefined; watch?: LastLayerWatch | undefined },
): tf.Tensor3D {
  const { memory, fold } = remember(receiver, rx);
  const { source, input, dropout, watch } = options;
  const decOut = decode(receiver.weights, receiver.shape, memory, { source, input, fold }, dropout, watch);
  return fold === 1 ? decOut : tf.reshape(decOut, [fold, input.ids.length, receiver.shape.dModel]);
}

/** Sends a batch through the whole link with teacher forcing. Dropout, where given, is per side. */
export function passThrough(
  link: Link,
  options: {
    source: Batch;
    input: Batch;
    use: ChannelUse;
    transmitterDropout?: Dropout | undefined;
    receiverDropout?: Dropout | undefined;
  },
) {
  const { source, use } = options;
  const last: LastInputs = {};
  const { encOut, tx } = sendBatch(link.transmitter, source, use.profile, options.transmitterDropout, (x) => {
    last.encoder = x;
  });
  const rx = transmit(tx, use, source.size, source.tokens);
  const watch: LastLayerWatch = (x) => {
    last.decoder = x;
  };
  const decOut = decodeReceived(link.receiver, rx, { ...options, dropout: options.receiverDropout, watch });
  return { encOut, rx, decOut, last };
}
