// The training core on a tiny model, on TensorFlow where it is and on WebAssembly else: taken up at any step, in a bundle as alone,
// with a student that diverges, in micro-batches, over 500 steps.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type AdamState,
  type LossKernel,
  type OptimizerFactory,
  plainAdam,
  plainLossKernel,
  REFERENCE_ADAM,
  type StepReport,
  type TrainedStudent,
  TrainingRun,
  type TrainingSetup,
  type TrainingSnapshot,
  trainStudents,
} from '#distillation';
import { startEngine } from '#engine';
import { weightsFromArrays } from '#semcom';
import { optimizerOf } from '../../apps/worker/trainer/engine-parts.js';
import { arraysOf, SHAPE, sentences } from '../support/tiny-training.js';

let engine: Awaited<ReturnType<typeof startEngine>>;
let inPlaceOrPlain: OptimizerFactory;

beforeAll(async () => {
  engine = await startEngine({ backend: 'auto' });
  inPlaceOrPlain = optimizerOf(engine);
});

interface Chosen {
  temperature?: number[];
  distillWeight?: number[];
  settings?: Partial<TrainingSetup['settings']>;
  adam?: Partial<TrainingSetup['adam']>;
  optimizer?: OptimizerFactory;
  lossKernel?: LossKernel;
}

function setupOf(chosen: Chosen = {}): TrainingSetup {
  const temperature = chosen.temperature ?? [1, 4, 8];
  const data = sentences(72);
  return {
    model: {
      kind: { part: 'full', freezeKeptSide: false },
      student: SHAPE,
      teacher: { shape: SHAPE, weights: weightsFromArrays(SHAPE, arraysOf(1)) },
      temperature,
      distillWeight: chosen.distillWeight ?? temperature.map(() => 0.7),
      lossKernel: chosen.lossKernel ?? engine.lossKernel ?? plainLossKernel,
    },
    start: weightsFromArrays(SHAPE, arraysOf(2), { groups: temperature.length }),
    adam: { ...REFERENCE_ADAM, learningRate: 1e-3, weightDecay: 0, ...chosen.adam },
    optimizer: chosen.optimizer ?? inPlaceOrPlain,
    data: { train: data.slice(0, 60), validation: data.slice(60) },
    settings: {
      batchSize: 16,
      epochs: 5,
      dropout: 0.1,
      channel: 'awgn',
      channelProfile: 'exact',
      trainSnrDb: [3, 12],
      seed: 9,
      ...chosen.settings,
    },
  };
}

/** What is held, as plain arrays, and the tensors given back. */
function readOut({ state, parameters }: TrainingSnapshot<tf.Tensor>): TrainingSnapshot<Float32Array> {
  const slots = new Map<string, AdamState<Float32Array>['slots'] extends ReadonlyMap<string, infer S> ? S : never>();
  for (const [name, { w, m, v }] of parameters.slots) {
    const [a, b, c] = [w, m, v].map((x) => x.dataSync().slice()) as [Float32Array, Float32Array, Float32Array];
    slots.set(name, { w: a, m: b, v: c });
    tf.dispose([w, m, v]);
  }
  return { state: structuredClone(state), parameters: { steps: parameters.steps, slots } };
}

function expectEqualBytes(a: TrainedStudent, b: TrainedStudent): void {
  expect(a.arrays.size).toBeGreaterThan(0);
  expect([...a.arrays.keys()]).toEqual([...b.arrays.keys()]);
  for (const [name, values] of a.arrays)
    expect(Buffer.from(values.buffer).equals(Buffer.from(b.arrays.get(name)?.buffer as ArrayBuffer)), name).toBe(true);
}

function largestDifference(a: TrainedStudent, b: TrainedStudent): number {
  let largest = 0;
  for (const [name, values] of a.arrays)
    values.forEach((x, i) => {
      largest = Math.max(largest, Math.abs(x - (b.arrays.get(name)?.[i] as number)));
    });
  return largest;
}

