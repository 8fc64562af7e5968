// The stronger dials of a graded gap: what a student asks of the loss, of the teacher's weight over time and of its data. They are absent
// from a trial that leaves them as usual, so that its id and its finished result are those it always had.
import type { Fault } from './errors.js';
import { type Field, HYPERPARAMETER_FIELDS } from './fields.js';
import type { CorpusRecord, Hyperparameters } from './records.js';

/** Every dial that a trial may leave out. */
export const DIALS = [
  'distillLoss',
  'labelSmoothing',
  'weightSchedule',
  'finalWeight',
  'hardWeight',
  'featureWeight',
  'featureTaps',
  'featureKind',
  'trainShare',
  'trainTopWords',
  'trainWords',
] as const satisfies (keyof Hyperparameters)[];

/** Dials that turn what the teacher says; without a teacher they say nothing. */
const TEACHER_DIALS = [
  'temperature',
  'distillWeight',
  'distillLoss',
  'weightSchedule',
  'finalWeight',
  'hardWeight',
  'featureWeight',
  'featureTaps',
  'featureKind',
] as const satisfies (keyof Hyperparameters)[];

export function isTeacherDial(name: string): boolean {
  return (TEACHER_DIALS as readonly string[]).includes(name);
}

/** Whether a teacher has a say at any time: a trial without is the baseline. */
export function isTaught(
  hyperparameters: Pick<Hyperparameters, 'distillWeight' | 'weightSchedule' | 'finalWeight' | 'featureWeight'>,
): boolean {
  return hasSoftTerm(hyperparameters) || (hyperparameters.featureWeight ?? 0) > 0;
}

/** Whether the teacher's output counts at any time. */
export function hasSoftTerm({
  distillWeight,
  weightSchedule,
  finalWeight = 0,
}: Pick<Hyperparameters, 'distillWeight' | 'weightSchedule' | 'finalWeight'>): boolean {
  return distillWeight > 0 || (isScheduled(weightSchedule) && finalWeight > 0);
}

/** What makes a setting its own baseline: the same student, data and budget, and nobody who teaches. */
export const WITHOUT_TEACHER: Partial<Hyperparameters> = {
  distillWeight: 0,
  distillLoss: 'kl',
  weightSchedule: 'constant',
  hardWeight: 1,
  featureWeight: 0,
};

/** Whether the engine's own operation does not know the loss that the student asks for: such students share no bundle with others. */
export function hasComposedLoss({ distillLoss = 'kl', labelSmoothing = 0 }: Hyperparameters): boolean {
  return distillLoss !== 'kl' || labelSmoothing > 0;
}

/** A hyperparameter's value, the field's default where the trial leaves it as usual. */
export function hyperparameterOf<Name extends keyof Hyperparameters>(
  hyperparameters: Hyperparameters,
  name: Name,
): Hyperparameters[Name] {
  return hyperparameters[name] ?? ((HYPERPARAMETER_FIELDS[name] as Field).default as Hyperparameters[Name]);
}

/** Takes out, in place, each dial that is as usual or that nothing depends on. */
export function dropIdleDials(h: Hyperparameters, corpus: CorpusRecord): void {
  if (!isScheduled(h.weightSchedule) || h.finalWeight === h.distillWeight) delete h.weightSchedule;
  if (h.weightSchedule === undefined) delete h.finalWeight;
  if (h.distillLoss === 'kl' || !hasSoftTerm(h)) delete h.distillLoss;
  if (!h.weightSchedule && Math.abs((h.hardWeight ?? 0) - (1 - h.distillWeight)) < 1e-9) delete h.hardWeight;
  if (!h.featureWeight) delete h.featureWeight;
  if (h.featureWeight === undefined || h.featureTaps === 'both') delete h.featureTaps;
  if (h.featureWeight === undefined || h.featureKind === 'hidden') delete h.featureKind;
  if (h.featureWeight !== undefined && keepsTransmitter(h)) h.featureTaps = 'decoder';
  const hasHardTerm = (h.hardWeight ?? 1 - Math.min(h.distillWeight, h.finalWeight ?? h.distillWeight)) > 0;
  if (!h.labelSmoothing || !hasHardTerm) delete h.labelSmoothing;
  if (h.trainShare === 1) delete h.trainShare;
  const [fewest, most] = h.trainWords ?? [0, Number.POSITIVE_INFINITY];
  if (fewest <= 1 && most >= corpus.maxTokens - 2) delete h.trainWords;
}

/** What cannot be trained at all. */
export function dialFaults(h: Hyperparameters, path: (name: string) => string): Fault[] {
  const faults: Fault[] = [];
  if (h.hardWeight === 0 && !isTaught(h)) {
    const message = 'is 0, and so is the weight of the teacher: nothing is left to learn from; raise one of them';
    faults.push({ path: path('hardWeight'), message });
  }
  if (h.featureWeight && h.featureTaps === 'encoder' && keepsTransmitter(h)) {
    const message =
      "'encoder' matches the semantic encoder, but with distillPart decoder it is the teacher's own; use 'decoder', or freezeKeptSide false";
    faults.push({ path: path('featureTaps'), message });
  }
  return faults;
}

/** How many places of hidden states are matched. */
export function matchedTaps({ featureWeight = 0, featureTaps = 'both' }: Hyperparameters): number {
  return featureWeight === 0 ? 0 : featureTaps === 'both' ? 2 : 1;
}

/** Whether the student learns from a part of the training sentences only. */
export function isSliced({ trainShare, trainTopWords, trainWords }: Hyperparameters): boolean {
  return trainShare !== undefined || trainTopWords !== undefined || trainWords !== undefined;
}

function keepsTransmitter({ distillPart, freezeKeptSide }: Hyperparameters): boolean {
  return distillPart === 'decoder' && freezeKeptSide;
}

function isScheduled(schedule: Hyperparameters['weightSchedule']): boolean {
  return schedule !== undefined && schedule !== 'constant';
}
