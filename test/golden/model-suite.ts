// DeepSC against PyTorch's numbers: forward taps of 21 runs, greedy decoding, losses and gradients, 20 steps of Adam. Run once a
// backend; tolerances are those of the golden README, section 10.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { type BundleModel, bundleGradients, bundleLosses, gradientNorms, type OptimizerFactory, type LossKernel } from '#distillation';
import {
  type Batch,
  type ChannelName,
  type ChannelUse,
  type DeepscShape,
  decodeFromChannel,
  disposeWeights,
  forward,
  greedyDecode,
  type ProfileName,
  send,
  sideOf,
  transmit,
  type Weights,
  weightsFromArrays,
} from '#semcom';
import { golden, goldenTensors, tinyModel } from './tiny-models.js';

interface Draws {
  unit: number[];
  fading: { batch: number[][]; sentence: number[][] };
}

interface ForwardFile {
  ids: number[][];
  noise: { unit: number[] };
  fadingUnit: Draws['fading'];
  cases: {
    name: string;
    model: string;
    profile: ProfileName;
    channel: ChannelName;
    equaliser: string;
    fadingBlock: 'batch' | 'sentence' | 'none';
    sigma?: number;
    taps: Record<string, { shape: number[] }>;
  }[];
  tapsFile: { sameAs: Record<string, string> };
}

interface TrainRun {
  name: string;
  part: string;
  start: string;
  profile: ProfileName;
  channel: ChannelName;
  fadingBlock: string;
  T: number | null;
  alpha: number | null;
  lr: number;
  betas: [number, number];
  eps: number;
  weightDecay: number;
  clipNorm: number | null;
  lossKind: 'masked' | 'original';
  sigma?: number;
  loss: number[];
  ce: number[];
  kd: number[];
  gradNormBeforeClip: number[];
  afterOnBatch0: { ce: number; kd: number };
  normsAfterStep1: Record<string, number>;
  normsAfterStep20: Record<string, number>;
}

export interface Backend {
  start(): Promise<{ lossKernel: LossKernel; optimizer: OptimizerFactory }>;
}

function batchOf(rows: number[][]): Batch {
  const tokens = Math.max(...rows.map((row) => row.length));
  const ids = new Int32Array(rows.length * tokens);
  rows.forEach((row, b) => {
    ids.set(row, b * tokens);
  });
  return { ids, size: rows.length, tokens };
}

function useOf(draws: Draws, run: { channel: ChannelName; profile: ProfileName; fadingBlock: string; sigma?: number; equaliser?: string }): ChannelUse {
  const use: ChannelUse = { channel: run.channel, profile: run.profile, deviation: run.sigma ?? 0, noise: Float32Array.from(draws.unit) };
  if (run.fadingBlock === 'batch' || run.fadingBlock === 'sentence') {
    use.fadingBlock = run.fadingBlock;
    use.fading = Float32Array.from(draws.fading[run.fadingBlock].flat());
  }
  if (run.equaliser === 'mmse') use.equalizer = 'mmse';
  if (run.equaliser && /zero|zf/i.test(run.equaliser)) use.equalizer = 'zero-forcing';
  return use;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs((a[i] as number) - (b[i] as number)));
  return largest;
}

function expectClose(actual: number, wanted: number, relative: number, absolute = 0): void {
  expect(Math.abs(actual - wanted)).toBeLessThanOrEqual(relative * Math.abs(wanted) + absolute);
}