describe('a snapshot', () => {
  it.each([
    ['of the engine', () => inPlaceOrPlain],
    ['in plain operations', () => plainAdam],
  ])('at any step takes up a training to the same bytes, Adam %s', async (_, optimizer) => {
    const chosen = { optimizer: optimizer(), adam: { weightDecay: 0.01, clipNorm: 0.5 } };
    const snapshots: TrainingSnapshot<Float32Array>[] = [];
    const whole = await trainStudents(setupOf(chosen), {
      // Read out one rest later: what is held must not change meanwhile.
      atRest: (() => {
        let held: TrainingSnapshot<tf.Tensor> | undefined;
        return (run: TrainingRun) => {
          if (held) snapshots.push(readOut(held));
          held = run.isOver ? undefined : run.snapshot();
        };
      })(),
    });
    // 5 epochs of 4 steps and an end each; the last end leaves nothing to take up.
    expect(snapshots).toHaveLength(24);
    for (const at of [0, 2, 3, 4, 11, 19, 23]) {
      const from = snapshots[at] as TrainingSnapshot<Float32Array>;
      const resumed = await trainStudents({ ...setupOf(chosen), from });
      whole.forEach((student, k) => {
        expectEqualBytes(resumed[k] as TrainedStudent, student);
        const bare = ({ epochs }: TrainedStudent) => epochs.map(({ seconds: _, tokensPerSecond: __, ...rest }) => rest);
        expect(bare(resumed[k] as TrainedStudent)).toEqual(bare(student));
        expect(resumed[k]).toMatchObject({ bestLoss: student.bestLoss, bestEpoch: student.bestEpoch });
      });
    }
  });

  it('of another number of students, or of other parameters, is refused', () => {
    const run = new TrainingRun(setupOf());
    const snapshot = readOut(run.snapshot());
    const other = new TrainingRun(setupOf({ temperature: [1] }));
    expect(() => other.restore(snapshot)).toThrow('3 students, not of 1');
    const slots = new Map([...snapshot.parameters.slots].slice(1));
    expect(() => run.restore({ ...snapshot, parameters: { steps: 0, slots } })).toThrow('does not fit parameter');
    run.dispose();
    other.dispose();
  });
});

describe('a student in a bundle', () => {
  it('has the losses it would have alone over 200 steps, and ends with the same bytes, whatever its rate and decay', async () => {
    const rates = [1e-3, 1e-4, 2e-3];
    const decays = [0, 0.01, 0.1];
    const settings = { epochs: 50 };
    const curveOf = async (setup: TrainingSetup) => {
      const curve: StepReport['trainLoss'][] = [];
      const students = await trainStudents(setup, { onStep: ({ trainLoss }) => curve.push(trainLoss) });
      return { curve, students };
    };
    const clipNorm = 0.3;
    const together = await curveOf(setupOf({ settings, adam: { learningRate: rates, weightDecay: decays, clipNorm } }));
    expect(together.curve).toHaveLength(200);
    for (const k of [0, 1, 2]) {
      const adam = { learningRate: rates[k] as number, weightDecay: decays[k] as number, clipNorm };
      const alone = await curveOf(setupOf({ settings, adam, temperature: [[1, 4, 8][k] as number] }));
      expect(together.curve.map((losses) => losses[k])).toEqual(alone.curve.map(([loss]) => loss));
      expectEqualBytes(together.students[k] as TrainedStudent, alone.students[0] as TrainedStudent);
    }
  });

  it('that diverges is frozen and told with its step; its neighbours get the bytes they would get anyway', async () => {
    const chosen = (rates: number[]): Chosen => ({ adam: { learningRate: rates } });
    const calm = await trainStudents(setupOf(chosen([1e-3, 2e-3, 5e-4])));
    const diverged: [number, number][] = [];
    const epochs: number[] = [];
    const wild = await trainStudents(setupOf(chosen([1e-3, 1e30, 5e-4])), {
      onDiverged: (student, step) => diverged.push([student, step]),
      onEpoch: (student) => epochs.push(student),
    });
    expect(wild.map(({ outcome }) => outcome)).toEqual(['trained', 'diverged', 'trained']);
    expect(diverged).toEqual([[1, wild[1]?.step]]);
    expect(wild[1]?.step).toBeGreaterThan(1);
    expect(wild[1]?.arrays.size).toBe(0);
    expect(epochs.filter((student) => student === 1)).toEqual([]);
    for (const k of [0, 2]) expectEqualBytes(wild[k] as TrainedStudent, calm[k] as TrainedStudent);
  });
});

