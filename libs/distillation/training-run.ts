// A training that can be stopped after any step and taken up again, here or in another process, to the same bytes: it does one
// step or one epoch's end at a time, and its whole state is a snapshot. It knows no listener, no files and no messages.
import type * as tf from '@tensorflow/tfjs-core';
import { collate, groupArrays, planEpoch, RandomStream } from '#semcom';
import type { AdamState, TrainedParameters } from './adam.js';
import { drawChannel, dropoutOf } from './draws.js';
import { EpochMeter, type EpochMeterState, type EpochReport } from './epoch-meter.js';
import { isProjection } from './features.js';
import { discardTape, gradientsInParts, isOutOfMemory, realTargets } from './micro-batches.js';
import type { StepResult } from './step.js';
import { type StepReport, stepsPerEpoch, type TrainedStudent, type TrainingSetup } from './train.js';
import { type ValidationBatch, validationBatches, validationLosses } from './validation.js';
import { weightAt } from './weight-schedule.js';

/** From this step on a batch was computed in so many parts, because the whole did not fit the memory. */
export interface MicroBatching {
  step: number;
  parts: number;
}

/** What the rest of a training depends on besides the parameters; plain values, which may hold NaN and infinity. */
export interface TrainingState {
  /** steps done */
  step: number;
  /** epochs ended; the one after them is under way when `step` is beyond their steps */
  epochsEnded: number;
  students: Omit<TrainedStudent, 'arrays'>[];
  meter: EpochMeterState;
  microBatching: MicroBatching[];
  /** spent training, over all processes */
  seconds: number;
}

/** A moment of a training. `parameters` are by reference while held, plain arrays when restored. */
export interface TrainingSnapshot<Values> {
  state: TrainingState;
  parameters: AdamState<Values>;
}

export class TrainingRun {
  readonly parameters: TrainedParameters;
  readonly students: TrainedStudent[];
  private step = 0;
  private epochsEnded = 0;
  private meter: EpochMeter;
  private plan: { epoch: number; batches: Int32Array[] } | undefined;
  private microBatching: MicroBatching[] = [];
  private secondsBefore = 0;
  private readonly started = performance.now();
  private readonly lengths: number[];
  private readonly validation: ValidationBatch[];
  private readonly perEpoch: number;

  constructor(private readonly setup: TrainingSetup) {
    const { model, settings, data } = setup;
    this.lengths = data.train.map((row) => row.length);
    this.validation = validationBatches(data.validation, settings);
    this.perEpoch = stepsPerEpoch(settings, data.train.length);
    this.meter = new EpochMeter(model.temperature.length);
    this.students = model.temperature.map(() => ({
      outcome: 'trained',
      epochs: [],
      bestLoss: Number.POSITIVE_INFINITY,
      bestEpoch: 0,
      arrays: new Map(),
    }));
    this.microBatching = [...(setup.microBatching ?? [])];
    this.parameters = setup.optimizer(setup.start, setup.adam);
  }

  get stepsDone(): number {
    return this.step;
  }

  /** Every epoch has ended. */
  get isOver(): boolean {
    return this.epochsEnded >= this.setup.settings.epochs;
  }

  /** The steps of an epoch are done, and its end (validation) is what comes next. */
  get isAtEpochEnd(): boolean {
    return this.step === (this.epochsEnded + 1) * this.perEpoch;
  }

  /** An epoch has ended, and the next one's first step is what comes next. */
  get isBetweenEpochs(): boolean {
    return this.epochsEnded > 0 && this.step === this.epochsEnded * this.perEpoch;
  }

  get epochsDone(): number {
    return this.epochsEnded;
  }

  /** In how many parts a batch is computed. */
  get parts(): number {
    return this.microBatching.at(-1)?.parts ?? 1;
  }

  get microBatches(): readonly MicroBatching[] {
    return this.microBatching;
  }

  seconds(): number {
    return this.secondsBefore + (performance.now() - this.started) / 1000;
  }

  isRunning(student: number): boolean {
    return this.students[student]?.outcome === 'trained';
  }

  /** One step of all students; those whose loss is no number any more are marked diverged. Throws when the machine fails. */
  takeStep(): StepReport {
    const { settings, data } = this.setup;
    const step = this.step + 1;
    const batch = collate(data.train, this.batchOf(step));
    const use = drawChannel(batch, settings, step);
    const { values, gradients } = this.withinMemory(step, batch.size, () =>
      this.parameters.withValues((trained) =>
        gradientsInParts(
          (rows) => ({ ...this.modelAt(step), dropout: dropoutOf(settings, step, rows) }),
          trained,
          batch,
          use,
          this.parts,
        ),
      ),
    );
    this.parameters.step(gradients);
    for (const gradient of gradients.values()) gradient.dispose();
    this.step = step;
    const targetTokens = realTargets(batch);
    this.meter.add(values, targetTokens);
    this.markDiverged(values);
    return {
      epoch: this.epochsEnded + 1,
      epochs: settings.epochs,
      step,
      steps: this.perEpoch * settings.epochs,
      trainLoss: values.total,
      targetTokens,
      tokensPerSecond: this.meter.tokensPerSecond(),
    };
  }

