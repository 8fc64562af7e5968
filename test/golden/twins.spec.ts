// Each operation of our own against its plain tfjs twin, on TensorFlow: the loss of a chunk, Adam in place, the whole step.
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  ADAM_ARITHMETIC,
  type BundleModel,
  bundleGradients,
  distillationLoss,
  drawUse,
  isTrained,
  MEASURES,
  plainDistances,
  rowDistances,
  type LossChunk,
  type LossKernel,
  plainAdam,
  plainLossKernel,
  REFERENCE_ADAM,
} from '#distillation';
import { startEngine } from '#engine';
import { type Dropout, disposeWeights, encode, FUSED_KERNELS, initialArrays, RandomStream, weightsFromArrays } from '#semcom';

const engine = await startEngine({ backend: 'auto' });
const isThere = engine.lossKernel !== undefined;
if (!isThere) console.warn(`twin tests skipped: ${engine.notice ?? 'the addon with our operation is not built'}`);

function normals(purpose: string, shape: number[], scale = 1): tf.Tensor {
  const values = new Float32Array(shape.reduce((product, n) => product * n, 1));
  new RandomStream(7, purpose).fillNormal(values, scale);
  return tf.tensor(values, shape);
}

function largest(a: tf.Tensor, b: tf.Tensor): number {
  return tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] as number);
}

