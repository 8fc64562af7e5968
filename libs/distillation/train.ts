// The training loop, top to bottom: epochs of seeded batches, one step for K students at once, validation, checkpoints. The order
// of data, the noise and the dropout are pure functions of (seed, step), so equal requests give equal bytes.
import {
  type Batch,
  CHANNEL_WIDTH,
  type ChannelName,
  type ChannelUse,
  collate,
  type Dropout,
  fadingPairs,
  groupArrays,
  longestFirst,
  noiseDeviation,
  type ProfileName,
  planEpoch,
  RandomStream,
  type Weights,
} from '#semcom';
import type { AdamOptions, OptimizerFactory, TrainedParameters } from './adam.js';
import { type BundleModel, bundleGradients, bundleLosses } from './step.js';

/** sigma of validation, the reference's 0.1 (a label of 16.99 dB). */
export const VALIDATION_DEVIATION = 0.1;

export interface TrainingSettings {
  batchSize: number;
  epochs: number;
  sentencesPerEpoch?: number;
  dropout: number;
  channel: ChannelName;
  channelProfile: ProfileName;
  /** Each step's SNR is drawn uniformly from this range. */
  trainSnrDb: readonly [number, number];
  seed: number;
}

export interface TrainingSetup {
  model: Omit<BundleModel, 'dropout'>;
  /** Start values of what learns, [K, …]; copied. */
  start: Weights;
  adam: AdamOptions;
  optimizer: OptimizerFactory;
  data: { train: readonly number[][]; validation: readonly number[][] };
  settings: TrainingSettings;
}

/** One student's epoch. */
export interface EpochReport {
  epoch: number;
  step: number;
  trainLoss: number;
  trainCrossEntropy: number;
  trainDistillation: number;
  validationLoss: number;
  seconds: number;
  tokensPerSecond: number;
}

export interface StepReport {
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
  /** Latest total loss of each student; NaN once it has diverged. */
  trainLoss: number[];
  /** Non-pad target tokens of this step's batch, which every student has seen. */
  targetTokens: number;
  /** Non-pad target tokens a second, summed over the students. */
  tokensPerSecond: number;
}

/** How the caller follows and steers the training. */
export interface TrainingListener {
  onStep?(report: StepReport): void;
  onEpoch?(student: number, report: EpochReport): void;
  /** Trained parameters of one student in our layout: its best so far, or those after every tenth epoch. */
  onCheckpoint?(
    student: number,
    kind: 'best' | 'epoch',
    epoch: number,
    arrays: Map<string, Float32Array>,
  ): void | Promise<void>;
  /** The student's loss is no number any more; the others go on. */
  onDiverged?(student: number, step: number): void;
  /** False once nobody wants this student any more. */
  isWanted?(student: number): boolean;
  /** True once the whole training shall stop. */
  shouldStop?(): boolean;
}

export interface TrainedStudent {
  outcome: 'trained' | 'diverged' | 'cancelled';
  /** Step of the divergence. */
  step?: number;
  epochs: EpochReport[];
  bestLoss: number;
  bestEpoch: number;
  /** Trained parameters at the end, in our layout. */
  arrays: Map<string, Float32Array>;
}

/** Lets messages, signals and timers through between two steps; tf.nextFrame does not in Node. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}

/** How many steps an epoch has. */
export function stepsPerEpoch(settings: TrainingSettings, trainSentences: number): number {
  return Math.ceil(Math.min(settings.sentencesPerEpoch ?? trainSentences, trainSentences) / settings.batchSize);
}

