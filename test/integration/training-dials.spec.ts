// The dials of the loss in a whole training, on TensorFlow where it is and on WebAssembly else: in a bundle as alone, taken up at any
// step, validated alike, over many steps without a leak.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type BundleModel,
  bundleGradients,
  type Divergence,
  drawChannel,
  type FeatureMatching,
  isProjection,
  type OptimizerFactory,
  plainLossKernel,
  REFERENCE_ADAM,
  startProjections,
  type TrainedStudent,
  type TrainingRun,
  type TrainingSetup,
  type TrainingSnapshot,
  trainStudents,
  validationBatches,
  validationLosses,
  type WeightSchedule,
} from '#distillation';
import { startEngine } from '#engine';
import { collate, type DeepscShape, disposeWeights, parameterShapes, RandomStream, weightsFromArrays } from '#semcom';
import { optimizerOf } from '../../apps/worker/trainer/engine-parts.js';
import { arraysOf, SHAPE, sentences } from '../support/tiny-training.js';

/** Narrower than the teacher: features are matched through a map that learns. */
const NARROW = { dModel: 8, dff: 16 };

let engine: Awaited<ReturnType<typeof startEngine>>;
let optimizer: OptimizerFactory;

beforeAll(async () => {
  engine = await startEngine({ backend: 'auto' });
  optimizer = optimizerOf(engine);
});

interface Student {
  temperature: number;
  distillWeight: number;
  divergence?: Divergence;
  labelSmoothing?: number;
  hardWeight?: number;
  schedule?: WeightSchedule;
  featureWeight?: number;
  featureKind?: 'attention';
}

/** Students that take the engine's own loss, and such that take the composed one. */
const USUAL: Student[] = [
  { temperature: 4, distillWeight: 0.7 },
  { temperature: 2, distillWeight: 0.9, schedule: { shape: 'linear', end: 0 } },
  { temperature: 2, distillWeight: 0.1, schedule: { shape: 'cosine', end: 0.8 }, hardWeight: 0.5 },
  { temperature: 1, distillWeight: 0, hardWeight: 0.5 },
];
const COMPOSED: Student[] = [
  { temperature: 3, distillWeight: 0.7, divergence: 'reverse-kl' },
  { temperature: 3, distillWeight: 0.7, divergence: 'jsd', labelSmoothing: 0.2 },
  { temperature: 1, distillWeight: 0.5, divergence: 'mse', schedule: { shape: 'linear', end: 0.1 } },
  { temperature: 1, distillWeight: 0, labelSmoothing: 0.1 },
];

const MATCHED: Student[] = [
  { temperature: 4, distillWeight: 0.7, featureWeight: 0.5 },
  { temperature: 1, distillWeight: 0, featureWeight: 2 },
];

const ATTENTIVE: Student[] = MATCHED.map((student) => ({ ...student, featureKind: 'attention' }));

function setupOf(students: Student[], settings: Partial<TrainingSetup['settings']> = {}): TrainingSetup {
  const data = sentences(72);
  const isMatched = students.some((one) => one.featureWeight !== undefined);
  const student = isMatched ? { ...SHAPE, ...NARROW } : SHAPE;
  const kind = students[0]?.featureKind;
  const features: FeatureMatching = {
    ...(kind ? { kind } : {}),
    taps: ['encOut', 'decOut'],
    weight: students.map((one) => one.featureWeight ?? 0),
  };
  const asks = (name: keyof Student) => students.some((one) => one[name] !== undefined);
  return {
    model: {
      kind: { part: 'full', freezeKeptSide: false },
      student,
      ...(isMatched ? { features } : {}),
      teacher: { shape: SHAPE, weights: weightsFromArrays(SHAPE, arraysOf(1)) },
      temperature: students.map((one) => one.temperature),
      distillWeight: students.map((one) => one.distillWeight),
      dials: {
        ...(asks('divergence') ? { divergence: students.map((one) => one.divergence ?? 'kl') } : {}),
        ...(asks('labelSmoothing') ? { labelSmoothing: students.map((one) => one.labelSmoothing ?? 0) } : {}),
        ...(asks('hardWeight') ? { hardWeight: students.map((one) => one.hardWeight) } : {}),
      },
      lossKernel: engine.lossKernel ?? plainLossKernel,
    },
    ...(asks('schedule') ? { schedules: students.map((one) => one.schedule) } : {}),
    start: new Map([
      ...weightsFromArrays(student, arraysOf(2, student), { groups: students.length }),
      ...startProjections({
        taps: isMatched && !kind ? features.taps : [],
        student,
        teacher: SHAPE,
        students: students.length,
        streamFor: (name) => new RandomStream(9, name),
      }),
    ]),
    adam: { ...REFERENCE_ADAM, learningRate: 1e-3, weightDecay: 0.01 },
    optimizer,
    data: { train: data.slice(0, 60), validation: data.slice(60) },
    settings: {
      batchSize: 16,
      epochs: 5,
      dropout: 0.1,
      channel: 'awgn',
      channelProfile: 'exact',
      trainSnrDb: [3, 12],
      seed: 9,
      ...settings,
    },
  };
}

