// The JSON Schema of report.json, so that other programs can rely on it; docs/report.schema.json is this, word for word.
import { HYPERPARAMETER_NAMES } from '../fields.js';
import { CHANNEL_PROFILES, CHANNELS } from '../terms.js';
import {
  CURVES,
  DECODED_CURVES,
  DIVERGENCE_CURVES,
  LIKELIHOOD_CURVES,
  type Report,
  TESTED_MEASURES,
} from './report.js';

type Schema = { [keyword: string]: unknown };

const text: Schema = { type: 'string' };
const number: Schema = { type: 'number' };
const count: Schema = { type: 'integer', minimum: 0 };
const flag: Schema = { type: 'boolean' };
const maybe = (schema: Schema): Schema => ({ ...schema, type: [schema.type, 'null'] });
const listOf = (items: Schema): Schema => ({ type: 'array', items });
const choice = (...values: readonly unknown[]): Schema => ({ type: 'string', enum: values });

/** Exactly these properties; a trailing '?' marks what may be absent. */
function exactly(properties: Record<string, Schema>): Schema {
  const names = Object.keys(properties);
  return {
    type: 'object',
    additionalProperties: false,
    required: names.filter((name) => !name.endsWith('?')),
    properties: Object.fromEntries(names.map((name) => [name.replace(/\?$/, ''), properties[name]])),
  };
}

const each = (names: readonly string[], schema: Schema) =>
  exactly(Object.fromEntries(names.map((name) => [`${name}?`, schema])));
const described = (schema: Schema, description: string): Schema => ({ ...schema, description });

const numbers = listOf(number);
const estimateParts = { n: count, mean: number, sd: maybe(number), low: maybe(number), high: maybe(number) };
const estimate = described(exactly(estimateParts), 'Mean over seeds with sd and 95 % t-interval; null with one seed.');
const maybeEstimate: Schema = { ...exactly(estimateParts), type: ['object', 'null'] };
const interval = exactly({ low: number, high: number });
const curve = exactly({
  n: count,
  mean: numbers,
  sd: maybe(numbers),
  low: maybe(numbers),
  high: maybe(numbers),
});
const hyperparameters: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: Object.fromEntries(HYPERPARAMETER_NAMES.map((name) => [name, {}])),
};
const hyperparameterName = choice(...HYPERPARAMETER_NAMES);
const parameters = exactly({ total: count, core: count });
const file = exactly({ name: text, sha256: text });
const texts = exactly({ en: text, zh: text });
const aim = exactly({ setting: count, indistinguishable: listOf(count) });
const measure = choice(...TESTED_MEASURES);
const role = choice('requested', 'baseline', 'reference');
const numerics = exactly({ backend: text, library: text, threads: count, device: text });

const setting = exactly({
  label: text,
  kind: choice('distilled', 'baseline'),
  role,
  values: hyperparameters,
  series: text,
  seeds: listOf({ type: 'integer' }),
  trialIds: listOf(text),
  validationLoss: estimate,
  finalLoss: estimate,
  curves: described(each(CURVES, curve), 'Over evaluation.snrDb; a measure that the records lack is absent.'),
  atHeadline: each(CURVES, estimate),
  meanOverSnr: each(CURVES, estimate),
  'crossed?': exactly({ jsd: interval, bleu1: interval }),
  gapShare: maybe(number),
  learning: listOf(exactly({ epoch: count, ...estimateParts })),
  parameters,
  compressionRatio: number,
  compressionRatioCore: number,
  bytes: count,
  macsPerSentence: count,
});

const comparison = exactly({
  family: choice('settings', 'baseline'),
  measure,
  a: count,
  b: count,
  n: count,
  difference: number,
  low: number,
  high: number,
  sd: number,
  hedgesG: maybe(number),
  crossed: { ...interval, type: ['object', 'null'] },
  p: number,
  pHolm: number,
  tests: count,
  isSignificant: flag,
});

const trend = exactly({
  measure,
  series: text,
  settings: listOf(count),
  scale: choice('log2', 'linear'),
  n: count,
  levels: count,
  pageL: number,
  p: number,
  direction: choice('falls', 'rises', 'none'),
  slope: estimate,
  isSameInAllSeeds: flag,
  isMonotone: flag,
  pHolm: number,
  tests: count,
  isSignificant: flag,
});

const verdict = exactly({
  series: text,
  conclusion: choice(
    'nothing-completed',
    'one-setting',
    'single-seed',
    'not-tested',
    'no-significant-difference',
    'significant-trend',
    'significant-differences',
  ),
  ranking: listOf(count),
  'largestGap?': aim,
  'balanced?': aim,
  'smallestGap?': aim,
  'ruleOfThumb?': choice('supported', 'contradicted', 'mixed', 'undecided'),
  'power?': exactly({
    seeds: count,
    sd: number,
    alpha: number,
    detectable: number,
    largestUnseen: maybe(number),
    seedsNeeded: maybe(count),
  }),
  text: listOf(texts),
});