/** Trains K students side by side. Rejects only when the machine fails; a student that diverges is an outcome. */
export async function trainStudents(setup: TrainingSetup, listener: TrainingListener = {}): Promise<TrainedStudent[]> {
  const { settings, data } = setup;
  const students = setup.model.temperature.length;
  const parameters = setup.optimizer(setup.start, setup.adam);
  const lengths = data.train.map((row) => row.length);
  const validation = validationBatches(data.validation, settings);
  const perEpoch = stepsPerEpoch(settings, data.train.length);
  const states = Array.from(
    { length: students },
    (): TrainedStudent => ({
      outcome: 'trained',
      epochs: [],
      bestLoss: Number.POSITIVE_INFINITY,
      bestEpoch: 0,
      arrays: new Map(),
    }),
  );
  const runs = (k: number) => states[k]?.outcome === 'trained';
  let step = 0;
  try {
    for (let epoch = 1; epoch <= settings.epochs; epoch++) {
      const plan = planEpoch({
        lengths,
        batchSize: settings.batchSize,
        ...(settings.sentencesPerEpoch === undefined ? {} : { sentences: settings.sentencesPerEpoch }),
        stream: new RandomStream(settings.seed, 'order', epoch),
        buckets: true,
      });
      const meter = new EpochMeter(students);
      for (const indices of plan) {
        step += 1;
        const batch = collate(data.train, indices);
        const use = drawChannel(batch, settings, step);
        const model = { ...setup.model, dropout: dropoutOf(settings, step) };
        const { values, gradients } = parameters.withValues((trained) => bundleGradients(model, trained, batch, use));
        parameters.step(gradients);
        for (const gradient of gradients.values()) gradient.dispose();
        const targetTokens = realTargets(batch);
        meter.add(values, targetTokens);
        for (let k = 0; k < students; k++) {
          const state = states[k] as TrainedStudent;
          if (runs(k) && !Number.isFinite(values.total[k])) {
            state.outcome = 'diverged';
            state.step = step;
            listener.onDiverged?.(k, step);
          } else if (runs(k) && listener.isWanted?.(k) === false) state.outcome = 'cancelled';
        }
        listener.onStep?.({
          epoch,
          epochs: settings.epochs,
          step,
          steps: perEpoch * settings.epochs,
          trainLoss: values.total,
          targetTokens,
          tokensPerSecond: meter.tokensPerSecond(),
        });
        if (listener.shouldStop?.() || !states.some((_, k) => runs(k))) return states;
        await nextTurn();
      }
      const losses = validationLosses(setup.model, parameters, validation);
      for (let k = 0; k < students; k++) {
        if (!runs(k)) continue;
        const state = states[k] as TrainedStudent;
        const report = meter.report(k, { epoch, step, validationLoss: losses[k] as number });
        state.epochs.push(report);
        const isBest = report.validationLoss < state.bestLoss;
        if (isBest) Object.assign(state, { bestLoss: report.validationLoss, bestEpoch: epoch });
        if (isBest || epoch % 10 === 0) {
          const arrays = studentArrays(parameters, k);
          if (isBest) await listener.onCheckpoint?.(k, 'best', epoch, arrays);
          if (epoch % 10 === 0) await listener.onCheckpoint?.(k, 'epoch', epoch, arrays);
        }
        listener.onEpoch?.(k, report);
      }
    }
    for (let k = 0; k < students; k++) if (runs(k)) (states[k] as TrainedStudent).arrays = studentArrays(parameters, k);
    return states;
  } finally {
    parameters.dispose();
  }
}

function studentArrays(parameters: TrainedParameters, student: number): Map<string, Float32Array> {
  return parameters.withValues((values) => groupArrays(values, student));
}

/** Target tokens of a batch that are no pads: every row's length minus one. */
function realTargets(batch: Batch): number {
  let real = 0;
  for (const id of batch.ids) real += id === 0 ? 0 : 1;
  return real - batch.size;
}

/** The channel of one training step: SNR, noise and fading from their own streams, common to teacher and students. */
function drawChannel(batch: Batch, settings: TrainingSettings, step: number): ChannelUse {
  const { seed, channel, channelProfile: profile } = settings;
  const [low, high] = settings.trainSnrDb;
  const snrDb = low + (high - low) * new RandomStream(seed, 'snr', step).uniform();
  return drawUse(
    batch,
    { channel, profile, deviation: noiseDeviation(snrDb) },
    (purpose) => new RandomStream(seed, purpose, step),
  );
}

