// The dials of the loss in a whole training, on TensorFlow where it is and on WebAssembly else: in a bundle as alone, taken up at any
// step, validated alike, over many steps without a leak.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ADAM_ARITHMETIC,
  type Divergence,
  type OptimizerFactory,
  plainAdam,
  plainLossKernel,
  REFERENCE_ADAM,
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
import { type DeepscShape, initialArrays, RandomStream, weightsFromArrays } from '#semcom';

const SHAPE: DeepscShape = { vocabularySize: 30, dModel: 16, dff: 32, heads: 2, encoderLayers: 1, decoderLayers: 1 };

let engine: Awaited<ReturnType<typeof startEngine>>;
let optimizer: OptimizerFactory;

beforeAll(async () => {
  engine = await startEngine({ backend: 'auto' });
  const { adam } = engine;
  optimizer = adam ? (start, options) => adam(start, options, ADAM_ARITHMETIC) : plainAdam;
});

function sentences(count: number): number[][] {
  const stream = new RandomStream(3, 'sentences');
  return Array.from({ length: count }, () => [
    1,
    ...Array.from({ length: 3 + stream.integer(5) }, () => 4 + stream.integer(SHAPE.vocabularySize - 4)),
    2,
  ]);
}

const arraysOf = (seed: number) => initialArrays(SHAPE, (name) => new RandomStream(seed, name));

interface Student {
  temperature: number;
  distillWeight: number;
  divergence?: Divergence;
  labelSmoothing?: number;
  hardWeight?: number;
  schedule?: WeightSchedule;
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

function setupOf(students: Student[], settings: Partial<TrainingSetup['settings']> = {}): TrainingSetup {
  const data = sentences(72);
  const asks = (name: keyof Student) => students.some((one) => one[name] !== undefined);
  return {
    model: {
      kind: { part: 'full', freezeKeptSide: false },
      student: SHAPE,
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
    start: weightsFromArrays(SHAPE, arraysOf(2), { groups: students.length }),
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

  it('are taken up at any step to the same bytes, wherever their weight stands then', async () => {
    for (const students of [USUAL, COMPOSED]) {
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
    const whole = await trainStudents(setupOf(COMPOSED, settings));
    const parts = await trainStudents({ ...setupOf(COMPOSED, settings), microBatching: [{ step: 1, parts: 3 }] });
    whole.forEach((student, k) => {
      student.epochs.forEach((epoch, i) => {
        expect(parts[k]?.epochs[i]?.trainLoss).toBeCloseTo(epoch.trainLoss, 3);
      });
    });
  });

  it('leave as many tensors after 60 steps as after 1', async () => {
    const tensors: number[] = [];
    await trainStudents(setupOf(COMPOSED, { epochs: 15 }), { onStep: () => tensors.push(tf.memory().numTensors) });
    expect(tensors).toHaveLength(60);
    expect(new Set(tensors).size).toBe(1);
  });
});
