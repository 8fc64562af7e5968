// What a model says of the word that was sent, token by token: the plain operations that measures of likelihood, calibration and
// right or wrong are made of.
import * as tf from '@tensorflow/tfjs-core';
import type { Output } from './distances.js';

/** Of each model and row, the values of rowOutcomes, in this order. */
export const OUTCOMES = ['targetLogProbability', 'bestLogProbability', 'best'] as const;

/** [G, n, 3]: ln q of the target, ln q of the likeliest word, and which that is (the lower id on ties; exact below 2^24). */
export function rowOutcomes({ logits, bias }: Output, targets: Int32Array): tf.Tensor3D {
  return tf.tidy(() => {
    const [groups, rows, words] = logits.shape;
    // Model by model: TensorFlow's last bits depend on where in memory a row begins.
    const each = tf.split(tf.add(logits, tf.expandDims(bias, 1)), groups).map((one) => tf.logSoftmax(one));
    const logQ = tf.concat(each);
    const flat = tf.reshape(logQ, [-1]);
    const starts = Int32Array.from({ length: groups * rows }, (_, at) => at * words);
    const at = (word: tf.Tensor) =>
      tf.reshape(tf.gather(flat, tf.add(tf.tensor1d(starts, 'int32'), tf.reshape(word, [-1]))), [groups, rows]);
    const best = tf.argMax(logQ, -1);
    const target = tf.tile(tf.tensor2d(targets, [1, rows], 'int32'), [groups, 1]);
    return tf.stack([at(target), at(best), tf.cast(best, 'float32')], 2) as tf.Tensor3D;
  });
}
