// The distillation loss over hidden states, chunk by chunk: logits of a few hundred rows exist at a time, never those of a
// whole batch, and no one-hot at all. Gradients for hidden states, kernel and bias come out of the same pass.
import * as tf from '@tensorflow/tfjs-core';

/** A row with this label counts for nothing (a pad, masked loss). */
export const SKIP_ROW = -1;
/** A row with this label counts in the soft term only (a pad, the original's loss). */
export const SOFT_ROW = -2;

/** One chunk of rows for K students against one teacher. */
export interface LossChunk {
  /** Logits without their bias, [K, n, V] */
  student: tf.Tensor3D;
  /** [K, V], or [1, V] for all */
  studentBias: tf.Tensor;
  /** Logits without their bias, [n, V] */
  teacher: tf.Tensor2D;
  /** [V] or [1, V] */
  teacherBias: tf.Tensor;
  /** [n] ids, SKIP_ROW or SOFT_ROW */
  labels: Int32Array;
  /** [K] */
  temperature: tf.Tensor1D;
  /** [K] weight of each row's T^2 KL */
  softWeight: tf.Tensor1D;
  /** [K] weight of each row's cross-entropy */
  hardWeight: tf.Tensor1D;
}

/**
 * d loss / d student logits [K, n, V]; per student the sums of T^2 KL and of cross-entropy [K, 2], nats, unweighted; the gradient
 * summed over the rows [K, V], which is the bias's.
 */
export type LossKernel = (chunk: LossChunk) => { gradient: tf.Tensor3D; sums: tf.Tensor2D; biasGradient: tf.Tensor2D };

/**
 * The loss of one chunk in plain tfjs operations, for every backend; the engine's own op computes the same.
 * gradient = soft T (softmax(s/T) - softmax(t/T)) + hard (softmax(s) - onehot(label)).
 */
export const plainLossKernel: LossKernel = ({ labels, temperature, softWeight, hardWeight, ...logits }) =>
  tf.tidy(() => {
    const student = tf.add(logits.student, tf.expandDims(logits.studentBias, 1)) as tf.Tensor3D;
    const [groups, rows, size] = student.shape;
    const teacher = tf.add(logits.teacher, tf.reshape(logits.teacherBias, [1, size]));
    const column = (x: tf.Tensor) => tf.reshape(x, [groups, 1, 1]);
    const T = column(temperature);
    const softRows = tf.tensor(
      Float32Array.from(labels, (label) => (label === SKIP_ROW ? 0 : 1)),
      [1, rows, 1],
    );
    const hardRows = tf.tensor(
      Float32Array.from(labels, (label) => (label >= 0 ? 1 : 0)),
      [1, rows, 1],
    );
    const logP = tf.logSoftmax(tf.div(tf.expandDims(teacher, 0), T));
    const logQ = tf.logSoftmax(tf.div(student, T));
    const p = tf.exp(logP);
    const logSoft = tf.logSoftmax(student);
    const kl = tf.mul(tf.sum(tf.mul(p, tf.sub(logP, logQ)), -1, true), softRows);
    const oneHot = tf.oneHot(
      tf.tensor1d(
        labels.map((label) => Math.max(label, 0)),
        'int32',
      ),
      size,
    );
    const crossEntropy = tf.mul(tf.neg(tf.sum(tf.mul(logSoft, oneHot), -1, true)), hardRows);
    const soft = tf.mul(tf.mul(tf.mul(column(softWeight), T), softRows), tf.sub(tf.exp(logQ), p));
    const hard = tf.mul(tf.mul(column(hardWeight), hardRows), tf.sub(tf.exp(logSoft), oneHot));
    const sums = tf.concat(
      [tf.mul(tf.sum(kl, [1, 2]), tf.square(temperature)), tf.sum(crossEntropy, [1, 2])].map((x) =>
        tf.reshape(x, [groups, 1]),
      ),
      1,
    );
    const gradient = tf.add(soft, hard) as tf.Tensor3D;
    return { gradient, sums: sums as tf.Tensor2D, biasGradient: tf.sum(gradient, 1) };
  });

/** What the teacher says: its hidden states and output layer. Logits are made chunk by chunk and thrown away. */
export interface TeacherOutput {
  /** [1, N, d] */
  hidden: tf.Tensor3D;
  /** [1, d, V] */
  kernel: tf.Tensor3D;
  /** [1, V] */
  bias: tf.Tensor;
}

export interface LossOptions {
  kernel: LossKernel;
  /** target ids of the N rows; pads carry SKIP_ROW or SOFT_ROW */
  labels: Int32Array;
  /** the K students' temperatures and weights alpha */
  temperature: readonly number[];
  distillWeight: readonly number[];
  /** What each sum is divided by: real tokens (masked) or all positions (the original). */
  denominator: number;
  /** Rows at a time; bounds the memory at K * chunk * V floats a few times over. */
  chunkRows: number;
}

/** Per student: total = (1 - alpha) CE + alpha T^2 KL, and its two parts, each divided by the denominator. */
export interface LossValues {
  total: number[];
  crossEntropy: number[];
  distillation: number[];
}

/** Gradients of the summed totals; kernel and bias only where the output layer is trained. The caller disposes them. */
export interface LossGradients {
  /** [K, N, d] */
  hidden: tf.Tensor3D;
  output?: { kernel: tf.Tensor3D; bias: tf.Tensor2D };
}

/** Which gradients are wanted: none (measuring), those of the hidden states (the output layer is frozen), or all. */
export type WantedGradients = 'none' | 'hidden' | 'all';

/**
 * Rows a chunk may hold, so that one [K, rows, V] tensor has at most 60 million elements (240 MB). Measured at K = 5, V = 22,234,
 * tokens a second with 6, 15, 30, 60, 120 million: 2,690, 3,510, 3,640, 3,970, 4,040; each chunk adds to a [K, d, V] gradient.
 */
