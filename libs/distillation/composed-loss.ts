// The loss of one chunk for the dials that the engine's own operation does not know: label smoothing, and other distances to the
// teacher than forward KL. In plain tfjs operations on every backend; a student takes it only where it asks for one of them.
import * as tf from '@tensorflow/tfjs-core';
import { type LossChunk, SKIP_ROW } from './loss.js';

/** How far a student's row is from the teacher's; see `DISTANCES`. */
export type Divergence = 'kl' | 'reverse-kl' | 'jsd' | 'mse';

/** A chunk of a student that turns one of the dials. */
export interface ComposedChunk extends LossChunk {
  divergence: Divergence;
  /** epsilon of the hard targets, 0 to below 1 */
  labelSmoothing: number;
}

/** Distances of rows, summed [], and what they change by with the student's logits [n, V]. */
type Part = { sum: tf.Scalar; gradient: tf.Tensor2D };

/**
 * Sums are [3]: distance to the teacher, cross-entropy, and the hard loss that is learned from, which with label smoothing is another.
 * gradient = soft d distance / d s + hard (softmax(s) - (1 - epsilon) onehot(label) - epsilon / V).
 */
export function composedLossKernel(chunk: ComposedChunk): {
  gradient: tf.Tensor2D;
  sums: tf.Tensor1D;
  biasGradient: tf.Tensor1D;
} {
  return tf.tidy(() => {
    const { labels, temperature, softWeight, hardWeight } = chunk;
    const student = tf.add(chunk.student, chunk.studentBias) as tf.Tensor2D;
    chunk.student.dispose();
    const hard = hardPart(student, labels, chunk.labelSmoothing);
    const hardGradient = tf.mul(hard.gradient, hardWeight) as tf.Tensor2D;
    hard.gradient.dispose();
    const { teacher, teacherBias } = chunk;
    if (!teacher || !teacherBias) return results(hardGradient, [tf.scalar(0), hard.crossEntropy, hard.sum]);
    const softRows = column(labels, (label) => (label === SKIP_ROW ? 0 : 1));
    const soft = tf.tidy(() => {
      const distance = DISTANCES[chunk.divergence];
      return distance(student, tf.add(teacher, teacherBias) as tf.Tensor2D, temperature, softRows);
    });
    const gradient = tf.tidy(() => tf.add(tf.mul(soft.gradient, softWeight), hardGradient)) as tf.Tensor2D;
    tf.dispose([soft.gradient, hardGradient]);
    return results(gradient, [soft.sum, hard.crossEntropy, hard.sum]);
  });
}

function results(gradient: tf.Tensor2D, sums: tf.Scalar[]) {
  return { gradient, sums: tf.stack(sums) as tf.Tensor1D, biasGradient: tf.sum(gradient, 0) as tf.Tensor1D };
}

function column(labels: Int32Array, of: (label: number) => number): tf.Tensor2D {
  return tf.tensor2d(Float32Array.from(labels, of), [labels.length, 1]);
}

/**
 * Cross-entropy with smoothed targets, (1 - epsilon) onehot + epsilon / V (Szegedy et al. 2016, eq. 10; PyTorch's
 * cross_entropy(label_smoothing=epsilon)): (1 - epsilon) CE - epsilon / V sum_v log q_v.
 */
function hardPart(student: tf.Tensor2D, labels: Int32Array, epsilon: number): Part & { crossEntropy: tf.Scalar } {
  return tf.tidy(() => {
    const size = student.shape[1];
    const rows = column(labels, (label) => (label >= 0 ? 1 : 0));
    const ids = tf.tensor1d(
      labels.map((label) => Math.max(label, 0)),
      'int32',
    );
    const oneHot = tf.oneHot(ids, size) as tf.Tensor2D;
    const logQ = tf.logSoftmax(student);
    const ofLabel = tf.tidy(() => tf.sum(tf.mul(logQ, oneHot), 1, true));
    const crossEntropy = tf.neg(tf.sum(tf.mul(ofLabel, rows))) as tf.Scalar;
    const ofAll = tf.neg(tf.sum(tf.mul(tf.mean(logQ, 1, true), rows))) as tf.Scalar;
    const sum = tf.add(tf.mul(crossEntropy, 1 - epsilon), tf.mul(ofAll, epsilon)) as tf.Scalar;
    const gradient = tf.tidy(() => {
      const target = tf.tidy(() => tf.add(tf.mul(oneHot, 1 - epsilon), epsilon / size));
      return tf.mul(tf.sub(tf.exp(logQ), target), rows) as tf.Tensor2D;
    });
    return { sum, crossEntropy, gradient };
  });
}