/** The suite of one backend. */
export function describeGoldenModel(backend: Backend): void {
  let lossKernel: LossKernel;
  let optimizer: OptimizerFactory;
  beforeAll(async () => {
    ({ lossKernel, optimizer } = await backend.start());
  });

  describe('forward', () => {
    const file = golden<ForwardFile>('tiny/forward.json');
    const taps = goldenTensors('tiny/forward_taps.safetensors');
    const batch = batchOf(file.ids);
    const tolerance: Record<string, number> = { encOut: 1e-5, chEncOut: 1e-5, tx: 1e-5, rx: 1e-5, memory: 2e-5, decOut: 2e-5, logits: 5e-5 };
    const draws = { unit: file.noise.unit, fading: file.fadingUnit };
    it.each(file.cases.map((one) => [one.name, one] as const))('every tap of %s equals PyTorch', (_name, one) => {
      const { shape, arrays } = tinyModel(one.model);
      tf.tidy(() => {
        const weights = weightsFromArrays(shape, arrays);
        const found = forward(weights, shape, batch, useOf(draws, one)) as Record<string, tf.Tensor>;
        for (const tap of Object.keys(one.taps)) {
          const key = `${one.name}/${tap}`;
          const wanted = taps.get(file.tapsFile.sameAs[key] ?? key);
          expect(wanted, key).toBeDefined();
          const difference = largestDifference((found[tap] as tf.Tensor).dataSync(), wanted as Float32Array);
          expect(difference, key).toBeLessThanOrEqual(tolerance[tap] as number);
        }
      });
    });
  });

  describe('greedy decoding', () => {
    const file = golden<{
      ids: number[][];
      generated: number;
      cases: { name: string; model: string; channel: ChannelName; memoryMask: boolean; ids: number[][] }[];
      padEmitting: { memoryMask: boolean; channel: ChannelName; generated: number; ids: number[][] };
    }>('decode.json');
    const inputs = golden<ForwardFile>('tiny/forward.json');
    const batch = batchOf(file.ids);
    const decodeTiny = (model: ReturnType<typeof tinyModel>, one: { model: string; channel: ChannelName; memoryMask: boolean; generated: number; runOn: boolean }, groups: number) =>
      tf.tidy(() => {
        const { shape, arrays } = model;
        const weights = weightsFromArrays(shape, arrays, { groups });
        const source = inputs.cases.find((c) => c.model === one.model && c.profile === 'deepsc-pytorch' && c.channel === one.channel);
        const use = useOf({ unit: inputs.noise.unit, fading: inputs.fadingUnit }, source as ForwardFile['cases'][number]);
        const rx = transmit(send(weights, shape, batch, 'deepsc-pytorch'), use, batch.size, batch.tokens);
        const memory = decodeFromChannel(weights, rx);
        return greedyDecode(weights, shape, memory, batch, { maxTokens: one.generated, memoryMask: one.memoryMask, runOn: one.runOn });
      });
    it.each(file.cases.map((one) => [one.name, one] as const))('%s gives the reference ids', (_name, one) => {
      const options = { ...one, generated: file.generated, runOn: true };
      const ids = decodeTiny(tinyModel(one.model), options, 1);
      expect([...ids]).toEqual(one.ids.flatMap((row) => row.slice(1)));
    });
    it('an emitted PAD is hidden from later positions', () => {
      const model = tinyModel('teacher');
      const bias = (model.arrays.get('dense.bias') as Float32Array).slice();
      bias[0] = (bias[0] as number) + 12;
      model.arrays.set('dense.bias', bias);
      const ids = decodeTiny(model, { ...file.padEmitting, model: 'teacher', runOn: true }, 1);
      expect([...ids]).toEqual(file.padEmitting.ids.flatMap((row) => row.slice(1)));
    });
    it('early stop and several groups change nothing before END', () => {
      const one = file.cases[0] as (typeof file.cases)[number];
      const full = decodeTiny(tinyModel(one.model), { ...one, generated: file.generated, runOn: true }, 1);
      const stopped = decodeTiny(tinyModel(one.model), { ...one, generated: file.generated, runOn: false }, 2);
      for (let row = 0; row < 2 * batch.size; row++) {
        const at = (ids: Int32Array, r: number) => [...ids.subarray(r * file.generated, (r + 1) * file.generated)];
        const wanted = at(full, row % batch.size);
        const end = wanted.indexOf(2);
        const cut = end < 0 ? wanted.length : end + 1;
        expect(at(stopped, row).slice(0, cut)).toEqual(wanted.slice(0, cut));
      }
    });
  });

  describe('loss', () => {
    interface Result {
      T: number;
      alpha: number;
      masked: { ce: number; kd: number; total: number; gradParamL2: Record<string, number>; gradStudent: (number | string)[][] };
      original: Result['masked'];
    }
    const file = golden<{
      fromLogits: { teacher: number[][]; student: number[][]; targets: number[]; results: Result[] };
      model: { results: Result[]; originalPartLoss: Record<'encoder' | 'decoder', { T: number; alpha: number; ce: number; distill: number; total: number }> };
    }>('loss.json');
    const forms = ['masked', 'original'] as const;

    it.each(file.fromLogits.results.map((r) => [r.T, r.alpha, r] as const))('of hand-made logits at T %d, weight %d equals PyTorch', (T, alpha, wanted) => {
      for (const form of forms) {
        tf.tidy(() => {
          const rows = file.fromLogits.targets.flat();
          const flat = (x: number[][] | number[][][]) => (x as number[][][]).flat(Array.isArray((x as number[][][])[0]?.[0]) ? 1 : 0) as unknown as number[][];
          const student = flat(file.fromLogits.student);
          const teacher = flat(file.fromLogits.teacher);
          const real = rows.filter((id) => id !== 0).length;
          const N = form === 'masked' ? real : rows.length;
          const { gradient, sums } = lossKernel({
            student: tf.tensor2d(student),
            studentBias: tf.zeros([student[0]?.length as number]),
            teacher: tf.tensor2d(teacher),
            teacherBias: tf.zeros([student[0]?.length as number]),
            labels: Int32Array.from(rows, (id) => (id === 0 ? (form === 'masked' ? -1 : -2) : id)),
            temperature: T,
            softWeight: alpha / N,
            hardWeight: (1 - alpha) / N,
          });
          const [kd, ce] = [...sums.dataSync()].map((x) => x / N) as [number, number];
          expectClose(ce, wanted[form].ce, 1e-5, 1e-7);
          expectClose(kd, wanted[form].kd, 1e-5, 1e-6);
          const gradients = (wanted[form].gradStudent as unknown as number[][]).flat(2) as unknown as number[];
          expect(largestDifference(gradient.dataSync(), gradients)).toBeLessThanOrEqual(2e-6);
        });
      }
    });

    const modelOf = (form: 'masked' | 'original', T: number, alpha: number, part: 'full' | 'encoder' | 'decoder'): { model: BundleModel; trained: Weights } => {
      const teacher = tinyModel('teacher');
      const student = tinyModel('student');
      return {
        model: {
          kind: { part, freezeKeptSide: false },
          student: student.shape,
          teacher: { shape: teacher.shape, weights: weightsFromArrays(teacher.shape, teacher.arrays) },
          temperature: [T],
          distillWeight: [alpha],
          lossKernel,
          lossForm: form,
        },
        trained: weightsFromArrays(student.shape, student.arrays),
      };
    };
    const inputs = golden<ForwardFile>('tiny/forward.json');
    const awgn = inputs.cases.find((c) => c.name === 'student/deepsc-pytorch/awgn') as ForwardFile['cases'][number];
    const use = useOf({ unit: inputs.noise.unit, fading: inputs.fadingUnit }, awgn);

    it.each(file.model.results.map((r) => [r.T, r.alpha, r] as const))('and gradients of the tiny pair at T %d, weight %d equal PyTorch', (T, alpha, wanted) => {
      for (const form of forms) {
        const { model, trained } = modelOf(form, T, alpha, 'full');
        const { values, gradients } = bundleGradients(model, trained, batchOf(inputs.ids), use);
        expectClose(values.crossEntropy[0] as number, wanted[form].ce, 1e-5);
        expectClose(values.distillation[0] as number, wanted[form].kd, 1e-5, 1e-7);
        expectClose(values.total[0] as number, wanted[form].total, 1e-5);
        for (const [name, norm] of Object.entries(wanted[form].gradParamL2)) {
          const found = tf.tidy(() => tf.norm(gradients.get(name) as tf.Tensor).dataSync()[0] as number);
          if (name.endsWith('.wk.bias')) expect(found, name).toBeLessThan(2e-6);
          else expectClose(found, norm, 1e-4, 1e-6);
        }
        tf.dispose([...gradients.values()]);
        disposeWeights(trained);
        disposeWeights((model.teacher as { weights: Weights }).weights);
      }
    });

    it.each(['encoder', 'decoder'] as const)("the original's extra term for part %s equals PyTorch", (part) => {
      const wanted = file.model.originalPartLoss[part];
      const { model, trained } = modelOf('original', wanted.T, wanted.alpha, part);
      const values = bundleLosses(model, trained, batchOf(inputs.ids), use);
      expectClose(values.crossEntropy[0] as number, wanted.ce, 1e-5);
      expectClose(values.distillation[0] as number, wanted.distill, 1e-5);
      expectClose(values.total[0] as number, wanted.total, 1e-5);
      disposeWeights(trained);
      disposeWeights((model.teacher as { weights: Weights }).weights);
    });
  });

  describe('matched features', () => {
    const wanted = golden<{ model: { features: Record<'encOut' | 'decOut', { mseNonPad: number }> } }>('loss.json').model.features;
    const inputs = golden<ForwardFile>('tiny/forward.json');
    const use = useOf({ unit: inputs.noise.unit, fading: inputs.fadingUnit }, inputs.cases.find((c) => c.name === 'student/deepsc-pytorch/awgn') as ForwardFile['cases'][number]);
    const teacher = tinyModel('teacher');
    const student = tinyModel('student');
    const stepOf = (
      arrays: Map<string, Float32Array>,
      tap: 'encOut' | 'decOut',
      weight: number,
      { kind, shape = student.shape }: { kind?: 'attention'; shape?: DeepscShape } = {},
    ) => {
      const teacherWeights = weightsFromArrays(teacher.shape, teacher.arrays);
      const trained = weightsFromArrays(shape, arrays);
      const model: BundleModel = {
        kind: { part: 'full', freezeKeptSide: false },
        student: shape,
        teacher: { shape: teacher.shape, weights: teacherWeights },
        temperature: [4],
        distillWeight: [0.7],
        lossKernel,
        features: { taps: [tap], weight: [weight], ...(kind ? { kind } : {}) },
      };
      const { values, gradients } = bundleGradients(model, trained, batchOf(inputs.ids), use);
      const read = new Map([...gradients].map(([name, gradient]) => [name, gradient.dataSync().slice() as Float32Array]));
      for (const weights of [teacherWeights, trained, gradients]) disposeWeights(weights);
      return { values, gradients: read };
    };

    it.each(['encOut', 'decOut'] as const)('at %s are as far from the teacher as PyTorch says, pads left out, and are in the total', (tap) => {
      const without = stepOf(student.arrays, tap, 0).values;
      const { features, total, distillation } = stepOf(student.arrays, tap, 2).values;
      expectClose(features?.[0] as number, wanted[tap].mseNonPad, 1e-5);
      expectClose(total[0] as number, (without.total[0] as number) + 2 * wanted[tap].mseNonPad, 1e-5);
      expect(distillation).toEqual(without.distillation);
    });

    it.each(['encOut', 'decOut'] as const)('at %s attention is matched: no distance of the teacher from itself, some of the student', (tap) => {
      const [itself] = stepOf(teacher.arrays, tap, 1, { kind: 'attention', shape: teacher.shape }).values.features ?? [];
      expect(Math.abs(itself as number)).toBeLessThan(1e-6);
      expect(stepOf(student.arrays, tap, 1, { kind: 'attention' }).values.features?.[0]).toBeGreaterThan(1e-3);
    });

    const INSIDE = ['encoder.enc_layers.1.ffn.w_1.weight', 'encoder.embedding.weight', 'decoder.dec_layers.1.ffn.w_2.weight'];
    const LOOKING = ['encoder.enc_layers.1.mha.wq.weight', 'encoder.embedding.weight', 'decoder.dec_layers.1.self_mha.wk.weight'];

    it.each([
      ['encOut', undefined, INSIDE],
      ['decOut', undefined, INSIDE],
      ['encOut', 'attention', LOOKING],
      ['decOut', 'attention', LOOKING],
    ] as const)('at %s (%s): the gradient of the total is what a small step changes it by', (tap, kind, names) => {
      const how = kind ? { kind } : {};
      const { gradients } = stepOf(student.arrays, tap, 5, how);
      for (const name of names) {
        const gradient = gradients.get(name) as Float32Array;
        const norm = Math.hypot(...gradient);
        // Behind the encoder nothing moves its states, but the logits it does.
        expect(norm).toBeGreaterThan(0);
        const at = (step: number) => {
          const moved = (student.arrays.get(name) as Float32Array).map((w, i) => w + (step * (gradient[i] as number)) / norm);
          return stepOf(new Map([...student.arrays, [name, moved]]), tap, 5, how).values.total[0] as number;
        };
        const step = 4e-3;
        expectClose((at(step) - at(-step)) / (2 * step), norm, 2e-2);
      }
    });
  });

  describe('training', () => {
    const file = golden<{
      batches: { ids: number[][]; noiseUnit: number[]; fadingUnit: Draws['fading'] }[];
      runs: TrainRun[];
      adamAlone: { start: number[]; grads: number[][]; lr: number; betas: [number, number]; eps: number } & Record<
        'plain' | 'coupledL2' | 'clipped',
        { weightDecay: number; clipNorm: number | null; after: number[] | number[][] }
      >;
    }>('train.json');

    it.each(['plain', 'coupledL2', 'clipped'] as const)('Adam alone, %s, equals PyTorch', (kind) => {
      const { start, grads, lr, betas, eps } = file.adamAlone;
      const { weightDecay, clipNorm, after } = file.adamAlone[kind];
      const first = new Map([['w', tf.tensor2d([start])]]);
      const options = { learningRate: lr, beta1: betas[0], beta2: betas[1], epsilon: eps, weightDecay, ...(clipNorm === null ? {} : { clipNorm }) };
      const parameters = optimizer(first, options);
      const states: number[][] = [];
      for (const g of grads) {
        const gradient = tf.tensor2d([g]);
        parameters.step(new Map([['w', gradient]]));
        gradient.dispose();
        states.push(parameters.withValues((values) => [...(values.get('w') as tf.Tensor).dataSync()]));
      }
      const wanted = Array.isArray(after[0]) ? (after as number[][]) : null;
      if (wanted) wanted.forEach((row, i) => expect(largestDifference(states[i] as number[], row)).toBeLessThan(2e-7));
      else expect(largestDifference(states.at(-1) as number[], after as number[])).toBeLessThan(2e-7);
      parameters.dispose();
      disposeWeights(first);
    });

    it.each(file.runs.map((run) => [run.name, run] as const))('%s: 20 Adam steps equal PyTorch and leak nothing', (_name, run) => {
      const before = tf.memory().numTensors;
      const teacher = tinyModel('teacher');
      const student = tinyModel(run.start);
      const isOriginal = run.part.startsWith('original');
      const part = (run.part.replace('original-', '').replace('pretraining', 'full') as 'full' | 'encoder' | 'decoder');
      const isPretraining = run.alpha === null;
      const teacherWeights = weightsFromArrays(teacher.shape, teacher.arrays);
      const kind = { part, freezeKeptSide: !isOriginal };
      const shape = {
        ...student.shape,
        ...(kind.freezeKeptSide && part === 'decoder' ? { encoderLayers: teacher.shape.encoderLayers } : {}),
        ...(kind.freezeKeptSide && part === 'encoder' ? { decoderLayers: teacher.shape.decoderLayers } : {}),
      };
      const learns = (name: string) =>
        isOriginal || part === 'full' || sideOf(name) === (part === 'decoder' ? 'receiver' : 'transmitter');
      const start = weightsFromArrays(student.shape, student.arrays, { select: learns });
      expect([...start.keys()].sort()).toEqual(Object.keys(run.normsAfterStep1).sort());
      const model: BundleModel = {
        kind,
        student: shape,
        teacher: isPretraining ? null : { shape: teacher.shape, weights: teacherWeights },
        temperature: [run.T ?? 1],
        distillWeight: [run.alpha ?? 0],
        lossKernel,
        lossForm: run.lossKind,
      };
      const parameters = optimizer(start, {
        learningRate: run.lr,
        beta1: run.betas[0],
        beta2: run.betas[1],
        epsilon: run.eps,
        weightDecay: run.weightDecay,
        ...(run.clipNorm === null ? {} : { clipNorm: run.clipNorm }),
      });
      disposeWeights(start);
      const settled: number[] = [];
      const checkNorms = (wanted: Record<string, number>, relative: number) =>
        parameters.withValues((values) => {
          for (const [name, norm] of Object.entries(wanted)) {
            const found = tf.tidy(() => tf.norm(values.get(name) as tf.Tensor).dataSync()[0] as number);
            if (name.endsWith('.wk.bias') && run.weightDecay === 0) continue;
            expect(Math.abs(found - norm) / norm, name).toBeLessThanOrEqual(relative);
          }
        });
      const drawsOf = (i: number) => {
        const one = file.batches[i % 4] as (typeof file.batches)[number];
        return { batch: batchOf(one.ids), use: useOf({ unit: one.noiseUnit, fading: one.fadingUnit }, run) };
      };
      for (let i = 0; i < 20; i++) {
        const { batch, use } = drawsOf(i);
        const { values, gradients } = parameters.withValues((trained) => bundleGradients(model, trained, batch, use));
        expectClose(values.total[0] as number, run.loss[i] as number, 1e-4);
        const norm = tf.tidy(() => gradientNorms(gradients).dataSync()[0] as number);
        expectClose(norm, run.gradNormBeforeClip[i] as number, 1e-3);
        parameters.step(gradients);
        tf.dispose([...gradients.values()]);
        settled.push(tf.memory().numTensors);
        if (i === 0) checkNorms(run.normsAfterStep1, 1e-5);
      }
      checkNorms(run.normsAfterStep20, 1e-4);
      const { batch, use } = drawsOf(0);
      const after = parameters.withValues((trained) => bundleLosses(model, trained, batch, use));
      expectClose(after.crossEntropy[0] as number, run.afterOnBatch0.ce, 1e-4);
      expect(new Set(settled).size).toBe(1);
      parameters.dispose();
      disposeWeights(teacherWeights);
      expect(tf.memory().numTensors).toBe(before);
    });
  });
}
