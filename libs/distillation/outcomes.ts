// What a model says of the word that was sent, token by token: the plain operations that measures of likelihood, calibration and
// right or wrong are made of.
import * as tf from '@tensorflow/tfjs-core';
import type { Output } from './distances.js';

/** Of each model and row, the values of rowOutcomes, in this order. */
export const OUTCOMES = ['targetLogProbability', 'bestLogProbability', 'best'] as const;

/** [G, n, 3]: ln q of the target, ln q of the likeliest word, and which that is (the lower id on ties; exact below 2^24). */
export function rowOutcomes({ logits, bias }: Output, targets: Int32Array): tf.Tensor3D {
  return tf.tidy(() => {
    const logQ = tf.logSoftmax(tf.add(logits, tf.expandDims(bias, 1)));
    const [groups, rows, words] = logits.shape;
    const places = Int32Array.from({ length: groups * rows }, (_, at) => at * words + (targets[at % rows] as number));
    const ofTarget = tf.reshape(tf.gather(tf.reshape(logQ, [-1]), tf.tensor1d(places, 'int32')), [groups, rows]);
    const best = tf.cast(tf.argMax(logQ, -1), 'float32');
    return tf.stack([ofTarget, tf.max(logQ, -1), best], 2) as tf.Tensor3D;
  });
}
