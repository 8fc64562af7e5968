// No work on padding: a batch padded further gives the same losses and the same gradients, so batches of like length are a matter of
// speed alone.
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { type BundleModel, bundleGradients, drawUse, plainLossKernel } from '#distillation';
import { startEngine } from '#engine';
import { type Batch, CHANNEL_WIDTH, type ChannelUse, collate, disposeWeights, RandomStream, weightsFromArrays } from '#semcom';
import { tinyModel } from './tiny-models.js';

const engine = await startEngine({ backend: 'auto' });

/** The draws of a batch, at the same tokens, for the same batch padded further. */
function padded(use: ChannelUse, from: Batch, to: Batch): ChannelUse {
  const noise = new Float32Array(to.ids.length * CHANNEL_WIDTH).fill(7);
  for (let b = 0; b < from.size; b++) {
    const row = from.tokens * CHANNEL_WIDTH;
    noise.set(use.noise.subarray(b * row, (b + 1) * row), b * to.tokens * CHANNEL_WIDTH);
  }
  return { ...use, noise };
}

it.each(['awgn', 'rayleigh'] as const)('%s: a batch padded from 9 to 15 tokens gives the same losses and gradients', (channel) => {
  const teacher = tinyModel('teacher');
  const student = tinyModel('student');
  const teacherWeights = weightsFromArrays(teacher.shape, teacher.arrays);
  const trained = weightsFromArrays(student.shape, student.arrays, { groups: 2 });
  const model: BundleModel = {
    kind: { part: 'full', freezeKeptSide: false },
    student: student.shape,
    teacher: { shape: teacher.shape, weights: teacherWeights },
    temperature: [1, 4],
    distillWeight: [0.3, 0.7],
    lossKernel: engine.lossKernel ?? plainLossKernel,
  };
  const rows = [9, 7, 6, 4].map((length, b) =>
    Array.from({ length }, (_, t) => (t === 0 ? 1 : t === length - 1 ? 2 : 4 + ((b * 13 + t * 7) % 50))),
  );
  const tight = collate(rows, [0, 1, 2, 3]);
  const loose = collate(rows, [0, 1, 2, 3], { minLength: 15 });
  const use = drawUse(tight, { channel, profile: 'exact', deviation: 0.3 }, (purpose) => new RandomStream(3, purpose));
  const a = bundleGradients(model, trained, tight, use);
  const b = bundleGradients(model, trained, loose, padded(use, tight, loose));
  a.values.total.forEach((total, k) => {
    expect(Math.abs(total - (b.values.total[k] as number))).toBeLessThan(1e-5);
  });
  for (const [name, gradient] of a.gradients) {
    const gap = tf.tidy(() => tf.max(tf.abs(tf.sub(gradient, b.gradients.get(name) as tf.Tensor))).dataSync()[0]);
    expect(gap, name).toBeLessThan(3e-6);
  }
  for (const weights of [a.gradients, b.gradients, trained, teacherWeights]) disposeWeights(weights);
});
