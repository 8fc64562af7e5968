// The dials of a bundle's trials in the trainer's words. Where no trial turns one, it is not there at all.
import type { FeatureMatching, FeatureTap, LossDials, TrainingSetup } from '#distillation';
import { type Hyperparameters, hyperparameterOf } from '#experiment';
import { sliceOf } from '#semcom';
import { ImpossibleJob } from './port.js';

/** What the trials ask of the loss besides temperature and weight, one value each. */
export function dialsOf(trials: readonly Hyperparameters[]): { dials?: LossDials } {
  const dials: LossDials = {};
  if (trials.some((h) => h.distillLoss !== undefined))
    dials.divergence = trials.map((h) => hyperparameterOf(h, 'distillLoss') ?? 'kl');
  if (trials.some((h) => h.labelSmoothing !== undefined))
    dials.labelSmoothing = trials.map((h) => h.labelSmoothing ?? 0);
  if (trials.some((h) => h.hardWeight !== undefined)) dials.hardWeight = trials.map((h) => h.hardWeight);
  return Object.keys(dials).length > 0 ? { dials } : {};
}

/** Hidden states that are matched: trials of a bundle agree on whether and where. */
export function featuresOf(trials: readonly Hyperparameters[]): { features?: FeatureMatching } {
  const [first] = trials;
  if (!first?.featureWeight) return {};
  const taps: Record<NonNullable<Hyperparameters['featureTaps']>, FeatureTap[]> = {
    both: ['encOut', 'decOut'],
    encoder: ['encOut'],
    decoder: ['decOut'],
  };
  const features: FeatureMatching = {
    ...(first.featureKind ? { kind: first.featureKind } : {}),
    taps: taps[first.featureTaps ?? 'both'],
    weight: trials.map((h) => h.featureWeight ?? 0),
  };
  return { features };
}

/** How the trials' weights go on. */
export function schedulesOf(trials: readonly Hyperparameters[]): Pick<TrainingSetup, 'schedules'> {
  if (trials.every((h) => h.weightSchedule === undefined)) return {};
  const schedules = trials.map(({ weightSchedule: shape, finalWeight: end = 0 }) =>
    shape === 'linear' || shape === 'cosine' ? { shape, end } : undefined,
  );
  return { schedules };
}

/** The training sentences of the trials' slice, which all of a bundle share. Throws ImpossibleJob where none is left. */
export function slicedTrain(train: number[][], { trainShare, trainTopWords, trainWords }: Hyperparameters): number[][] {
  const kept = sliceOf(train, { share: trainShare, topWords: trainTopWords, words: trainWords });
  if (kept.length > 0) return kept;
  const rules = Object.entries({ trainShare, trainTopWords, trainWords }).filter(([, value]) => value !== undefined);
  const asked = rules.map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(' to ') : value}`).join(', ');
  throw new ImpossibleJob(
    `None of the ${train.length} training sentences lies in the slice (${asked}): there is nothing to learn from; choose a larger one.`,
  );
}

/** The dials that a trial turns, for the log. */
export function shownDials(h: Hyperparameters): string {
  const { distillLoss, labelSmoothing, weightSchedule, finalWeight, hardWeight, featureWeight } = h;
  const { featureTaps = 'both', featureKind = 'hidden' } = h;
  const what = featureKind === 'attention' ? 'attention' : 'features';
  return [
    ...(distillLoss ? [distillLoss] : []),
    ...(labelSmoothing ? [`smoothing ${labelSmoothing}`] : []),
    ...(weightSchedule ? [`${weightSchedule} to ${finalWeight ?? 0}`] : []),
    ...(hardWeight === undefined ? [] : [`hard ${hardWeight}`]),
    ...(featureWeight ? [`${what} ${featureWeight} (${featureTaps})`] : []),
  ]
    .map((dial) => ` ${dial}`)
    .join('');
}