describe.skipIf(!isThere)('operations of our own agree with their twins', () => {
  const fused = engine.lossKernel as LossKernel;

  /** The kernel may write over the logits, so each gets its own. */
  const chunkOf = (rows: number, words: number, settings: Partial<LossChunk> = {}): LossChunk => ({
    student: normals('student', [rows, words], 4) as tf.Tensor2D,
    studentBias: normals('student bias', [words]),
    teacher: normals('teacher', [rows, words], 6) as tf.Tensor2D,
    teacherBias: normals('teacher bias', [words]),
    labels: Int32Array.from({ length: rows }, (_, i) => (i % 5 === 3 ? -1 : i % 5 === 4 ? -2 : (i * 31) % words)),
    temperature: 4,
    softWeight: 0.7,
    hardWeight: 0.3,
    ...settings,
  });
  const expectTwins = (ours: ReturnType<LossKernel>, plain: ReturnType<LossKernel>) => {
    expect(largest(ours.biasGradient, plain.biasGradient)).toBeLessThan(2e-5);
    expect(largest(ours.gradient, plain.gradient)).toBeLessThan(2e-6);
    const [a, b] = [ours.sums.dataSync(), plain.sums.dataSync()];
    a.forEach((x, i) => {
      expect(Math.abs(x - (b[i] as number))).toBeLessThan(2e-5 * Math.max(1, Math.abs(x)));
    });
  };

  it.each([
    [5, 7, 1, 0.7, 0.3],
    [33, 515, 4, 0.2, 0.8],
    [70, 515, 0.5, 1, 0],
    [16, 2049, 8, 0, 1],
    [16, 2049, 16, 0.5, 0.5],
    [16, 515, 17, 0.5, 0.5],
    [16, 515, 3, 0.5, 0.5],
    [16, 515, 2.5, 0.5, 0.5],
  ])('the loss of %d rows, %d words at T %d, weights %d and %d', (rows, words, temperature, softWeight, hardWeight) => {
    tf.tidy(() => {
      const settings = { temperature, softWeight, hardWeight };
      expectTwins(fused(chunkOf(rows, words, settings)), plainLossKernel(chunkOf(rows, words, settings)));
    });
  });

  it('the loss without a teacher', () => {
    tf.tidy(() => {
      const settings = { teacher: null, teacherBias: null, softWeight: 0, hardWeight: 1 };
      const ours = fused(chunkOf(33, 515, settings));
      expectTwins(ours, plainLossKernel(chunkOf(33, 515, settings)));
      expect(ours.sums.dataSync()[0]).toBe(0);
    });
  });

  it('logits that a gradient was made of cannot be used again', () => {
    tf.tidy(() => {
      const chunk = chunkOf(5, 7);
      fused(chunk);
      expect(() => chunk.student.dataSync()).toThrow(/disposed/);
    });
  });

  it('a NaN in one student stays with that student', () => {
    tf.tidy(() => {
      const hidden = tf.add(normals('hidden', [2, 4, 8]), tf.tensor([Number.NaN, ...new Array(63).fill(0)], [2, 4, 8])) as tf.Tensor3D;
      const side = (name: string) => ({ kernel: normals(`${name} kernel`, [1, 8, 30]) as tf.Tensor3D, bias: normals(`${name} bias`, [1, 30]) });
      const teacher = { hidden: normals('their hidden', [1, 4, 8]) as tf.Tensor3D, ...side('their') };
      const options = { kernel: fused, labels: Int32Array.of(1, 2, 3, 4), temperature: [2, 2], distillWeight: [0.5, 0.5], denominator: 4, chunkRows: 32 };
      const { sums, gradients } = distillationLoss({ hidden, ...side('our') }, teacher, options, 'all');
      const [poisoned, healthy] = (tf.unstack(sums) as tf.Tensor[]).map((x) => [...x.dataSync()]) as [number[], number[]];
      expect(poisoned.every(Number.isNaN)).toBe(true);
      expect(healthy.every(Number.isFinite)).toBe(true);
      for (const gradient of [gradients?.hidden, gradients?.output?.kernel, gradients?.output?.bias] as tf.Tensor[])
        expect([...gradient.dataSync()].slice(gradient.size / 2).every(Number.isFinite)).toBe(true);
    });
  });

  it.each([
    [1, 3, 4],
    [3, 17, 515],
    [2, 5, 2049],
  ])('distances of %d students, %d rows, %d words; the first student is the teacher itself', (students, rows, words) => {
    tf.tidy(() => {
      const teacher = { logits: normals('teacher', [1, rows, words], 3) as tf.Tensor3D, bias: normals('teacher bias', [1, words]) };
      const others = normals('student', [students, rows, words], 2);
      const student = {
        logits: tf.concat([teacher.logits, tf.add(tf.slice(others, [1, 0, 0]), teacher.logits)], 0) as tf.Tensor3D,
        bias: teacher.bias,
      };
      const [ours, plain] = [rowDistances(student, teacher), plainDistances(student, teacher)];
      expect(ours.shape).toEqual([students, rows, MEASURES.length]);
      expect(largest(ours, plain)).toBeLessThan(1e-5);
      const same = tf.slice(ours, [0, 0, 0], [1]);
      for (const [measure, wanted] of [['kl', 0], ['reverseKl', 0], ['jsd', 0], ['top1Agreement', 1], ['top5Overlap', 1]] as const)
        expect(largest(tf.slice(same, [0, 0, MEASURES.indexOf(measure)], [1, rows, 1]), tf.scalar(wanted)), measure).toBeLessThan(1e-6);
    });
  });

  it('a label outside the vocabulary is refused', () => {
    tf.tidy(() => {
      expect(() => fused(chunkOf(1, 3, { labels: Int32Array.of(3) }))).toThrow(/vocabulary/);
      expect(() => fused(chunkOf(1, 3, { labels: Int32Array.of(-3) }))).toThrow(/vocabulary/);
    });
  });

  it('the chunk size does not change losses or gradients', () => {
    tf.tidy(() => {
      const student = { hidden: normals('hidden', [2, 50, 8]) as tf.Tensor3D, kernel: normals('kernel', [2, 8, 40]) as tf.Tensor3D, bias: normals('bias', [2, 40]) };
      const teacher = { hidden: normals('their hidden', [1, 50, 8]) as tf.Tensor3D, kernel: normals('their kernel', [1, 8, 40]) as tf.Tensor3D, bias: normals('their bias', [1, 40]) };
      const labels = Int32Array.from({ length: 50 }, (_, i) => i % 40);
      const run = (kernel: LossKernel, chunkRows: number) =>
        distillationLoss(student, teacher, { kernel, labels, temperature: [1, 4], distillWeight: [0.5, 0.9], denominator: 50, chunkRows }, 'all');
      const whole = run(plainLossKernel, 50);
      for (const chunks of [run(plainLossKernel, 7), run(fused, 16), run(fused, 50)]) {
        expect(largest(chunks.sums, whole.sums)).toBeLessThan(2e-4);
        expect(largest(chunks.gradients?.hidden as tf.Tensor, whole.gradients?.hidden as tf.Tensor)).toBeLessThan(1e-6);
        expect(largest(chunks.gradients?.output?.kernel as tf.Tensor, whole.gradients?.output?.kernel as tf.Tensor)).toBeLessThan(1e-6);
        expect(largest(chunks.gradients?.output?.bias as tf.Tensor, whole.gradients?.output?.bias as tf.Tensor)).toBeLessThan(1e-6);
      }
    });
  });

  const ways = [
    ['one rate for all', { learningRate: 0.01, weightDecay: 0.02, clipNorm: 0.5 }],
    ['a rate and a decay a student', { learningRate: [0.01, 0.003, 0.1], weightDecay: [0.02, 0, 0.3], clipNorm: 0.5 }],
    ['a rate a student, no decay, no clipping', { learningRate: [0.01, 0.003, 0.1], weightDecay: 0 }],
  ] as const;

  it.each(ways.flatMap(([name, chosen]) => (['adam', 'libraryAdam'] as const).map((which) => [which, name, chosen] as const)))(
    '%s in place equals plain Adam over 10 steps: %s', (which, _, chosen) => {
    const options = { ...REFERENCE_ADAM, ...chosen };
    const start = new Map([
      ['a', normals('a', [3, 4, 5])],
      ['b', normals('b', [3, 6])],
    ]);
    const inPlace = (engine[which] as NonNullable<typeof engine.adam>)(start, options, ADAM_ARITHMETIC);
    const plain = plainAdam(start, options);
    for (let step = 0; step < 10; step++) {
      const gradients = new Map([
        ['a', normals(`ga${step}`, [3, 4, 5])],
        ['b', normals(`gb${step}`, [3, 6])],
      ]);
      inPlace.step(gradients);
      plain.step(gradients);
      disposeWeights(gradients);
    }
    inPlace.withValues((ours) =>
      plain.withValues((theirs) => {
        for (const name of ['a', 'b']) expect(largest(ours.get(name) as tf.Tensor, theirs.get(name) as tf.Tensor)).toBeLessThan(1e-6);
      }),
    );
    inPlace.dispose();
    plain.dispose();
    disposeWeights(start);
  });
});