type Distance = (student: tf.Tensor2D, teacher: tf.Tensor2D, temperature: number, rows: tf.Tensor2D) => Part;

/**
 * p = softmax(t / T), q = softmax(s / T). What is softened carries T², so that its gradient does not shrink with T (Hinton et al. 2015):
 * - kl: T² sum p (ln p - ln q); gradient T (q - p).
 * - reverse-kl: T² R, R = sum q (ln q - ln p) (MiniLLM, Gu et al. 2024); gradient T q (ln q - ln p - R).
 * - jsd: T² (KL(p‖m) + KL(q‖m)) / 2, m = (p + q) / 2 (Lin 1991; GKD at beta 1/2, Agarwal et al. 2024); gradient
 *   T q (ln q - ln m - KL(q‖m)) / 2.
 * - mse: sum (s - t)² / V on the logits themselves, without T (Kim et al. 2021); gradient 2 (s - t) / V.
 */
const DISTANCES: Record<Divergence, Distance> = {
  kl: (student, teacher, temperature, rows) => {
    const { logP, logQ } = softened(student, teacher, temperature);
    const p = tf.exp(logP);
    const kl = tf.tidy(() => tf.sum(tf.mul(p, tf.sub(logP, logQ)), 1, true));
    const gradient = tf.tidy(() => tf.mul(tf.sub(tf.exp(logQ), p), tf.mul(rows, temperature)));
    return { sum: summed(kl, rows, temperature ** 2), gradient: gradient as tf.Tensor2D };
  },
  'reverse-kl': (student, teacher, temperature, rows) => {
    const { logP, logQ } = softened(student, teacher, temperature);
    return towards(logQ, tf.sub(logQ, logP), rows, temperature, 1);
  },
  jsd: (student, teacher, temperature, rows) => {
    const { logP, logQ } = softened(student, teacher, temperature);
    // ln m from the logarithms: p and q of rare words are 0 in float32, their logarithms are not.
    const logM = tf.tidy(() => {
      const nearness = tf.tidy(() => tf.neg(tf.abs(tf.sub(logP, logQ))));
      const excess = tf.tidy(() => tf.softplus(nearness));
      nearness.dispose();
      const larger = tf.tidy(() => tf.sub(tf.maximum(logP, logQ), Math.LN2));
      return tf.add(larger, excess);
    });
    const ofTeacher = tf.tidy(() => tf.sum(tf.mul(tf.exp(logP), tf.sub(logP, logM)), 1, true));
    logP.dispose();
    const ratio = tf.sub(logQ, logM);
    logM.dispose();
    const ofStudent = towards(logQ, ratio, rows, temperature, 0.5);
    return {
      sum: tf.add(ofStudent.sum, summed(ofTeacher, rows, 0.5 * temperature ** 2)) as tf.Scalar,
      gradient: ofStudent.gradient,
    };
  },
  mse: (student, teacher, _temperature, rows) => {
    const difference = tf.mul(tf.sub(student, teacher), rows) as tf.Tensor2D;
    const size = student.shape[1];
    return {
      sum: tf.tidy(() => tf.div(tf.sum(tf.sum(tf.square(difference), 1)), size)) as tf.Scalar,
      gradient: tf.mul(difference, 2 / size) as tf.Tensor2D,
    };
  },
};

/** share T² sum q ratio with ratio = ln q - ln of what q goes towards; gradient share T q (ratio - sum q ratio). */
function towards(logQ: tf.Tensor, ratio: tf.Tensor, rows: tf.Tensor2D, temperature: number, share: number): Part {
  const q = tf.exp(logQ);
  const distance = tf.tidy(() => tf.sum(tf.mul(q, ratio), 1, true));
  const gradient = tf.tidy(() => tf.mul(tf.mul(q, tf.mul(rows, share * temperature)), tf.sub(ratio, distance)));
  return { sum: summed(distance, rows, share * temperature ** 2), gradient: gradient as tf.Tensor2D };
}

function softened(student: tf.Tensor2D, teacher: tf.Tensor2D, temperature: number) {
  const logP = tf.tidy(() => tf.logSoftmax(tf.div(teacher, temperature))) as tf.Tensor2D;
  teacher.dispose();
  return { logP, logQ: tf.tidy(() => tf.logSoftmax(tf.div(student, temperature))) as tf.Tensor2D };
}

function summed(perRow: tf.Tensor, rows: tf.Tensor2D, factor: number): tf.Scalar {
  return tf.tidy(() => tf.mul(tf.sum(tf.mul(perRow, rows)), factor)) as tf.Scalar;
}
