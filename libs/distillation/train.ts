// The training loop: epochs of seeded batches, one step for K students at once, validation, the best of each student. The order
// of data, the noise and the dropout are pure functions of (seed, step), so equal requests give equal bytes.
import type { ChannelName, ProfileName, Weights } from '#semcom';
import type { AdamOptions, OptimizerFactory } from './adam.js';
import type { EpochReport } from './epoch-meter.js';
import type { BundleModel } from './step.js';
import { type MicroBatching, TrainingRun, type TrainingSnapshot } from './training-run.js';
import type { WeightSchedule } from './weight-schedule.js';

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
  /** How each student's weight alpha goes on from `model.distillWeight`; absent: it stays. */
  schedules?: readonly (WeightSchedule | undefined)[];
  /** Start values of what learns, [K, …]; copied. */
  start: Weights;
  adam: AdamOptions;
  optimizer: OptimizerFactory;
  data: { train: readonly number[][]; validation: readonly number[][] };
  settings: TrainingSettings;
  /** Parts that batches are computed in from the start; absent: whole until memory does not hold them. */
  microBatching?: MicroBatching[];
  /** A moment of this same training to go on from; absent: from the start values. */
  from?: TrainingSnapshot<Float32Array>;
}

export interface StepReport {
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
  /** Latest total loss of each student; NaN once it has diverged. */
  trainLoss: number[];
  /** Non-pad target tokens of this step's batch. */
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
  /** Memory did not hold a whole batch: from this step on it is computed in so many parts. */
  onMicroBatches?(step: number, parts: number): void;
  /** Epochs have ended and the next has not begun, also where a training is taken up there: who is wanted is asked right after. */
  betweenEpochs?(run: TrainingRun): void | Promise<void>;
  /** The run is at rest, between two steps or after an epoch's end: the moment for a snapshot. */
  atRest?(run: TrainingRun): void | Promise<void>;
  /** The training stops before its end; the run is at rest for the last time. */
  onStop?(run: TrainingRun): void | Promise<void>;
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
  const run = new TrainingRun(setup);
  const { students } = run;
  try {
    if (setup.from) run.restore(setup.from);
    while (!run.isOver) {
      if (run.isBetweenEpochs) await listener.betweenEpochs?.(run);
      dropUnwanted(run, listener);
      if (listener.shouldStop?.() || !students.some((_, k) => run.isRunning(k))) {
        await listener.onStop?.(run);
        return students;
      }
      const partsBefore = run.parts;
      if (run.isAtEpochEnd) await endEpoch(run, listener);
      else takeStep(run, listener);
      if (run.parts > partsBefore) listener.onMicroBatches?.(run.microBatches.at(-1)?.step as number, run.parts);
      await listener.atRest?.(run);
      await nextTurn();
    }
    dropUnwanted(run, listener);
    for (const [k, student] of students.entries()) if (run.isRunning(k)) student.arrays = run.arraysOf(k);
    return students;
  } finally {
    run.dispose();
  }
}

function dropUnwanted(run: TrainingRun, listener: TrainingListener): void {
  for (const [k, student] of run.students.entries())
    if (run.isRunning(k) && listener.isWanted?.(k) === false) student.outcome = 'cancelled';
}

function takeStep(run: TrainingRun, listener: TrainingListener): void {
  const ran = run.students.map((_, k) => run.isRunning(k));
  const report = run.takeStep();
  for (const [k, student] of run.students.entries())
    if (ran[k] && student.outcome === 'diverged') listener.onDiverged?.(k, report.step);
  listener.onStep?.(report);
}

async function endEpoch(run: TrainingRun, listener: TrainingListener): Promise<void> {
  for (const { student, report, isBest } of run.endEpoch()) {
    const { epoch } = report;
    if (isBest || epoch % 10 === 0) {
      const arrays = run.arraysOf(student);
      if (isBest) await listener.onCheckpoint?.(student, 'best', epoch, arrays);
      if (epoch % 10 === 0) await listener.onCheckpoint?.(student, 'epoch', epoch, arrays);
    }
    listener.onEpoch?.(student, report);
  }
}