function expectEqualBytes(a: TrainedStudent, b: TrainedStudent): void {
  expect(a.arrays.size).toBeGreaterThan(0);
  for (const [name, values] of a.arrays)
    expect(Buffer.from(values.buffer).equals(Buffer.from(b.arrays.get(name)?.buffer as ArrayBuffer)), name).toBe(true);
}

function readOut({ state, parameters }: TrainingSnapshot<tf.Tensor>): TrainingSnapshot<Float32Array> {
  const slots = new Map(
    [...parameters.slots].map(([name, { w, m, v }]) => {
      const [a, b, c] = [w, m, v].map((x) => x.dataSync().slice()) as [Float32Array, Float32Array, Float32Array];
      tf.dispose([w, m, v]);
      return [name, { w: a, m: b, v: c }] as const;
    }),
  );
  return { state: structuredClone(state), parameters: { steps: parameters.steps, slots } };
}

describe('students that turn dials', () => {
  it.each([
    ['that take the usual loss', USUAL],
    ['that take the composed loss', COMPOSED],
    ['whose hidden states are matched', MATCHED],
    ['whose attention is matched', ATTENTIVE],
  ])('%s end in a bundle with the bytes they get alone', async (_, students) => {
    const together = await trainStudents(setupOf(students));
    const arrays = new Set<string>();
    for (const [k, one] of students.entries()) {
      const [alone] = (await trainStudents(setupOf([one]))) as [TrainedStudent];
      expectEqualBytes(together[k] as TrainedStudent, alone);
      arrays.add(Buffer.from((alone.arrays.get('dense.bias') as Float32Array).buffer).toString('hex'));
    }
    // And each dial does something.
    expect(arrays.size).toBe(students.length);
  });

  it('get at the widths of real models the gradients they would get alone, to the last bit', () => {
    const teacher: DeepscShape = {
      vocabularySize: 501,
      dModel: 128,
      dff: 512,
      heads: 8,
      encoderLayers: 1,
      decoderLayers: 1,
    };
    const student: DeepscShape = { ...teacher, dModel: 64, dff: 256 };
    const data = Array.from({ length: 37 }, (_, b) => [
      1,
      ...Array.from({ length: 20 + (b % 9) }, (_, i) => 4 + ((i * 7 + b) % 490)),
      2,
    ]);
    const batch = collate(data, Int32Array.from(data.keys()));
    const use = drawChannel(batch, setupOf(USUAL).settings, 1);
    const teacherWeights = weightsFromArrays(teacher, arraysOf(1, teacher));
    const divergence = ['jsd', 'mse', 'reverse-kl'] as const;
    const which = [0, 1, 2];
    const taps: FeatureMatching['taps'] = ['encOut', 'decOut'];
    const stepOf = (students: number[]) => {
      const all = students.map((k) => [
        ...weightsFromArrays(student, arraysOf(k + 2, student)),
        ...startProjections({ taps, student, teacher, students: 1, streamFor: (name) => new RandomStream(k, name) }),
      ]);
      const trained = new Map(
        (all[0] as [string, tf.Tensor][]).map(([name], i) => [
          name,
          tf.concat(all.map((one) => (one[i] as [string, tf.Tensor])[1])),
        ]),
      );
      const model: BundleModel = {
        kind: { part: 'full', freezeKeptSide: false },
        student,
        teacher: { shape: teacher, weights: teacherWeights },
        temperature: students.map(() => 2),
        distillWeight: students.map((k) => 0.3 * k),
        dials: {
          divergence: students.map((k) => divergence[k] as Divergence),
          labelSmoothing: students.map((k) => 0.1 * k),
        },
        features: { taps, weight: students.map((k) => 1 + k) },
        lossKernel: engine.lossKernel ?? plainLossKernel,
        chunkRows: 224,
      };
      const step = bundleGradients(model, trained, batch, use);
      for (const one of all) disposeWeights(new Map(one));
      disposeWeights(trained);
      return step;
    };
    const together = stepOf(which);
    for (const k of which) {
      const alone = stepOf([k]);
      expect(together.values.total[k]).toBe(alone.values.total[0]);
      for (const [name, gradient] of alone.gradients) {
        const own = tf.slice(together.gradients.get(name) as tf.Tensor, [k], [1]);
        expect(Buffer.from(own.dataSync().buffer).equals(Buffer.from(gradient.dataSync().buffer)), name).toBe(true);
        own.dispose();
      }
      disposeWeights(alone.gradients);
    }
    disposeWeights(together.gradients);
    disposeWeights(teacherWeights);
  });

  it('are taken up at any step to the same bytes, wherever their weight stands then', async () => {
    for (const students of [USUAL, COMPOSED, MATCHED, ATTENTIVE]) {
      const snapshots: TrainingSnapshot<Float32Array>[] = [];
      const whole = await trainStudents(setupOf(students), {
        atRest: (run: TrainingRun) => {
          if (!run.isOver) snapshots.push(readOut(run.snapshot()));
        },
      });
      for (const at of [0, 7, 18]) {
        const resumed = await trainStudents({
          ...setupOf(students),
          from: snapshots[at] as TrainingSnapshot<Float32Array>,
        });
        for (const [k, student] of whole.entries()) expectEqualBytes(resumed[k] as TrainedStudent, student);
      }
    }
  });

  it('hold a map between widths while they learn, and none in the model that comes of it', async () => {
    const setup = setupOf(MATCHED);
    const names = [...setup.start.keys()].filter(isProjection);
    expect(names).toEqual(['feature.encOut.weight', 'feature.decOut.weight']);
    const shapes = names.map((name) => setup.start.get(name)?.shape);
    expect(shapes).toEqual([
      [2, 8, 16],
      [2, 8, 16],
    ]);
    let learned: TrainingSnapshot<Float32Array> | undefined;
    const [student] = await trainStudents(setup, {
      atRest: (run) => {
        if (run.isOver) learned = readOut(run.snapshot());
      },
    });
    for (const name of names) {
      const before = setup.start.get(name)?.dataSync() as Float32Array;
      expect(learned?.parameters.slots.get(name)?.w).not.toEqual(before);
    }
    const model = parameterShapes(setup.model.student).map(({ name }) => name);
    expect([...(student?.arrays.keys() ?? [])].sort()).toEqual(model.sort());
  });

  it.each([
    ['hidden states', undefined],
    ['attention', 'attention' as const],
  ])('come nearer to the %s of the teacher the more these weigh', async (_, featureKind) => {
    const distanceOf = async (featureWeight: number) => {
      const one = { temperature: 1, distillWeight: 0, featureWeight, ...(featureKind ? { featureKind } : {}) };
      const setup = setupOf([one], { epochs: 25, dropout: 0 });
      const distances: number[] = [];
      await trainStudents(setup, {
        atRest: (run) => {
          if (!run.isAtEpochEnd) return;
          const batch = collate(setup.data.train, Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7));
          const use = drawChannel(batch, setup.settings, 1);
          const { values, gradients } = run.parameters.withValues((trained) =>
            bundleGradients(setup.model, trained, batch, use),
          );
          disposeWeights(gradients);
          distances.push(values.features?.[0] as number);
        },
      });
      return distances;
    };
    const much = await distanceOf(5);
    expect(much.at(-1)).toBeLessThan(0.8 * (much[0] as number));
    expect(much.at(-1)).toBeLessThan((await distanceOf(0.001)).at(-1) as number);
  });

  it('are validated by plain cross-entropy, whatever they learn from', async () => {
    const [student] = await trainStudents(setupOf([COMPOSED[1] as Student]));
    const usual = setupOf([{ temperature: 1, distillWeight: 0 }]);
    const parameters = optimizer(weightsFromArrays(SHAPE, student?.arrays as Map<string, Float32Array>), usual.adam);
    const batches = validationBatches(usual.data.validation, usual.settings);
    const [loss] = validationLosses(usual.model, parameters, batches, 1);
    expect(student?.epochs.at(-1)?.validationLoss).toBeCloseTo(loss as number, 5);
    parameters.dispose();
  });

  it('lose nothing when a batch is computed in parts', async () => {
    // Quiet symbols are not scaled by this profile, so that parts and whole are the same but for rounding.
    const settings = { channelProfile: 'deepsc-pytorch' as const };
    for (const students of [COMPOSED, MATCHED, ATTENTIVE]) {
      const whole = await trainStudents(setupOf(students, settings));
      const parts = await trainStudents({ ...setupOf(students, settings), microBatching: [{ step: 1, parts: 3 }] });
      whole.forEach((student, k) => {
        student.epochs.forEach((epoch, i) => {
          expect(parts[k]?.epochs[i]?.trainLoss).toBeCloseTo(epoch.trainLoss, 3);
        });
      });
    }
  });

  it('leave as many tensors after 60 steps as after 1', async () => {
    for (const students of [COMPOSED, MATCHED, ATTENTIVE]) {
      const tensors: number[] = [];
      await trainStudents(setupOf(students, { epochs: 15 }), { onStep: () => tensors.push(tf.memory().numTensors) });
      expect(tensors).toHaveLength(60);
      expect(new Set(tensors).size).toBe(1);
    }
  });
});