describe('when memory runs out', () => {
  /** Fails as TensorFlow does, on calls of its choice. */
  const failing = (fails: (call: number) => boolean): LossKernel => {
    let call = 0;
    return (chunk) => {
      call += 1;
      if (fails(call)) throw new Error('OOM when allocating tensor with shape[3,144,30] and type float');
      return (engine.lossKernel ?? plainLossKernel)(chunk);
    };
  };
  // Quiet symbols are not scaled by this profile, so that parts and whole are the same but for rounding.
  const settings = { channelProfile: 'deepsc-pytorch' as const, dropout: 0.1 };

  it('the step is done again in micro-batches: no step is lost, and the numbers are those of whole batches', async () => {
    const whole = await trainStudents(setupOf({ settings }));
    const told: [number, number][] = [];
    const steps: number[] = [];
    const before = tf.memory().numTensors;
    const setup = setupOf({ settings, lossKernel: failing((call) => call === 16 || call === 17) });
    const made = tf.memory().numTensors - before;
    const split = await trainStudents(setup, {
      onMicroBatches: (step, parts) => told.push([step, parts]),
      onStep: ({ step }) => steps.push(step),
    });
    // A call a student. The epoch's end (validation, calls 13 to 15) lies between steps 4 and 5; step 5 fails whole, and then in halves.
    expect(told).toEqual([[5, 4]]);
    expect(steps).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    whole.forEach((student, k) => {
      const other = split[k] as TrainedStudent;
      expect(largestDifference(other, student)).toBeLessThan(2e-3);
      expect(other.bestLoss).toBeCloseTo(student.bestLoss, 4);
      student.epochs.forEach((epoch, i) => {
        expect(other.epochs[i]?.trainLoss).toBeCloseTo(epoch.trainLoss, 4);
      });
    });
    // What the failed attempts had made is gone, too.
    expect(tf.memory().numTensors - before).toBe(made);
  });

  it('and not even one sentence fits, the error is thrown', async () => {
    await expect(trainStudents(setupOf({ settings, lossKernel: failing(() => true) }))).rejects.toThrow('OOM');
  });

  it('an error of another kind is thrown as it is', async () => {
    const lossKernel = () => {
      throw new Error('shapes differ');
    };
    await expect(trainStudents(setupOf({ settings, lossKernel }))).rejects.toThrow('shapes differ');
  });
});

describe('500 steps', () => {
  it('leave as many tensors and as much memory as 50', async () => {
    const setup = setupOf({ settings: { epochs: 125 }, adam: { clipNorm: 1, weightDecay: 0.01 } });
    const tensors: number[] = [];
    const bytes: number[] = [];
    await trainStudents(setup, {
      onStep: ({ step }) => {
        tensors.push(tf.memory().numTensors);
        if (step >= 50 && step % 50 === 0) {
          bytes.push(process.memoryUsage().rss);
        }
      },
      atRest: (run) => {
        if (run.stepsDone % 20 === 0) readOut(run.snapshot());
      },
    });
    expect(tensors).toHaveLength(500);
    expect(new Set(tensors).size).toBe(1);
    expect((bytes.at(-1) as number) - (bytes[1] as number)).toBeLessThan(60e6);
  });
});
