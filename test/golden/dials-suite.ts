// The loss with its dials against PyTorch's numbers (dials.py made them): distances, label smoothing, weights by themselves. Run once a
// backend, through the chunks that training takes.
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { attentionTerm, composedLossKernel, type Divergence, distillationLoss, featureTerm, type LossOptions, lossValues, plainLossKernel, SKIP_ROW } from '#distillation';
import { golden } from './tiny-models.js';

interface Case {
  divergence: Divergence;
  temperature: number;
  labelSmoothing: number;
  distillWeight: number;
  hardWeight: number;
  kd: number;
  ce: number;
  hard: number;
  total: number;
  gradient: number[][];
}

interface Features {
  student: number[][];
  teacher: number[][];
  keep: number[];
  weight: number;
  projection: number[][] | null;
  mse: number;
  gradient: number[][];
  projectionGradient: number[][] | null;
}

interface Attention {
  student: number[][][][];
  teacher: number[][][][];
  keep: number[];
  weight: number;
  kl: number;
  gradient: number[][][][];
}

const { logits, cases, features, attention } = golden<{
  logits: { teacher: number[][]; student: number[][]; targets: number[] };
  cases: Case[];
  features: Features[];
  attention: Attention;
}>('dials.json');
const words = logits.student[0]?.length as number;
const rows = logits.targets.length;

/** The students' losses and the gradients of their logits, [K, rows, words]; the output layer is the unit matrix. */
function lossOf(students: Case[], chunkRows: number) {
  const options: LossOptions = {
    kernel: () => {
      throw new Error('the fused operation knows no dials');
    },
    labels: Int32Array.from(logits.targets, (id) => (id === 0 ? SKIP_ROW : id)),
    temperature: students.map((one) => one.temperature),
    distillWeight: students.map((one) => one.distillWeight),
    dials: {
      divergence: students.map((one) => one.divergence),
      labelSmoothing: students.map((one) => one.labelSmoothing),
      hardWeight: students.map((one) => one.hardWeight),
    },
    denominator: logits.targets.filter((id) => id !== 0).length,
    chunkRows,
  };
  // A student that asks for nothing new would take the usual kernel by itself.
  if (students.every((one) => one.divergence === 'kl' && one.labelSmoothing === 0)) options.kernel = plainLossKernel;
  tf.engine().startScope();
  try {
    const unit = tf.reshape(tf.eye(words), [1, words, words]) as tf.Tensor3D;
    const K = students.length;
    const student = tf.tile(tf.tensor3d([logits.student]), [K, 1, 1]) as tf.Tensor3D;
    const kernel = tf.tile(unit, [K, 1, 1]) as tf.Tensor3D;
    const { sums, gradients } = distillationLoss(
      { hidden: student, kernel, bias: tf.zeros([K, words]) },
      { hidden: tf.tensor3d([logits.teacher]), kernel: unit, bias: tf.zeros([1, words]) },
      options,
      'hidden',
    );
    const values = lossValues(sums.dataSync() as Float32Array, options);
    return { values, gradient: gradients?.hidden.dataSync() as Float32Array };
  } finally {
    tf.engine().endScope();
  }
}

const close = (actual: number, wanted: number, absolute = 1e-6) =>
  expect(Math.abs(actual - wanted)).toBeLessThanOrEqual(1e-5 * Math.abs(wanted) + absolute);

