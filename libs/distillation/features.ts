// Feature matching: the student's hidden states, or what its attention looks at, are drawn towards the teacher's at one or two places.
// Where hidden states have other widths a linear map goes between; it learns with the student, is part of its training's state and of no model.
import * as tf from '@tensorflow/tfjs-core';
import { type DeepscShape, product, type RandomStream, type Weights } from '#semcom';

/** After the semantic encoder; after the semantic decoder. */
export type FeatureTap = 'encOut' | 'decOut';

/** Hidden states, by their mean squared distance; or the attention of the last layer before the tap to its own input, by KL. */
export type FeatureKind = 'hidden' | 'attention';

export interface FeatureMatching {
  kind?: FeatureKind;
  taps: readonly FeatureTap[];
  /** f of each student. */
  weight: readonly number[];
  /**
   * Source tokens for each target token of the whole batch, where this one is a part of it: with it the parts' terms, weighted by
   * target tokens as all losses are, add up to that of the whole.
   */
  sourcePerTarget?: number;
}

const PREFIX = 'feature.';

/** Whether a trained parameter is a map between widths and not part of the model. */
export function isProjection(name: string): boolean {
  return name.startsWith(PREFIX);
}

function projectionName(tap: FeatureTap): string {
  return `${PREFIX}${tap}.weight`;
}

/**
 * Start values of the maps that are needed, K equal copies, [K, student width, teacher width]: Xavier-uniform, each from its own
 * stream. None where the widths are equal.
 */
export function startProjections(options: {
  taps: readonly FeatureTap[];
  student: DeepscShape;
  teacher: DeepscShape;
  students: number;
  streamFor: (name: string) => RandomStream;
}): Map<string, tf.Tensor> {
  const { taps, students } = options;
  const [from, to] = [options.student.dModel, options.teacher.dModel];
  if (from === to) return new Map();
  const bound = Math.sqrt(6 / (from + to));
  return new Map(
    taps.map((tap) => {
      const name = projectionName(tap);
      const drawn = new Float32Array(from * to);
      options.streamFor(name).fillUniform(drawn);
      const all = new Float32Array(students * drawn.length);
      for (let k = 0; k < students; k++)
        all.set(
          drawn.map((x) => bound * (2 * x - 1)),
          k * drawn.length,
        );
      return [name, tf.tensor(all, [students, from, to])] as const;
    }),
  );
}

/** The rows of a tap that count, and what their sum is divided by. */
export interface FeatureRows {
  /** 1 for each token that is no pad, else 0; one a row. */
  keep: Float32Array;
  denominator: number;
}

/**
 * f sum over kept rows of |h W - t|² / (rows x width of the teacher), for hidden states h [K, N, d] and t [1, N, D] of student and
 * teacher (hint training, Romero et al. 2015, eq. 3; as a mean, TinyBERT, Jiao et al. 2020, eq. 8); W [K, d, D] is the unit matrix
 * where d = D. Gradient at h W: 2 f (h W - t) / (rows D). What it gives is a placeholder on the tape; the distances themselves, [K]
 * and without f, are handed to `record`.
 */
export function featureTerm(
  tap: FeatureTap,
  trained: Weights,
  states: { student: tf.Tensor3D; teacher: tf.Tensor3D },
  { keep, denominator }: FeatureRows,
  weight: readonly number[],
  record: (distances: tf.Tensor1D) => void,
): tf.Scalar {
  const projection = trained.get(projectionName(tap)) as tf.Tensor3D | undefined;
  const ours = projection ? product(states.student, projection, true) : states.student;
  const total = denominator * states.teacher.shape[2];
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [x, save] = inputs as [tf.Tensor3D, tf.GradSaveFunc];
    const rows = tf.tensor3d(keep, [1, keep.length, 1]);
    const difference = tf.mul(tf.sub(x, states.teacher), rows) as tf.Tensor3D;
    // Student by student, so that each has the sum that it would have alone.
    const sums = tf.split(difference, weight.length).map((one) => tf.sum(tf.square(one)));
    record(tf.div(tf.stack(sums), total) as tf.Tensor1D);
    save([difference]);
    return {
      value: tf.scalar(0),
      gradFunc: (_dy: tf.Tensor, saved: tf.Tensor[]) => {
        const factors = tf.tensor3d(
          weight.map((f) => (2 * f) / total),
          [weight.length, 1, 1],
        );
        return tf.mul(saved[0] as tf.Tensor, factors);
      },
    };
  })(ours) as tf.Scalar;
}

/**
 * f sum over kept rows and heads of KL(A_teacher || A_student) / (rows x heads), for the self-attention distributions A of the last layers
 * (attention distillation of MiniLM, Wang et al. 2020, eq. 2 and 3); scores [K*size, heads, tokens, tokens] and the teacher's [size, …], as
 * many heads, whatever the widths. Gradient at the scores: f (A_student - A_teacher) / (rows heads). Value and `record` as in featureTerm.
 */
export function attentionTerm(
  scores: { student: tf.Tensor4D; teacher: tf.Tensor4D },
  { keep, denominator }: FeatureRows,
  weight: readonly number[],
  record: (distances: tf.Tensor1D) => void,
): tf.Scalar {
  const [size, heads, tokens] = scores.teacher.shape;
  const total = denominator * heads;
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [student, save] = inputs as [tf.Tensor4D, tf.GradSaveFunc];
    const rows = tf.tensor4d(keep, [size, 1, tokens, 1]);
    const logTeacher = tf.logSoftmax(scores.teacher);
    const wanted = tf.mul(tf.exp(logTeacher), rows);
    const parts = tf.split(student, weight.length).map((one, k) =>
      tf.tidy(() => {
        const logStudent = tf.logSoftmax(one);
        const sum = tf.sum(tf.mul(wanted, tf.sub(logTeacher, logStudent)));
        const gradient = tf.mul(tf.sub(tf.mul(tf.exp(logStudent), rows), wanted), (weight[k] as number) / total);
        return { sum, gradient };
      }),
    );
    record(tf.div(tf.stack(parts.map(({ sum }) => sum)), total) as tf.Tensor1D);
    save([tf.concat(parts.map(({ gradient }) => gradient))]);
    return { value: tf.scalar(0), gradFunc: (_dy: tf.Tensor, saved: tf.Tensor[]) => tf.clone(saved[0] as tf.Tensor) };
  })(scores.student) as tf.Scalar;
}