/** Noise and fading draws for a batch. */
export function drawUse(
  batch: Batch,
  use: Pick<ChannelUse, 'channel' | 'profile' | 'deviation'>,
  streamFor: (purpose: 'noise' | 'fading') => RandomStream,
): ChannelUse {
  const noise = new Float32Array(batch.ids.length * CHANNEL_WIDTH);
  if (use.channel !== 'ideal') streamFor('noise').fillNormal(noise);
  if (use.channel === 'awgn' || use.channel === 'ideal') return { ...use, noise };
  const fading = new Float32Array(2 * fadingPairs(use.profile, batch.size));
  streamFor('fading').fillNormal(fading);
  return { ...use, noise, fading };
}

/**
 * Dropout of one step: site i's mask is a function of (seed, step, i) and the rows, not of how many students share the bundle, so a
 * student trained alone drops the same units.
 */
function dropoutOf(settings: TrainingSettings, step: number): Dropout | undefined {
  const { dropout: rate, seed } = settings;
  if (rate === 0) return undefined;
  let site = 0;
  return () => {
    site += 1;
    return { rate, stream: new RandomStream(seed, 'dropout', step, site), firstRow: 0 };
  };
}

interface ValidationBatch {
  batch: Batch;
  use: ChannelUse;
  real: number;
}

/** Held-out sentences in batches of like length, with fixed draws: every epoch and every student meets the same. */
function validationBatches(sentences: readonly number[][], settings: TrainingSettings): ValidationBatch[] {
  const order = longestFirst(
    sentences.map((row) => row.length),
    sentences.map((_, i) => i),
  );
  const out: ValidationBatch[] = [];
  for (let from = 0; from < order.length; from += 256) {
    const batch = collate(sentences, order.subarray(from, from + 256));
    const use = drawUse(
      batch,
      { channel: settings.channel, profile: settings.channelProfile, deviation: VALIDATION_DEVIATION },
      (purpose) => new RandomStream(0, `validation-${purpose}`, from),
    );
    out.push({ batch, use, real: realTargets(batch) });
  }
  return out;
}

/** Cross-entropy a real token of each student over the validation sentences, nats. */
function validationLosses(
  model: Omit<BundleModel, 'dropout'>,
  parameters: TrainedParameters,
  batches: ValidationBatch[],
): number[] {
  const sums = model.temperature.map(() => 0);
  let tokens = 0;
  for (const { batch, use, real } of batches) {
    const { crossEntropy } = parameters.withValues((trained) => bundleLosses(model, trained, batch, use));
    crossEntropy.forEach((loss, k) => {
      sums[k] = (sums[k] as number) + loss * real;
    });
    tokens += real;
  }
  return sums.map((sum) => sum / tokens);
}

/** Means of an epoch, weighted by real tokens, and its speed. */
class EpochMeter {
  private readonly started = performance.now();
  private readonly sums: { total: number; crossEntropy: number; distillation: number }[];
  private tokens = 0;

  constructor(private readonly students: number) {
    this.sums = Array.from({ length: students }, () => ({ total: 0, crossEntropy: 0, distillation: 0 }));
  }

  add(values: { total: number[]; crossEntropy: number[]; distillation: number[] }, tokens: number): void {
    this.sums.forEach((sum, k) => {
      for (const part of ['total', 'crossEntropy', 'distillation'] as const)
        sum[part] += (values[part][k] as number) * tokens;
    });
    this.tokens += tokens;
  }

  tokensPerSecond(): number {
    return (this.students * this.tokens) / this.seconds();
  }

  report(student: number, rest: Pick<EpochReport, 'epoch' | 'step' | 'validationLoss'>): EpochReport {
    const sum = this.sums[student] as { total: number; crossEntropy: number; distillation: number };
    return {
      ...rest,
      trainLoss: sum.total / this.tokens,
      trainCrossEntropy: sum.crossEntropy / this.tokens,
      trainDistillation: sum.distillation / this.tokens,
      seconds: this.seconds(),
      tokensPerSecond: this.tokensPerSecond(),
    };
  }

  private seconds(): number {
    return (performance.now() - this.started) / 1000;
  }
}