export function chunkRowsFor(students: number, vocabularySize: number): number {
  return Math.max(32, Math.min(1024, Math.floor(60e6 / (students * vocabularySize) / 32) * 32));
}

/**
 * total_k = (1 - alpha_k) CE_k + alpha_k T_k^2 KL_k for K students with hidden [K, N, d], output kernel [K or 1, d, V] and bias
 * [K or 1, V] (1: an output layer that all share), as sums per student, and the gradients asked for. Without a teacher there
 * is no soft term (alpha must be 0).
 */
export function distillationLoss(
  student: { hidden: tf.Tensor3D; kernel: tf.Tensor3D; bias: tf.Tensor },
  teacher: TeacherOutput | null,
  options: LossOptions,
  wanted: WantedGradients,
): { sums: tf.Tensor2D; gradients?: LossGradients } {
  const [groups, rows, dModel] = student.hidden.shape;
  const alpha = options.distillWeight;
  return tf.tidy(() => {
    const temperature = tf.tensor1d([...options.temperature]);
    const softWeight = tf.tensor1d(alpha.map((a) => (teacher ? a / options.denominator : 0)));
    const hardWeight = tf.tensor1d(alpha.map((a) => (1 - a) / options.denominator));
    const hiddenParts: tf.Tensor3D[] = [];
    // [sums] or [sums, dKernel, dBias]
    let running: tf.Tensor[] = [tf.zeros([groups, 2])];
    for (let from = 0; from < rows; from += options.chunkRows) {
      const n = Math.min(options.chunkRows, rows - from);
      const labels = options.labels.subarray(from, from + n);
      const parts = tf.tidy(() => {
        const hidden = tf.slice(student.hidden, [0, from, 0], [groups, n, dModel]);
        const logits = throughKernel(hidden, student.kernel);
        const loss = options.kernel({
          student: logits,
          studentBias: student.bias,
          ...(teacher ? facing(teacher, from, n) : facingItself(logits, student.bias)),
          labels,
          temperature,
          softWeight,
          hardWeight,
        });
        const added = [loss.sums as tf.Tensor];
        if (wanted === 'all') added.push(tf.matMul(hidden, loss.gradient, true, false), loss.biasGradient);
        const totals = added.map((x, i) => (running[i] ? tf.add(running[i] as tf.Tensor, x) : x));
        return wanted === 'none' ? totals : [...totals, throughOutput(loss.gradient, student.kernel)];
      });
      tf.dispose(running);
      if (wanted !== 'none') hiddenParts.push(parts.pop() as tf.Tensor3D);
      running = parts;
    }
    const sums = running[0] as tf.Tensor2D;
    if (wanted === 'none') return { sums };
    const hidden = hiddenParts.length === 1 ? (hiddenParts[0] as tf.Tensor3D) : tf.concat(hiddenParts, 1);
    const output = { kernel: running[1] as tf.Tensor3D, bias: running[2] as tf.Tensor2D };
    return { sums, gradients: wanted === 'all' ? { hidden, output } : { hidden } };
  });
}

/** hidden [K, n, d] times kernel [K or 1, d, V]. */
export function throughKernel(hidden: tf.Tensor3D, kernel: tf.Tensor3D): tf.Tensor3D {
  const [groups, n, dModel] = hidden.shape;
  if (kernel.shape[0] === groups) return tf.matMul(hidden, kernel);
  const flat = tf.matMul(tf.reshape(hidden, [1, groups * n, dModel]) as tf.Tensor3D, kernel);
  return tf.reshape(flat, [groups, n, kernel.shape[2]]);
}

/** d hidden [K, n, d] from d logits [K, n, V]. */
function throughOutput(gradient: tf.Tensor3D, kernel: tf.Tensor3D): tf.Tensor3D {
  const [groups, n, size] = gradient.shape;
  if (kernel.shape[0] === groups) return tf.matMul(gradient, kernel, false, true);
  const flat = tf.reshape(gradient, [1, groups * n, size]) as tf.Tensor3D;
  return tf.reshape(tf.matMul(flat, kernel, false, true), [groups, n, kernel.shape[1]]);
}

type Facing = Pick<LossChunk, 'teacher' | 'teacherBias'>;

function facing(teacher: TeacherOutput, from: number, n: number): Facing {
  const hidden = tf.slice(teacher.hidden, [0, from, 0], [1, n, teacher.hidden.shape[2]]);
  return { teacher: tf.squeeze(throughKernel(hidden, teacher.kernel), [0]), teacherBias: teacher.bias };
}

/** Without a teacher the soft weight is 0, and what stands in its place only has to be a number. */
function facingItself(logits: tf.Tensor3D, bias: tf.Tensor): Facing {
  const [, n, size] = logits.shape;
  return {
    teacher: tf.reshape(tf.slice(logits, [0, 0, 0], [1, n, size]), [n, size]),
    teacherBias: tf.slice(bias, [0, 0], [1, size]),
  };
}

/** The sums of all rows as losses per student. */
export function lossValues(
  sums: Float32Array,
  options: Pick<LossOptions, 'denominator' | 'distillWeight'>,
): LossValues {
  const students = options.distillWeight.length;
  const at = (k: number, i: number) => (sums[2 * k + i] as number) / options.denominator;
  const distillation = Array.from({ length: students }, (_, k) => at(k, 0));
  const crossEntropy = Array.from({ length: students }, (_, k) => at(k, 1));
  const total = options.distillWeight.map((a, k) => {
    const ce = crossEntropy[k] as number;
    return a === 0 ? ce : (1 - a) * ce + a * (distillation[k] as number);
  });
  return { total, crossEntropy, distillation };
}