const crossSection = exactly({
  channel: choice(...CHANNELS),
  channelProfile: choice(...CHANNEL_PROFILES),
  snrDb: number,
  sentences: count,
  parties: listOf(maybe(count)),
  bleu1: listOf(listOf(maybeEstimate)),
  mismatch: listOf(listOf(maybeEstimate)),
  otherSeeds: listOf(listOf(maybe(number))),
  models: listOf(exactly({ label: text, sha256: text })),
  pairs: listOf(numbers),
});

const run = exactly({
  sweepId: text,
  owner: text,
  createdAt: text,
  numerics: listOf(numerics),
  trials: listOf(
    exactly({
      trialId: text,
      worker: text,
      startedAt: text,
      finishedAt: text,
      trainingSeconds: number,
      evaluationSeconds: number,
      tokensPerSecond: number,
      files: listOf(file),
    }),
  ),
  speed: listOf(
    exactly({
      trainingSeconds: estimate,
      evaluationSeconds: estimate,
      tokensPerSecond: estimate,
      latencyMs: maybe(number),
    }),
  ),
  teacherLatencyMs: maybe(number),
  cost: exactly({
    expected: {
      oneOf: [
        { type: 'null' },
        exactly({
          deviceSeconds: number,
          wallSeconds: number,
          workers: count,
          source: choice('same-shape', 'same-device', 'stated-rate'),
        }),
      ],
    },
    deviceSeconds: number,
  }),
});

const architecture = exactly({
  vocabularySize: count,
  dModel: count,
  dff: count,
  heads: count,
  encoderLayers: count,
  decoderLayers: count,
});

/** Every property of Report has its schema: one that is forgotten does not compile. */
const PROPERTIES: Record<keyof Report, Schema> = {
  format: { type: 'integer', enum: [2] },
  name: text,
  kind: choice('sweep', 'distillation'),
  teacher: exactly({ teacherId: text, name: text, architecture, parameters, bytes: count, macsPerSentence: count }),
  corpus: exactly({
    corpusId: text,
    name: text,
    vocabularySize: count,
    sentences: exactly({ train: count, test: count }),
  }),
  evaluation: exactly({ snrDb: numbers, sentences: count }),
  headlineSnrDb: number,
  seeds: listOf({ type: 'integer' }),
  varied: listOf(hyperparameterName),
  axis: { type: ['string', 'null'], enum: [...HYPERPARAMETER_NAMES, null] },
  fixed: hyperparameters,
  counts: exactly({ trials: count, completed: count, failed: count, pruned: count, missing: count }),
  settings: listOf(setting),
  trials: listOf(
    exactly({
      trialId: text,
      setting: count,
      seed: { type: 'integer' },
      validationLoss: number,
      bestEpoch: count,
      finalLoss: number,
      atHeadline: each(CURVES, number),
      meanOverSnr: each(CURVES, number),
    }),
  ),
  anchors: {
    ...exactly({
      teacher: each([...DECODED_CURVES, ...LIKELIHOOD_CURVES], numbers),
      floor: each(DIVERGENCE_CURVES, numbers),
      ceiling: each(DIVERGENCE_CURVES, numbers),
    }),
    type: ['object', 'null'],
  },
  comparisons: listOf(comparison),
  trends: listOf(trend),
  isPairTestingOmitted: flag,
  verdicts: listOf(verdict),
  crossDecoding: { ...crossSection, type: ['object', 'null'] },
  importances: listOf(exactly({ name: hyperparameterName, levels: count, share: number })),
  findings: listOf(exactly({ code: text, settings: listOf(count), text: texts })),
  failures: listOf(exactly({ trialId: text, label: text, seed: { type: 'integer' }, reason: text, 'step?': count })),
  pruned: listOf(
    exactly({
      trialId: text,
      label: text,
      seed: { type: 'integer' },
      reason: text,
      cause: choice('budget', 'early-stopping'),
      'epochs?': count,
      'validationLoss?': number,
      'value?': maybe(number),
    }),
  ),
  missing: listOf(text),
  warnings: listOf(exactly({ code: text, message: text })),
  reproduction: exactly({ command: text, request: { type: 'object' } }),
  hashes: exactly({ teacher: listOf(file), corpus: listOf(file) }),
  run: described(run, 'What differs between two runs of one sweep: ids, times, machines. All else is equal.'),
};

export const REPORT_SCHEMA: Schema = {
  title: 'semdistill report',
  description:
    'report.json of a settled sweep; those that earlier versions wrote have format 1 and lack what is new. Indices of settings count into `settings`.',
  ...exactly(PROPERTIES),
};
