// The trials of a sweep inside its own record: what all have in common once, and of each what is its own. So one object
// accepts ten thousand trials; trials/<id>/trial.json is written from it, by whoever comes first.
import { canonicalJson } from './identity.js';
import type { PlannedTrial } from './plan.js';
import type { Hyperparameters, SweepRecord, SweepTrial, TrialRecord, TrialSpec } from './records.js';

/** Trials as a sweep's record holds them, in their order. */
export function foldTrials(trials: readonly PlannedTrial[]): Required<Pick<SweepRecord, 'common' | 'trials'>> {
  const [first] = trials;
  if (!first) throw new Error('a sweep without trials');
  const { hyperparameters, ...rest } = first.spec;
  const shared = Object.entries(hyperparameters).filter(([name, value]) => {
    const json = canonicalJson(value);
    return trials.every(({ spec }) => canonicalJson(settingOf(spec, name) ?? null) === json);
  });
  const common = { ...rest, hyperparameters: Object.fromEntries(shared) as Partial<Hyperparameters> };
  const isShared = new Set(shared.map(([name]) => name));
  return {
    common,
    trials: trials.map(({ trialId, role, spec }): SweepTrial => {
      const own = Object.entries(spec.hyperparameters).filter(([name]) => !isShared.has(name));
      return { trialId, role, own: Object.fromEntries(own) as Partial<Hyperparameters> };
    }),
  };
}

/** The trial's record, as any of its sweeps would write it; undefined for sweeps of earlier versions, which wrote it at once. */
export function unfoldTrial(
  { common, createdAt }: Pick<SweepRecord, 'common' | 'createdAt'>,
  { trialId, own }: SweepTrial,
): TrialRecord | undefined {
  if (!common || !own) return undefined;
  const hyperparameters = { ...common.hyperparameters, ...own } as Hyperparameters;
  return { trialId, spec: { ...common, hyperparameters }, createdAt };
}

const indexes = new WeakMap<object, Map<string, SweepTrial>>();

/** As unfoldTrial, by the trial's id; undefined also when it is not of this sweep. */
export function trialInSweep(sweep: SweepRecord, trialId: string): TrialRecord | undefined {
  const index = indexes.get(sweep) ?? new Map(sweep.trials.map((trial) => [trial.trialId, trial]));
  indexes.set(sweep, index);
  const trial = index.get(trialId);
  return trial && unfoldTrial(sweep, trial);
}

function settingOf({ hyperparameters }: TrialSpec, name: string): unknown {
  return hyperparameters[name as keyof Hyperparameters];
}
