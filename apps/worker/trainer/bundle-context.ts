// What training, measuring and writing a bundle have in common.
import type { Engine } from '#engine';
import type { Hyperparameters } from '#experiment';
import type { TrainerJob } from '../trainer-protocol.js';
import type { Model } from './files.js';
import type { TrainerPort } from './port.js';

export type BundleJob = Extract<TrainerJob, { kind: 'bundle' }>;

/** What all trials of the bundle have in common. */
export interface BundleContext {
  job: BundleJob;
  engine: Engine;
  workFolder: string;
  port: TrainerPort;
  teacher: Model;
  student: Model['shape'];
  /** The first trial's; the others differ in temperature, weights, loss, learning rate and weight decay at most. */
  hyperparameters: Hyperparameters;
  /** Training sentences there are for the students. */
  trainSentences: number;
  /** How often a checkpoint is written. */
  checkpointMs: number;
}

export function kindOf(hyperparameters: Hyperparameters) {
  return { part: hyperparameters.distillPart, freezeKeptSide: hyperparameters.freezeKeptSide };
}

/** What a model file says of itself. */
export function metadataOf(context: BundleContext, trial: BundleJob['trials'][number], more: Record<string, string>) {
  const { temperature, distillWeight, distillPart, seed } = trial.spec.hyperparameters;
  return {
    trialId: trial.trialId,
    teacherId: context.job.teacher.teacherId,
    corpusId: context.job.corpus.corpusId,
    temperature: String(temperature),
    distill_weight: String(distillWeight),
    distill_part: distillPart,
    seed: String(seed),
    ...more,
  };
}
