// The distillation loss over hidden states, chunk by chunk: logits of a few hundred rows exist at a time, never those of a
// whole batch, and no one-hot at all. Gradients for hidden states, kernel and bias come out of the same pass.
import * as tf from '@tensorflow/tfjs-core';
import { composedLossKernel, type Divergence } from './composed-loss.js';

/** A row with this label counts for nothing (a pad, masked loss). */
export const SKIP_ROW = -1;
/** A row with this label counts in the soft term only (a pad, the original's loss). */
export const SOFT_ROW = -2;

/** One chunk of rows of one student against the teacher. */
export interface LossChunk {
  /** Logits without their bias, [n, V]; a kernel may write over them: whoever calls it owns them alone and uses them no more. */
  student: tf.Tensor2D;
  /** [V] */
  studentBias: tf.Tensor;
  /** Logits without their bias, [n, V]; null: nobody teaches, and there is no soft term. */
  teacher: tf.Tensor2D | null;
  /** [V] */
  teacherBias: tf.Tensor | null;
  /** [n] ids, SKIP_ROW or SOFT_ROW */
  labels: Int32Array;
  temperature: number;
  /** weight of each row's T^2 KL */
  softWeight: number;
  /** weight of each row's cross-entropy */
  hardWeight: number;
}

/**
 * d loss / d student logits [n, V]; the sums of T^2 KL and of cross-entropy [2], nats, unweighted; the gradient summed over the
 * rows [V], which is the bias's.
 */
export type LossKernel = (chunk: LossChunk) => {
  gradient: tf.Tensor2D;
  sums: tf.Tensor1D;
  biasGradient: tf.Tensor1D;
};

/**
 * The loss of one chunk in plain tfjs operations, for every backend; the engine's own op computes the same.
 * gradient = soft T (softmax(s/T) - softmax(t/T)) + hard (softmax(s) - onehot(label)).
 */