describe.skipIf(!isThere)('students in a bundle', () => {
  const sizes = { d32: { vocabularySize: 60, dModel: 32, dff: 64, heads: 4 }, d128: { vocabularySize: 501, dModel: 128, dff: 512, heads: 8 } };

  it.each([
    ['full', 'd32', 5, 9],
    ['encoder', 'd32', 5, 9],
    ['decoder', 'd32', 5, 9],
    ['full', 'd128', 128, 24],
    ['encoder', 'd128', 37, 31],
    ['decoder', 'd128', 37, 31],
  ] as const)('part %s, %s, %d sentences: each gets the losses and gradients it would get alone, to the last bit', (part, size, batchSize, tokens) => {
    const shape = { ...sizes[size], encoderLayers: 1, decoderLayers: 1 };
    const kind = { part, freezeKeptSide: true };
    const arraysOf = (name: string) => initialArrays(shape, (purpose) => new RandomStream(7, `${name} ${purpose}`));
    const teacherWeights = weightsFromArrays(shape, arraysOf('teacher'));
    const temperature = [1, 4, 3];
    const distillWeight = [0, 0.7, 1];
    const modelOf = (which: number[]): BundleModel => ({
      kind,
      student: shape,
      teacher: { shape, weights: teacherWeights },
      temperature: which.map((k) => temperature[k] as number),
      distillWeight: which.map((k) => distillWeight[k] as number),
      lossKernel: engine.lossKernel as LossKernel,
    });
    const words = shape.vocabularySize - 4;
    const ids = Int32Array.from({ length: batchSize * tokens }, (_, i) => {
      const length = tokens - (Math.floor(i / tokens) % 3);
      const at = i % tokens;
      return at === 0 ? 1 : at === length - 1 ? 2 : at >= length ? 0 : 4 + ((i * 7) % words);
    });
    const batch = { ids, size: batchSize, tokens };
    const use = drawUse(batch, { channel: 'rayleigh', profile: 'exact', deviation: 0.2 }, (purpose) => new RandomStream(3, purpose));
    const alone = temperature.map((_, k) => weightsFromArrays(shape, arraysOf(`student ${k}`), { select: (name) => isTrained(kind, name) }));
    const names = [...(alone[0] as Map<string, tf.Tensor>).keys()];
    const together = new Map(names.map((name) => [name, tf.concat(alone.map((weights) => weights.get(name) as tf.Tensor))]));
    const bundle = bundleGradients(modelOf([0, 1, 2]), together, batch, use);
    for (const [k, weights] of alone.entries()) {
      const single = bundleGradients(modelOf([k]), weights, batch, use);
      expect(bundle.values.total[k]).toBe(single.values.total[0]);
      for (const [name, gradient] of single.gradients) {
        const part = tf.slice(bundle.gradients.get(name) as tf.Tensor, [k], [1]);
        expect(Buffer.from(part.dataSync().buffer).equals(Buffer.from(gradient.dataSync().buffer)), name).toBe(true);
        part.dispose();
      }
      disposeWeights(single.gradients);
    }
    for (const weights of [bundle.gradients, together, teacherWeights, ...alone]) disposeWeights(weights);
  });
});