  /** Validates and closes the epoch whose steps are done; reports of the students that still run, with whether it is their best. */
  endEpoch(): { student: number; report: EpochReport; isBest: boolean }[] {
    const { model } = this.setup;
    const losses = this.withinMemory(this.step, this.validation[0]?.batch.size ?? 1, () =>
      validationLosses(model, this.parameters, this.validation, this.parts),
    );
    const epoch = this.epochsEnded + 1;
    const ended = [];
    for (const [student, state] of this.students.entries()) {
      if (!this.isRunning(student)) continue;
      const report = this.meter.report(student, {
        epoch,
        step: this.step,
        validationLoss: losses[student] as number,
      });
      state.epochs.push(report);
      const isBest = report.validationLoss < state.bestLoss;
      if (isBest) Object.assign(state, { bestLoss: report.validationLoss, bestEpoch: epoch });
      ended.push({ student, report, isBest });
    }
    this.epochsEnded = epoch;
    this.meter = new EpochMeter(this.students.length);
    return ended;
  }

  /** The model that one student has become so far, in our layout: what learned of it, without maps between widths. */
  arraysOf(student: number): Map<string, Float32Array> {
    return this.parameters.withValues((values) =>
      groupArrays(new Map([...values].filter(([name]) => !isProjection(name))), student),
    );
  }

  /** The state of this moment; its tensors are held by reference (no copy is made) and the caller's to dispose. */
  snapshot(): TrainingSnapshot<tf.Tensor> {
    return {
      state: {
        step: this.step,
        epochsEnded: this.epochsEnded,
        students: this.students.map(({ arrays: _, ...state }) => ({ ...state, epochs: [...state.epochs] })),
        meter: this.meter.state(),
        microBatching: [...this.microBatching],
        seconds: this.seconds(),
      },
      parameters: this.parameters.hold(),
    };
  }

  /** Goes on from a snapshot of a training with the same setup, before the first step. Throws when it does not fit. */
  restore({ state, parameters }: TrainingSnapshot<Float32Array>): void {
    if (state.students.length !== this.students.length)
      throw new Error(`the saved state is of ${state.students.length} students, not of ${this.students.length}`);
    this.parameters.restore(parameters);
    this.step = state.step;
    this.epochsEnded = state.epochsEnded;
    this.meter = new EpochMeter(this.students.length, state.meter);
    this.microBatching = [...state.microBatching];
    this.secondsBefore = state.seconds;
    for (const [k, saved] of state.students.entries())
      Object.assign(this.students[k] as TrainedStudent, { ...saved, epochs: [...saved.epochs] });
  }

  dispose(): void {
    this.parameters.dispose();
  }

  /** The model with the weights of this step. */
  private modelAt(step: number): TrainingSetup['model'] {
    const { model, schedules, settings } = this.setup;
    if (!schedules) return model;
    const steps = this.perEpoch * settings.epochs;
    return {
      ...model,
      distillWeight: model.distillWeight.map((start, k) => weightAt(start, schedules[k], step, steps)),
    };
  }

  /** Sentences of a step; the order of an epoch is a pure function of the seed. */
  private batchOf(step: number): Int32Array {
    const { settings } = this.setup;
    const epoch = this.epochsEnded + 1;
    if (this.plan?.epoch !== epoch) {
      const batches = planEpoch({
        lengths: this.lengths,
        batchSize: settings.batchSize,
        ...(settings.sentencesPerEpoch === undefined ? {} : { sentences: settings.sentencesPerEpoch }),
        stream: new RandomStream(settings.seed, 'order', epoch),
        buckets: true,
      });
      this.plan = { epoch, batches };
    }
    return this.plan.batches[step - 1 - this.epochsEnded * this.perEpoch] as Int32Array;
  }

  private markDiverged(values: StepResult['values']): void {
    for (const [k, state] of this.students.entries()) {
      if (!this.isRunning(k) || Number.isFinite(values.total[k])) continue;
      state.outcome = 'diverged';
      state.step = this.step;
    }
  }

  /**
   * Does work that leaves parameters alone; when it runs out of memory, it is done again in twice as many parts, and so is all
   * that follows. No step is lost, for no parameter has changed.
   */
  private withinMemory<T>(step: number, rows: number, work: () => T): T {
    for (;;) {
      try {
        return work();
      } catch (error) {
        const parts = 2 * this.parts;
        if (!isOutOfMemory(error) || parts > rows) throw error;
        discardTape();
        this.microBatching.push({ step, parts });
      }
    }
  }
}
