// Numbers as people read them: durations, sizes, rates, hyper-parameters.
import { HYPERPARAMETER_NAMES, type Hyperparameters, hyperparameterOf, isTeacherDial } from '#experiment';

/** 4.2 s, 3 min 05 s, 2 h 10 min. */
export function shownSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

export function shownBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** 950, 12.3k, 1.4M. */
export function shownRate(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '';
  if (value < 1000) return String(Math.round(value));
  return value < 1e6 ? `${(value / 1000).toFixed(1)}k` : `${(value / 1e6).toFixed(1)}M`;
}

const SHORT: Partial<Record<keyof Hyperparameters, string>> = {
  temperature: 'T',
  distillWeight: 'w',
  studentLayers: 'layers',
  studentDModel: 'd',
  studentDff: 'dff',
  batchSize: 'batch',
  learningRate: 'lr',
  distillPart: '',
  channel: '',
  init: 'init-',
  distillLoss: '',
  labelSmoothing: 'smoothing',
  finalWeight: 'end',
  hardWeight: 'hard',
  featureWeight: 'features',
  featureTaps: 'taps-',
  featureKind: 'matching-',
};

/** The hyper-parameters (seed left out) in which these trials differ; baselines differ from the rest by being ones. */
export function varyingNames(
  trials: { hyperparameters: Hyperparameters; role?: string | undefined }[],
): (keyof Hyperparameters)[] {
  const asked = trials.filter((trial) => trial.role !== 'baseline');
  const compared = asked.length > 0 ? asked : trials;
  return HYPERPARAMETER_NAMES.filter((name) => {
    const values = new Set(compared.map((trial) => JSON.stringify(hyperparameterOf(trial.hyperparameters, name))));
    return name !== 'seed' && values.size > 1;
  });
}

/** 'T4 w0.7': a trial's values of the named hyper-parameters; a baseline has nothing of the teacher to tell. */
export function shownSetting(
  trial: { hyperparameters: Hyperparameters; role?: string | undefined },
  names: (keyof Hyperparameters)[],
): string {
  const told = trial.role === 'baseline' ? names.filter((name) => !isTeacherDial(name)) : names;
  return told
    .map((name) => `${SHORT[name] ?? `${name}-`}${shownValue(hyperparameterOf(trial.hyperparameters, name))}`)
    .join(' ');
}

function shownValue(value: unknown): string {
  return Array.isArray(value) ? value.join(':') : String(value ?? '-');
}
