// What a link holds of a batch at four places on its way, and how alike that is to the teacher's: linear CKA from sums over tokens.
import * as tf from '@tensorflow/tfjs-core';
import {
  type Batch,
  type ChannelUse,
  type CkaSums,
  ckaOfSums,
  decode,
  encode,
  encodeForChannel,
  keepMask,
  noCkaSums,
  normalizePower,
  transmit,
} from '#semcom';
import { type Link, remember } from './link.js';

/** After the semantic encoder, the channel encoder (before its power is normalised), the channel decoder, the semantic decoder. */
export const TAPS = ['encOut', 'chEncOut', 'memory', 'decOut'] as const;
/** Those behind the channel. */
export const RECEIVED_TAPS = ['memory', 'decOut'] as const;
export type Tap = (typeof TAPS)[number];
/** [G, rows, width] each; G is 1 where all models of the link share that side. */
export type Taps = Record<Tap, tf.Tensor3D>;

/** A batch sent through the link with teacher forcing, with what it holds at each tap. */
export function tapsOf(link: Link, { source, input, use }: { source: Batch; input: Batch; use: ChannelUse }): Taps {
  const { transmitter, receiver } = link;
  const encOut = encode(transmitter.weights, transmitter.shape, source);
  const chEncOut = encodeForChannel(transmitter.weights, encOut);
  const tx = normalizePower(chEncOut, use.profile, keepMask(source));
  const { memory, fold } = remember(receiver, transmit(tx, use, source.size, source.tokens));
  const decOut = decode(receiver.weights, receiver.shape, memory, { source, input, fold });
  const width = receiver.shape.dModel;
  const unfolded = (x: tf.Tensor3D, rows: number) =>
    fold === 1 ? x : (tf.reshape(x, [fold, rows, width]) as tf.Tensor3D);
  return {
    encOut,
    chEncOut,
    memory: unfolded(memory, source.ids.length),
    decOut: unfolded(decOut, input.ids.length),
  };
}

/** The likeness of each of a link's models to the teacher at one tap, batch by batch. */
export class Likeness {
  private sums: CkaSums[] = [];

  /** Adds the rows (int32) of both: x [G, N, a] of the link, y [1, N, b] of the teacher. */
  add(x: tf.Tensor3D, y: tf.Tensor3D, rows: tf.Tensor1D): void {
    const [groups, , a] = x.shape;
    const b = y.shape[2];
    if (this.sums.length === 0) this.sums = Array.from({ length: groups }, () => noCkaSums(a, b));
    const [ours, theirs] = [tf.gather(x, rows, 1), tf.gather(y, rows, 1)];
    const over = (one: tf.Tensor, other: tf.Tensor) => tf.matMul(one, other, true, false).dataSync();
    const yy = over(theirs, theirs);
    const y1 = tf.sum(theirs, 1).dataSync();
    // Model by model: TensorFlow may sum over rows in another order where several products stand side by side.
    for (const [g, own] of tf.split(ours, groups).entries()) {
      const sums = this.sums[g] as CkaSums;
      sums.rows += rows.size;
      addTo(sums.x, tf.sum(own, 1).dataSync());
      addTo(sums.y, y1);
      addTo(sums.xx, over(own, own));
      addTo(sums.yy, yy);
      addTo(sums.xy, over(own, theirs));
    }
  }

  /** Of model g; where all share the side, there is one for all. Null where a representation is constant. */
  of(g: number): number | null {
    const sums = this.sums[this.sums.length === 1 ? 0 : g];
    const cka = sums ? ckaOfSums(sums) : Number.NaN;
    return Number.isFinite(cka) ? cka : null;
  }
}

function addTo(sums: Float64Array, values: ArrayLike<number>): void {
  for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (values[i] as number);
}
