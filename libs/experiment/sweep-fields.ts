// The fields of a sweep, of its extension and of one distillation, beside those of a hyperparameter (fields.ts).
import { type Field, MAX_TRIALS, PLACEMENT_FIELDS, SEED_RANGE } from './fields.js';
import { SEARCHES, STOPPING_MEASURES } from './terms.js';

const TEACHER_REFERENCE = {
  kind: 'name',
  meaning: 'Id or name of the teacher',
  required: true,
  example: 'demo',
} as const satisfies Field;

const CORPUS_REFERENCE = {
  kind: 'name',
  meaning: 'Id or name of the corpus',
  defaultMeaning: "the teacher's",
} as const satisfies Field;

const RUN_NAME = {
  kind: 'text',
  meaning: 'What people call it',
  defaultMeaning: 'made from what varies',
  maxLength: 200,
} as const satisfies Field;

export const SWEEP_FIELDS = {
  name: RUN_NAME,
  teacher: TEACHER_REFERENCE,
  corpus: CORPUS_REFERENCE,
  base: {
    kind: 'object',
    meaning: 'Hyperparameters that all trials share',
    default: {},
    example: { studentLayers: 2 },
  },
  vary: {
    kind: 'object',
    meaning: 'Hyperparameter -> list of values; all combinations are trained',
    example: { temperature: [1, 2, 4, 8] },
  },
  trials: {
    kind: 'settings',
    meaning: 'Hyperparameters of each setting, in place of vary; with a random search how many settings are drawn',
    minItems: 1,
    maxItems: MAX_TRIALS,
    example: [{ temperature: 2 }, { temperature: 8 }],
  },
  search: {
    kind: 'choice',
    meaning: 'How settings are found: all combinations of vary, drawn from space, or listed in trials',
    defaultMeaning: 'random with space, list with trials, else grid',
    choices: SEARCHES,
  },
  space: {
    kind: 'object',
    meaning:
      'Hyperparameter -> what a random search draws from: {"uniform": [low, high]}, {"logUniform": [low, high]}, {"int": [low, high]}, or a list to choose from',
    example: { learningRate: { logUniform: [1e-5, 1e-2] }, temperature: [1, 2, 4, 8] },
  },
  searchSeed: {
    kind: 'integer',
    meaning: 'Seed of the draws of a random search; the same seed and space draw the same settings',
    default: 0,
    ...SEED_RANGE,
  },
  seeds: {
    kind: 'seeds',
    meaning: 'Each setting is trained once per seed: a list of seeds, or n for 1 to n',
    default: 3,
    maxItems: 1000,
    ...SEED_RANGE,
  },
  baseline: {
    kind: 'boolean',
    meaning: 'Add trials without a teacher (weight 0) on the same budget',
    defaultMeaning: 'true when temperature, distillWeight or another dial of the teacher varies',
  },
  reference: {
    kind: 'boolean',
    meaning: 'Add trials at temperature 1',
    defaultMeaning: 'true when temperature varies',
  },
  budget: {
    kind: 'number',
    meaning:
      'Device-seconds the sweep may take: when its trials have taken them, none is begun any more; those that run are finished',
    defaultMeaning: 'no limit',
    minimum: 0,
    exclusiveMinimum: true,
    maximum: 1e12,
    unit: 'device-seconds',
    example: 36_000,
  },
  earlyStopping: {
    kind: 'object',
    meaning:
      'Students that fall behind stop early (ASHA): after graceEpochs reduction^k epochs only the best 1/reduction of a seed go on',
    defaultMeaning: 'all are trained to the end',
    example: { measure: 'validationLoss', reduction: 3, graceEpochs: 3 },
  },
  crossDecoding: {
    kind: 'boolean',
    meaning: 'Join every transmitter with every receiver when the trials have ended, as far as 16 models',
    default: true,
  },
  evaluation: { kind: 'object', meaning: 'How students are measured', default: {}, example: { sentences: 500 } },
  trialsPerBundle: {
    kind: 'integer',
    meaning: 'At most so many trials are trained together in one process',
    default: 8,
    minimum: 1,
    maximum: 64,
  },
  ...PLACEMENT_FIELDS,
} as const satisfies Record<string, Field>;

/** When students stop early. */
export const EARLY_STOPPING_FIELDS = {
  measure: {
    kind: 'choice',
    meaning: 'What students are compared by, the less the better: validation loss, or JSD to the teacher',
    default: 'validationLoss',
    choices: STOPPING_MEASURES,
    flag: '--early-stopping',
  },
  reduction: {
    kind: 'integer',
    meaning: 'Of those that reach a rung the best one in so many goes on',
    default: 3,
    minimum: 2,
    maximum: 100,
  },
  graceEpochs: {
    kind: 'integer',
    meaning: 'Epochs before the first rung',
    default: 3,
    minimum: 1,
    maximum: 10_000,
  },
} as const satisfies Record<string, Field>;

/** What a sweep may be extended by. */
export const EXTENSION_FIELDS = {
  seeds: {
    kind: 'seeds',
    meaning: 'Further seeds: a list of them, or n for so many more',
    maxItems: 1000,
    ...SEED_RANGE,
    example: 2,
  },
  vary: {
    kind: 'object',
    meaning: 'Hyperparameter that the sweep varies -> list of further values',
    example: { temperature: [12] },
  },
  trials: {
    kind: 'integer',
    meaning: 'So many further draws of a random search, going on with its sequence',
    minimum: 1,
    maximum: MAX_TRIALS,
  },
  budget: {
    kind: 'number',
    meaning: 'Device-seconds added to the budget; trials that it had no room for are trained after all',
    minimum: 0,
    exclusiveMinimum: true,
    maximum: 1e12,
    unit: 'device-seconds',
  },
} as const satisfies Record<string, Field>;

/** Besides HYPERPARAMETER_FIELDS, which stand inline. */
export const DISTILLATION_FIELDS = {
  name: RUN_NAME,
  teacher: TEACHER_REFERENCE,
  corpus: CORPUS_REFERENCE,
  evaluation: SWEEP_FIELDS.evaluation,
  ...PLACEMENT_FIELDS,
} as const satisfies Record<string, Field>;