/** The suite of one backend. */
export function describeDials(start: () => Promise<unknown>): void {
  describe('the dials of the loss', () => {
    it.each(
      cases.map((one) => [one.divergence, one.temperature, one.labelSmoothing, one.distillWeight, one.hardWeight, one] as const),
    )('%s at T %d, smoothing %d, weights %d and %d, equals PyTorch', async (...[, , , , , one]) => {
      await start();
      for (const chunkRows of [rows, 2]) {
        const before = tf.memory().numTensors;
        const { values, gradient } = lossOf([one], chunkRows);
        expect(tf.memory().numTensors).toBe(before);
        close(values.crossEntropy[0] as number, one.ce);
        close(values.distillation[0] as number, one.kd, 4e-6);
        close(values.total[0] as number, one.total, 4e-6);
        one.gradient.flat().forEach((wanted, i) => {
          close(gradient[i] as number, wanted);
        });
      }
    });

    it('turned differently by students of one bundle give each what it gets alone, to the last bit', async () => {
      await start();
      const chosen = cases.filter((one) => one.divergence !== 'kl' || one.labelSmoothing > 0);
      const together = lossOf(chosen, 4);
      chosen.forEach((one, k) => {
        const alone = lossOf([one], 4);
        expect(together.values.total[k]).toBe(alone.values.total[0]);
        expect(together.gradient.subarray(k * rows * words, (k + 1) * rows * words)).toEqual(alone.gradient);
      });
    });

    it.each(features.map((one) => [one.student[0]?.length, one] as const))(
      'the distance of features of width %d to those of width 3, and its gradients, equal PyTorch',
      async (_, one) => {
        await start();
        const before = tf.memory().numTensors;
        const student = tf.tensor3d([one.student, one.student]);
        const name = 'feature.decOut.weight';
        const trained = new Map(one.projection ? [[name, tf.tensor3d([one.projection, one.projection])]] : []);
        const inputs = [student, ...trained.values()];
        const rows = { keep: Float32Array.from(one.keep), denominator: one.keep.filter((keep) => keep === 1).length };
        let distances: number[] = [];
        const { value, grads } = tf.tidy(() => {
          const states = { student, teacher: tf.tensor3d([one.teacher]) };
          return tf.engine().gradients(
            () => featureTerm('decOut', trained, states, rows, [one.weight, 0], (found) => {
              distances = [...found.dataSync()];
            }),
            inputs,
          );
        });
        for (const distance of distances) close(distance, one.mse);
        const wanted = [one.gradient, one.projectionGradient ?? []].map((rowsOf) => rowsOf.flat());
        for (const [i, gradient] of grads.entries()) {
          const found = gradient.dataSync();
          const half = found.length / 2;
          expect(half).toBe(wanted[i]?.length);
          found.forEach((x, at) => {
            // The second student has weight 0.
            close(x, at < half ? (wanted[i]?.[at] as number) : 0);
          });
        }
        tf.dispose([value, ...grads, ...inputs]);
        expect(tf.memory().numTensors).toBe(before);
      },
    );

    it('the distance of attention distributions, pads hidden and left out, and its gradient equal PyTorch', async () => {
      await start();
      const before = tf.memory().numTensors;
      const student = tf.tensor4d([...attention.student, ...attention.student]);
      const teacher = tf.tensor4d(attention.teacher);
      const denominator = attention.keep.filter((keep) => keep === 1).length;
      const rows = { keep: Float32Array.from(attention.keep), denominator };
      let distances: number[] = [];
      const { value, grads } = tf.tidy(() =>
        tf.engine().gradients(
          () =>
            attentionTerm({ student, teacher }, rows, [attention.weight, 0], (found) => {
              distances = [...found.dataSync()];
            }),
          [student],
        ),
      );
      expect(distances).toHaveLength(2);
      for (const distance of distances) close(distance, attention.kl);
      const wanted = (attention.gradient as unknown as number[][]).flat(3) as unknown as number[];
      grads[0]?.dataSync().forEach((x, at) => close(x, wanted[at] ?? 0));
      tf.dispose([value, ...grads, student, teacher]);
      expect(tf.memory().numTensors).toBe(before);
    });

    it('composed, kl without smoothing is the usual loss', async () => {
      await start();
      const chunk = () => ({
        student: tf.tensor2d(logits.student),
        studentBias: tf.linspace(-1, 1, words),
        teacher: tf.tensor2d(logits.teacher),
        teacherBias: tf.linspace(0, 2, words),
        labels: Int32Array.of(3, 6, -2, 2, -1, -1),
        temperature: 3,
        softWeight: 0.7 / 4,
        hardWeight: 0.3 / 4,
      });
      const usual = plainLossKernel(chunk());
      const composed = composedLossKernel({ ...chunk(), divergence: 'kl', labelSmoothing: 0 });
      const [usualSums, composedSums] = [usual.sums.dataSync(), composed.sums.dataSync()];
      close(composedSums[0] as number, usualSums[0] as number);
      close(composedSums[1] as number, usualSums[1] as number);
      expect(composedSums[2]).toBe(composedSums[1]);
      for (const part of ['gradient', 'biasGradient'] as const) {
        const wanted = usual[part].dataSync();
        composed[part].dataSync().forEach((x, i) => {
          close(x, wanted[i] as number);
        });
      }
    });

    it('at a high temperature kl and its reverse tend to half of mse, jsd to a quarter of kl', async () => {
      await start();
      const centred = (row: number[]) => row.map((x) => x / 4 - row.reduce((sum, y) => sum + y / 4, 0) / row.length);
      const distanceOf = (divergence: Divergence) =>
        tf.tidy(() => {
          const chunk = { labels: Int32Array.of(3, 6), temperature: 30, softWeight: 1, hardWeight: 0, labelSmoothing: 0, divergence };
          const [student, teacher] = [logits.student, logits.teacher].map((all) => tf.tensor2d([all[0], all[5]].map((row) => centred(row as number[]))));
          const bias = tf.zeros([words]);
          const { sums } = composedLossKernel({ ...chunk, student: student as tf.Tensor2D, studentBias: bias, teacher: teacher as tf.Tensor2D, teacherBias: bias });
          return sums.dataSync()[0] as number;
        });
      const mse = distanceOf('mse');
      expect(distanceOf('kl') / mse).toBeCloseTo(1 / 2, 2);
      expect(distanceOf('reverse-kl') / mse).toBeCloseTo(1 / 2, 2);
      expect(distanceOf('jsd') / mse).toBeCloseTo(1 / 8, 2);
    });

    it.each(['kl', 'reverse-kl', 'jsd', 'mse'] as const)('%s holds at most ten tensors of logits at a time', async (divergence) => {
      await start();
      const shape: [number, number] = [64, 2000];
      const one = 4 * shape[0] * shape[1];
      const before = tf.memory().numBytes;
      const { peakBytes } = await tf.profile(() => {
        const kernel = composedLossKernel({
          student: tf.randomNormal(shape, 0, 1, 'float32', 1),
          studentBias: tf.zeros([shape[1]]),
          teacher: tf.randomNormal(shape, 0, 1, 'float32', 2),
          teacherBias: tf.zeros([shape[1]]),
          labels: new Int32Array(shape[0]).fill(5),
          temperature: 2,
          softWeight: 1,
          hardWeight: 1,
          divergence,
          labelSmoothing: 0.1,
        });
        tf.dispose(Object.values(kernel));
        return [];
      });
      expect((peakBytes - before) / one).toBeLessThan(10.1);
    });
  });
}
