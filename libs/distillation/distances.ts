// Distances between the next-word distributions of two models, row by row: the engine's one-pass operation where the backend has it, and
// its plain twin. The same measures in double precision, for tests and small analyses: libs/semcom/distributions.ts.
import * as tf from '@tensorflow/tfjs-core';

/** What is measured of teacher p and student q, nats where it is an entropy: the last axis of rowDistances. */
export const MEASURES = [
  'kl',
  'reverseKl',
  'jsd',
  'teacherEntropy',
  'studentEntropy',
  'top1Agreement',
  'top5Overlap',
] as const;

/** The registered kernel's name; see libs/engine/native/distances.cc. */
const KERNEL = 'SemdistillDistances';

/** An output layer's logits [G, n, V] to which the bias [G or 1, V] has yet to be added. */
export interface Output {
  logits: tf.Tensor3D;
  bias: tf.Tensor;
}

/** The measures of each row of each student against the one teacher, [G, n, 7]. Ties among the likeliest go to the lower id. */
export function rowDistances(student: Output, teacher: Output): tf.Tensor3D {
  if (!tf.getKernel(KERNEL, tf.getBackend())) return plainDistances(student, teacher);
  const [, n, size] = teacher.logits.shape;
  const inputs = [student.logits, student.bias, tf.reshape(teacher.logits, [n, size]), teacher.bias];
  const [measures] = tf.engine().runKernel(KERNEL, Object.fromEntries(inputs.entries())) as unknown as [tf.Tensor3D];
  return measures;
}

/** The twin in plain operations. */
export function plainDistances(student: Output, teacher: Output): tf.Tensor3D {
  return tf.tidy(() => {
    const [theirs, ours] = [teacher, student].map(({ logits, bias }) => tf.add(logits, tf.expandDims(bias, 1)));
    const [logP, logQ] = [theirs, ours].map((x) => tf.logSoftmax(x as tf.Tensor)) as [tf.Tensor, tf.Tensor];
    const [p, q] = [tf.exp(logP), tf.exp(logQ)];
    const gap = tf.sub(logP, logQ);
    const logM = tf.log(tf.maximum(tf.mul(tf.add(p, q), 0.5), 1e-37));
    const sum = (x: tf.Tensor) => tf.sum(x, -1);
    const jsd = tf.add(sum(tf.mul(p, tf.sub(logP, logM))), sum(tf.mul(q, tf.sub(logQ, logM))));
    const ofTeacher = tf.neg(sum(tf.mul(p, logP)));
    const [top1, top5] = agreement(ours as tf.Tensor3D, theirs as tf.Tensor3D);
    return tf.stack(
      [
        sum(tf.mul(p, gap)),
        tf.neg(sum(tf.mul(q, gap))),
        tf.mul(jsd, 0.5),
        tf.tile(ofTeacher, [student.logits.shape[0], 1]),
        tf.neg(sum(tf.mul(q, logQ))),
        top1,
        top5,
      ],
      2,
    ) as tf.Tensor3D;
  });
}

/** [G, n] each: 1 where the likeliest word is the same; which share of the five likeliest is. */
function agreement(student: tf.Tensor3D, teacher: tf.Tensor3D): [tf.Tensor, tf.Tensor] {
  const count = Math.min(5, teacher.shape[2]);
  const best = (x: tf.Tensor3D) => tf.topk(x, count).indices;
  const [ours, theirs] = [best(student), best(teacher)];
  const equal = tf.cast(tf.equal(tf.expandDims(ours, 3), tf.expandDims(theirs, 2)), 'float32');
  const first = tf.slice(equal, [0, 0, 0, 0], [-1, -1, 1, 1]);
  return [tf.sum(first, [2, 3]), tf.div(tf.sum(equal, [2, 3]), count)];
}