/** Runs `work` with the plain twins of the layers although the backend has the fused kernels. */
function plainly<T>(work: () => T): T {
  const name = FUSED_KERNELS[0];
  const kernel = tf.getKernel(name, 'tensorflow') as tf.KernelConfig;
  tf.unregisterKernel(name, 'tensorflow');
  try {
    return work();
  } finally {
    tf.registerKernel(kernel);
  }
}

describe.skipIf(!isThere)('fused layers agree with their twins: losses and every gradient', () => {
  it.each([
    { dModel: 16, heads: 2, dff: 24, tokens: 9, part: 'full' },
    { dModel: 24, heads: 2, dff: 40, tokens: 18, part: 'full' },
    { dModel: 32, heads: 2, dff: 20, tokens: 33, part: 'decoder' },
    { dModel: 64, heads: 2, dff: 36, tokens: 5, part: 'encoder' },
    { dModel: 64, heads: 1, dff: 36, tokens: 7, part: 'full' },
    { dModel: 30, heads: 5, dff: 37, tokens: 11, part: 'full' },
  ] as const)('d $dModel, $heads heads, $tokens tokens, part $part, with dropout', ({ dModel, heads, dff, tokens, part }) => {
    const size = 5;
    const shape = { vocabularySize: 47, dModel, dff, heads, encoderLayers: 2, decoderLayers: 2 };
    const teacherArrays = initialArrays(shape, (name) => new RandomStream(1, name));
    const kind = { part, freezeKeptSide: true };
    const ids = new Int32Array(size * tokens);
    for (let b = 0; b < size; b++) {
      const length = Math.max(3, tokens - 2 * b);
      for (let t = 0; t < length; t++) ids[b * tokens + t] = t === 0 ? 1 : t === length - 1 ? 2 : 3 + ((b * 7 + t * 5) % 44);
    }
    const batch = { ids, size, tokens };
    const use = drawUse(batch, { channel: 'rician', profile: 'exact', deviation: 0.2 }, (purpose) => new RandomStream(3, purpose));
    const teacherWeights = weightsFromArrays(shape, teacherArrays);
    const trained = weightsFromArrays(shape, initialArrays(shape, (name) => new RandomStream(2, name)), {
      groups: 3,
      select: (name) => isTrained(kind, name),
    });
    const gradients = () => {
      let site = 0;
      const dropout: Dropout = () => ({ rate: 0.3, stream: new RandomStream(5, 'dropout', ++site) });
      return bundleGradients(
        {
          kind,
          student: shape,
          teacher: { shape, weights: teacherWeights },
          temperature: [1, 3, 8],
          distillWeight: [0, 0.7, 1],
          lossKernel: engine.lossKernel as LossKernel,
          dropout,
        },
        trained,
        batch,
        use,
      );
    };
    const before = tf.memory().numTensors;
    const fused = gradients();
    expect(tf.memory().numTensors - before).toBe(fused.gradients.size);
    const plain = plainly(gradients);
    for (const name of ['total', 'crossEntropy', 'distillation'] as const)
      fused.values[name].forEach((value, k) => {
        expect(Math.abs(value - (plain.values[name][k] as number)) / Math.max(1, value)).toBeLessThan(2e-5);
      });
    expect([...fused.gradients.keys()].sort()).toEqual([...plain.gradients.keys()].sort());
    for (const [name, gradient] of fused.gradients)
      expect(largest(gradient, plain.gradients.get(name) as tf.Tensor), name).toBeLessThan(1e-5);
    for (const weights of [fused.gradients, plain.gradients, trained, teacherWeights]) disposeWeights(weights);
  });

  it('a NaN in one model stays with that model', () => {
    const shape = { vocabularySize: 20, dModel: 16, dff: 24, heads: 2, encoderLayers: 1, decoderLayers: 1 };
    const weights = weightsFromArrays(shape, initialArrays(shape, (name) => new RandomStream(1, name)), { groups: 2 });
    const name = 'encoder.enc_layers.0.ffn.w_1.bias';
    const whole = weights.get(name) as tf.Tensor;
    const poison = new Float32Array(whole.size);
    poison[0] = Number.NaN;
    const poisoned = new Map([...weights, [name, tf.add(whole, tf.tensor(poison, whole.shape))]]);
    const encoded = encode(poisoned, shape, { ids: Int32Array.of(1, 5, 6, 2), size: 1, tokens: 4 });
    const [first, second] = [0, 1].map((g) => tf.tidy(() => tf.slice(encoded, [g], [1]).dataSync())) as [Float32Array, Float32Array];
    expect([...first].every(Number.isNaN)).toBe(true);
    expect([...second].every(Number.isFinite)).toBe(true);
    tf.dispose([encoded, poisoned.get(name) as tf.Tensor]);
    disposeWeights(weights);
  });
});