export const plainLossKernel: LossKernel = ({ labels, temperature, softWeight, hardWeight, ...logits }) =>
  tf.tidy(() => {
    const student = tf.add(logits.student, logits.studentBias) as tf.Tensor2D;
    const size = student.shape[1];
    const column = (of: (label: number) => number) => tf.tensor2d(Float32Array.from(labels, of), [labels.length, 1]);
    const hardRows = column((label) => (label >= 0 ? 1 : 0));
    const ids = tf.tensor1d(
      labels.map((label) => Math.max(label, 0)),
      'int32',
    );
    const oneHot = tf.oneHot(ids, size);
    const logSoft = tf.logSoftmax(student);
    const crossEntropy = tf.mul(tf.neg(tf.sum(tf.mul(logSoft, oneHot), 1, true)), hardRows);
    const hard = tf.mul(tf.mul(hardRows, hardWeight), tf.sub(tf.exp(logSoft), oneHot)) as tf.Tensor2D;
    if (!logits.teacher || !logits.teacherBias)
      return {
        gradient: hard,
        sums: tf.stack([tf.scalar(0), tf.sum(crossEntropy)]) as tf.Tensor1D,
        biasGradient: tf.sum(hard, 0),
      };
    const softRows = column((label) => (label === SKIP_ROW ? 0 : 1));
    const logP = tf.logSoftmax(tf.div(tf.add(logits.teacher, logits.teacherBias), temperature));
    const logQ = tf.logSoftmax(tf.div(student, temperature));
    const p = tf.exp(logP);
    const kl = tf.mul(tf.sum(tf.mul(p, tf.sub(logP, logQ)), 1, true), softRows);
    const soft = tf.mul(tf.mul(softRows, softWeight * temperature), tf.sub(tf.exp(logQ), p));
    const gradient = tf.add(soft, hard) as tf.Tensor2D;
    return {
      gradient,
      sums: tf.stack([tf.mul(tf.sum(kl), temperature ** 2), tf.sum(crossEntropy)]) as tf.Tensor1D,
      biasGradient: tf.sum(gradient, 0),
    };
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

/** What students may ask for besides temperature and weight, one value a student; absent where none does. */
export interface LossDials {
  /** Distance to the teacher; forward KL. */
  divergence?: readonly Divergence[] | undefined;
  /** epsilon of the hard targets; 0. */
  labelSmoothing?: readonly number[] | undefined;
  /** Weight of the hard loss; 1 - alpha. */
  hardWeight?: readonly (number | undefined)[] | undefined;
}

/** Whether a student asks for what only the composed loss knows. Then all that share its bundle take that one. */
export function isComposed({ divergence, labelSmoothing }: LossDials = {}): boolean {
  return Boolean(divergence?.some((one) => one !== 'kl') || labelSmoothing?.some((epsilon) => epsilon > 0));
}

export interface LossOptions {
  kernel: LossKernel;
  /** target ids of the N rows; pads carry SKIP_ROW or SOFT_ROW */
  labels: Int32Array;
  /** the K students' temperatures and weights alpha */
  temperature: readonly number[];
  distillWeight: readonly number[];
  dials?: LossDials;
  /** What each sum is divided by: real tokens (masked) or all positions (the original). */
  denominator: number;
  /** Rows at a time; bounds the memory: logits [rows, V] of the teacher and of one student. */
  chunkRows: number;
}

/** Per student: total = hard weight x hard loss + alpha x distance, and its parts, each divided by the denominator. */
export interface LossValues {
  total: number[];
  /** Of the true ids, whatever the hard loss is. */
  crossEntropy: number[];
  distillation: number[];
  /** Distance of the features, where they are matched: its weight times this is in the total, too. */
  features?: number[];
}

/** Gradients of the summed totals; kernel and bias only where the output layer is trained. The caller disposes them. */
export interface LossGradients {
  /** [K, N, d] */
  hidden: tf.Tensor3D;
  output?: { kernel: tf.Tensor3D; bias: tf.Tensor2D };
}

/** Which gradients are wanted: none (measuring), those of the hidden states (the output layer is frozen), or all. */
export type WantedGradients = 'none' | 'hidden' | 'all';

/** Elements of one [rows, V] tensor: 360 MB with the engine's kernel, which has two at a time; the others have eight and ten. */
const MOST_LOGITS = { fused: 90e6, plain: 20e6, composed: 20e6 };

/**
 * Rows a chunk may hold. At V = 22,234 it is 4,032, which is a batch of 128 sentences whole: few large chunks beat many small
 * ones, for each adds to a [d, V] gradient.
 */
export function chunkRowsFor(vocabularySize: number, kernel: keyof typeof MOST_LOGITS): number {
  return Math.max(32, Math.floor(MOST_LOGITS[kernel] / vocabularySize / 32) * 32);
}

/**
 * total_k = (1 - alpha_k) CE_k + alpha_k T_k^2 KL_k for K students with hidden [K, N, d], output kernel [K or 1, d, V] and bias
 * [K or 1, V] (1: an output layer that all share), as sums per student, and the gradients asked for. Without a teacher there
 * is no soft term (alpha must be 0). `options.dials` may weigh the hard term by itself, or put other distances and targets in.
 *
 * One student after another over a whole chunk: the teacher's logits are made once for all of them, each student's lie in memory
 * alone, and the gradient of its output layer is one long product.
 */
export function distillationLoss(
  student: { hidden: tf.Tensor3D; kernel: tf.Tensor3D; bias: tf.Tensor },
  teacher: TeacherOutput | null,
  options: LossOptions,
  wanted: WantedGradients,
): { sums: tf.Tensor2D; gradients?: LossGradients } {
  return tf.tidy(() => {
    const students = studentsApart(student, options, teacher !== null);
    const lossKernel = isComposed(options.dials) ? composedLossKernel : options.kernel;
    for (const [from, n] of evenChunks(student.hidden.shape[1], options.chunkRows)) {
      const labels = options.labels.subarray(from, from + n);
      const taught = teacher ? teacherLogits(teacher, from, n) : { teacher: null, teacherBias: null };
      for (const one of students) addChunk(one, { from, n, labels, ...taught }, lossKernel, wanted);
      tf.dispose(taught.teacher ?? []);
    }
    const stacked = (part: keyof Totals) => tf.stack(students.map(({ totals }) => totals[part] as tf.Tensor));
    const sums = stacked('sums') as tf.Tensor2D;
    if (wanted === 'none') return { sums };
    const hidden = tf.stack(
      students.map(({ hiddenParts }) =>
        hiddenParts.length === 1 ? (hiddenParts[0] as tf.Tensor) : tf.concat(hiddenParts),
      ),
    ) as tf.Tensor3D;
    if (wanted === 'hidden') return { sums, gradients: { hidden } };
    const output = { kernel: stacked('kernel') as tf.Tensor3D, bias: stacked('bias') as tf.Tensor2D };
    return { sums, gradients: { hidden, output } };
  });
}

/** What the chunks of one student add up to. */
type Totals = { sums?: tf.Tensor; kernel?: tf.Tensor; bias?: tf.Tensor };

interface StudentApart extends Pick<LossChunk, 'studentBias' | 'temperature' | 'softWeight' | 'hardWeight'> {
  divergence: Divergence;
  labelSmoothing: number;
  /** [N, d] */
  hidden: tf.Tensor2D;
  /** [d, V] */
  kernel: tf.Tensor2D;
  totals: Totals;
  /** Gradients of the hidden states, chunk by chunk. */
  hiddenParts: tf.Tensor2D[];
}

function studentsApart(
  student: { hidden: tf.Tensor3D; kernel: tf.Tensor3D; bias: tf.Tensor },
  { temperature, distillWeight, denominator, dials }: LossOptions,
  isTaught: boolean,
): StudentApart[] {
  const kernels = tf.unstack(student.kernel) as tf.Tensor2D[];
  const biases = tf.unstack(tf.reshape(student.bias, [kernels.length, -1])) as tf.Tensor1D[];
  return (tf.unstack(student.hidden) as tf.Tensor2D[]).map((hidden, k) => {
    const alpha = distillWeight[k] as number;
    return {
      hidden,
      kernel: kernels[k % kernels.length] as tf.Tensor2D,
      studentBias: biases[k % biases.length] as tf.Tensor1D,
      temperature: temperature[k] as number,
      softWeight: isTaught ? alpha / denominator : 0,
      hardWeight: (dials?.hardWeight?.[k] ?? 1 - alpha) / denominator,
      divergence: dials?.divergence?.[k] ?? 'kl',
      labelSmoothing: dials?.labelSmoothing?.[k] ?? 0,
      totals: {},
      hiddenParts: [],
    };
  });
}

type Rows = Pick<LossChunk, 'labels' | 'teacher' | 'teacherBias'> & { from: number; n: number };

/** Losses and gradients of one student's rows, added to what it has. */
function addChunk(
  one: StudentApart,
  { from, n, ...rows }: Rows,
  lossKernel: LossKernel | typeof composedLossKernel,
  wanted: WantedGradients,
): void {
  const { hidden, kernel, totals, hiddenParts, ...settings } = one;
  const found = tf.tidy(() => {
    const part = tf.slice(hidden, [from, 0], [n, -1]) as tf.Tensor2D;
    const loss = lossKernel({ student: tf.matMul(part, kernel) as tf.Tensor2D, ...rows, ...settings });
    const added: Totals = { sums: loss.sums };
    if (wanted === 'all') {
      // An upright copy of the few hidden states makes the long product a tenth faster.
      added.kernel = tf.matMul(tf.transpose(part), loss.gradient);
      added.bias = loss.biasGradient;
    }
    const hiddenPart = wanted === 'none' ? [] : [tf.matMul(loss.gradient, kernel, false, true) as tf.Tensor2D];
    return { totals: sumOf(totals, added), hiddenPart };
  });
  tf.dispose({ ...totals });
  one.totals = found.totals;
  hiddenParts.push(...found.hiddenPart);
}

function sumOf(before: Totals, added: Totals): Totals {
  const parts = Object.entries(added) as [keyof Totals, tf.Tensor][];
  return Object.fromEntries(parts.map(([part, x]) => [part, before[part] ? tf.add(before[part], x) : x]));
}

/** [from, count] of chunks of at most `most` rows, as even as multiples of 32 allow: products of uneven rows are a fifth slower. */
function evenChunks(rows: number, most: number): [number, number][] {
  const each = Math.min(most, Math.ceil(rows / Math.ceil(rows / most) / 32) * 32);
  return Array.from({ length: Math.ceil(rows / each) }, (_, i) => [i * each, Math.min(each, rows - i * each)]);
}

/** hidden [K, n, d] times kernel [K or 1, d, V]. */
export function throughKernel(hidden: tf.Tensor3D, kernel: tf.Tensor3D): tf.Tensor3D {
  const [groups, n, dModel] = hidden.shape;
  if (kernel.shape[0] === groups) return tf.matMul(hidden, kernel);
  const flat = tf.matMul(tf.reshape(hidden, [1, groups * n, dModel]) as tf.Tensor3D, kernel);
  return tf.reshape(flat, [groups, n, kernel.shape[2]]);
}

function teacherLogits(teacher: TeacherOutput, from: number, n: number) {
  const [, , dModel] = teacher.hidden.shape;
  const size = teacher.kernel.shape[2];
  return tf.tidy(() => {
    const hidden = tf.reshape(tf.slice(teacher.hidden, [0, from, 0], [1, n, -1]), [n, dModel]);
    const kernel = tf.reshape(teacher.kernel, [dModel, size]);
    return { teacher: tf.matMul(hidden, kernel) as tf.Tensor2D, teacherBias: tf.reshape(teacher.bias, [size]) };
  });
}

/** The sums of all rows as losses per student; [K, 2], or [K, 3] where the hard loss is not the cross-entropy. */
export function lossValues(
  sums: Float32Array,
  options: Pick<LossOptions, 'denominator' | 'distillWeight' | 'dials'>,
): LossValues {
  const students = options.distillWeight.length;
  const width = sums.length / students;
  const at = (k: number, i: number) => (sums[width * k + i] as number) / options.denominator;
  const distillation = Array.from({ length: students }, (_, k) => at(k, 0));
  const crossEntropy = Array.from({ length: students }, (_, k) => at(k, 1));
  const total = options.distillWeight.map((a, k) => {
    const hard = (options.dials?.hardWeight?.[k] ?? 1 - a) * at(k, width - 1);
    return a === 0 ? hard : hard + a * (distillation[k] as number);
  });
  return { total, crossEntropy, distillation };
}
