// Every field a request may carry, described once: type, default, range, meaning. Validation, OpenAPI, command-line flags
// and the documentation read this table, so they cannot disagree.
import { LOSS_FIELDS, SLICE_FIELDS } from './dial-fields.js';
import { CHANNEL_PROFILES, CHANNELS, DISTILL_PARTS, INITIALIZATIONS, SPLITS } from './terms.js';

export const BUILTIN_CORPORA = ['sotu', 'sotu-small'] as const;
export type BuiltinCorpus = (typeof BUILTIN_CORPORA)[number];

export const BUILTIN_TEACHERS = ['demo'] as const;
export type BuiltinTeacher = (typeof BUILTIN_TEACHERS)[number];

/** A sweep larger than this is refused. */
export const MAX_TRIALS = 10_000;

/** One field of a request. `minimum`/`maximum` bound a number, each item of a list, or both ends of a range. */
export interface Field {
  /** 'range' is [low, high]; 'numbers' a list of numbers; 'name' an id or name of something stored; 'labels' a list of names; 'text' free words; 'settings' how many settings, or a list of them. */
  kind:
    | 'integer'
    | 'number'
    | 'boolean'
    | 'choice'
    | 'range'
    | 'numbers'
    | 'name'
    | 'text'
    | 'object'
    | 'seeds'
    | 'labels'
    | 'list'
    | 'settings';
  /** One line, for people. */
  meaning: string;
  required?: boolean;
  default?: unknown;
  /** What is used when the field is absent and there is no fixed default, in words. */
  defaultMeaning?: string;
  minimum?: number;
  maximum?: number;
  /** The minimum (maximum) itself is not allowed. */
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  choices?: readonly string[];
  minItems?: number;
  maxItems?: number;
  maxLength?: number;
  unit?: string;
  /** Command-line flag where it is not simply the name in kebab-case. */
  flag?: string;
  example?: unknown;
}

const SNR_RANGE = { minimum: -30, maximum: 60, unit: 'dB' } as const;
/** What a seed may be. */
export const SEED_RANGE = { minimum: 0, maximum: 2 ** 32 - 1 } as const;

const OPTIMISATION = {
  batchSize: { kind: 'integer', meaning: 'Sentences per training step', default: 128, minimum: 1, maximum: 4096 },
  epochs: { kind: 'integer', meaning: 'Passes over the training sentences', default: 80, minimum: 1, maximum: 10_000 },
  learningRate: {
    kind: 'number',
    meaning: 'Step size of Adam',
    default: 1e-4,
    minimum: 0,
    exclusiveMinimum: true,
    maximum: 1,
    flag: '--lr',
  },
  dropout: {
    kind: 'number',
    meaning: 'Share of activations dropped while training',
    default: 0.1,
    minimum: 0,
    maximum: 1,
    exclusiveMaximum: true,
  },
  channel: { kind: 'choice', meaning: 'Channel between transmitter and receiver', default: 'awgn', choices: CHANNELS },
  channelProfile: {
    kind: 'choice',
    meaning: 'Whose power normalisation, fading and equaliser are used: exact ones, or those of a published code',
    default: 'exact',
    choices: CHANNEL_PROFILES,
  },
  trainSnrDb: {
    kind: 'range',
    meaning: 'The SNR of each training step is drawn uniformly from this range',
    default: [5, 10],
    ...SNR_RANGE,
  },
  seed: {
    kind: 'integer',
    meaning: 'Seed of initial weights, data order, dropout and channel noise',
    default: 1,
    ...SEED_RANGE,
  },
} as const satisfies Record<string, Field>;

const WEIGHT_DECAY = {
  kind: 'number',
  meaning: 'Weight decay of Adam (coupled, as in the reference)',
  minimum: 0,
  maximum: 1,
} as const satisfies Field;

/** Everything about one student; the order is the order of columns, flags and grid axes. */
export const HYPERPARAMETER_FIELDS = {
  temperature: {
    kind: 'number',
    meaning: 'Distillation temperature T: both output distributions are softened by it (no effect at weight 0)',
    default: 4,
    minimum: 0,
    exclusiveMinimum: true,
    maximum: 100,
  },
  distillWeight: {
    kind: 'number',
    meaning: 'Weight a of the teacher: loss = (1 - a) cross-entropy + a T² KL; 0 trains without a teacher',
    default: 0.7,
    minimum: 0,
    maximum: 1,
  },
  ...LOSS_FIELDS,
  distillPart: {
    kind: 'choice',
    meaning: 'Which part of the student learns: all of it, its transmitter (encoder) or its receiver (decoder)',
    default: 'full',
    choices: DISTILL_PARTS,
  },
  studentLayers: {
    kind: 'integer',
    meaning: 'Transformer layers in each part of the student that learns',
    default: 2,
    minimum: 1,
    maximum: 24,
  },
  studentDModel: {
    kind: 'integer',
    meaning: 'Width of the student',
    defaultMeaning: "the teacher's",
    minimum: 2,
    maximum: 4096,
  },
  studentDff: {
    kind: 'integer',
    meaning: 'Width of the hidden layer of the feed-forward blocks of the student',
    defaultMeaning: "the teacher's",
    minimum: 1,
    maximum: 16_384,
  },
  batchSize: OPTIMISATION.batchSize,
  epochs: OPTIMISATION.epochs,
  sentencesPerEpoch: {
    kind: 'integer',
    meaning: 'Sentences drawn for each epoch by a seeded shuffle',
    defaultMeaning: 'all training sentences',
    minimum: 1,
    maximum: 1e9,
  },
  ...SLICE_FIELDS,
  learningRate: OPTIMISATION.learningRate,
  weightDecay: { ...WEIGHT_DECAY, default: 0 },
  dropout: OPTIMISATION.dropout,
  channel: OPTIMISATION.channel,
  channelProfile: OPTIMISATION.channelProfile,
  trainSnrDb: OPTIMISATION.trainSnrDb,
  init: {
    kind: 'choice',
    meaning: "Where the learning parts start: from the teacher's weights or at random",
    default: 'teacher',
    choices: INITIALIZATIONS,
  },
  freezeKeptSide: {
    kind: 'boolean',
    meaning: "Keep the side that does not learn exactly as the teacher's (no effect when everything learns)",
    default: true,
  },
  createHybrid: {
    kind: 'boolean',
    meaning: "Join the student's side with the teacher's other side into one model",
    defaultMeaning: 'true when only one part learns, else false',
  },
  seed: OPTIMISATION.seed,
} as const satisfies Record<string, Field>;

export type HyperparameterName = keyof typeof HYPERPARAMETER_FIELDS;
export const HYPERPARAMETER_NAMES = Object.keys(HYPERPARAMETER_FIELDS) as HyperparameterName[];

export const EVALUATION_FIELDS = {
  snrDb: {
    kind: 'numbers',
    meaning: 'SNRs at which students are measured',
    default: [0, 3, 6, 9, 12, 15, 18],
    minItems: 1,
    maxItems: 32,
    flag: '--snr',
    ...SNR_RANGE,
  },
  sentences: {
    kind: 'integer',
    meaning: 'How many held-out sentences are used (the first ones)',
    default: 500,
    minimum: 1,
    maximum: 100_000,
    flag: '--test-sentences',
  },
  sentenceSimilarity: {
    kind: 'boolean',
    meaning:
      'Measure also how close in meaning the sentences arrive, with a sentence encoder (28 MB, fetched once a worker)',
    default: false,
    flag: '--sentence-similarity',
  },
} as const satisfies Record<string, Field>;

/** The pool of workers that are in none by name, and of sweeps that ask for none. */
export const DEFAULT_POOL = 'default';

/** Where and when bundles run; of no influence on what comes out. */
export const PLACEMENT_FIELDS = {
  priority: {
    kind: 'integer',
    meaning: "How urgent it is among its owner's own work: 9 goes first; other owners lose nothing by it",
    default: 5,
    minimum: 1,
    maximum: 9,
  },
  pool: {
    kind: 'name',
    meaning: 'Pool of workers that trains it',
    defaultMeaning: 'the pool default',
    example: 'a100',
  },
  requires: {
    kind: 'labels',
    meaning: 'Labels that a worker must have to train it',
    defaultMeaning: 'none',
    maxItems: 16,
    example: ['ecc'],
  },
} as const satisfies Record<string, Field>;

export const TEACHER_TRAINING_FIELDS = {
  layers: {
    kind: 'integer',
    meaning: 'Transformer layers of transmitter and receiver',
    default: 4,
    minimum: 1,
    maximum: 24,
  },
  dModel: { kind: 'integer', meaning: 'Width of the model', default: 128, minimum: 2, maximum: 4096 },
  dff: {
    kind: 'integer',
    meaning: 'Width of the hidden layer of the feed-forward blocks',
    default: 512,
    minimum: 1,
    maximum: 16_384,
  },
  heads: { kind: 'integer', meaning: 'Attention heads; must divide the width', default: 8, minimum: 1, maximum: 256 },
  ...OPTIMISATION,
  weightDecay: { ...WEIGHT_DECAY, default: 5e-4 },
} as const satisfies Record<string, Field>;

/** Besides TEACHER_TRAINING_FIELDS, which stand inline. */
export const TEACHER_FIELDS = {
  builtin: { kind: 'choice', meaning: 'A teacher that comes with semdistill; stands alone', choices: BUILTIN_TEACHERS },
  name: { kind: 'name', meaning: 'What the new teacher is called' },
  corpus: { kind: 'name', meaning: 'Id or name of the corpus it learns from' },
  pool: { ...PLACEMENT_FIELDS.pool, meaning: 'Pool of workers that makes it' },
  requires: { ...PLACEMENT_FIELDS.requires, meaning: 'Labels that a worker must have to make it' },
} as const satisfies Record<string, Field>;

export const BUILTIN_CORPUS_FIELDS = {
  builtin: {
    kind: 'choice',
    meaning: 'A corpus that semdistill knows where to get',
    required: true,
    choices: BUILTIN_CORPORA,
  },
} as const satisfies Record<string, Field>;

/** The query of a text upload. */
export const CORPUS_UPLOAD_FIELDS = {
  name: { kind: 'name', meaning: 'What the new corpus is called', required: true },
  minWords: {
    kind: 'integer',
    meaning: "Shorter sentences are left out ('.', '!' and '?' count as words)",
    default: 5,
    minimum: 1,
    maximum: 1000,
  },
  maxWords: { kind: 'integer', meaning: 'Longer sentences are left out', default: 29, minimum: 1, maximum: 1000 },
  minCount: {
    kind: 'integer',
    meaning: 'Words seen less often become the unknown word',
    default: 1,
    minimum: 1,
    maximum: 1_000_000,
  },
  topWords: {
    kind: 'integer',
    meaning: 'Only sentences wholly inside so many commonest words are kept',
    defaultMeaning: 'no such limit',
    minimum: 1,
    maximum: 1_000_000,
  },
  split: {
    kind: 'choice',
    meaning:
      'Which nine tenths train: by a hash of the words, so that more text moves no sentence, or the first ones, as in the reference',
    default: 'hash',
    choices: SPLITS,
  },
} as const satisfies Record<string, Field>;

/** The command-line flag of a field, e.g. '--distill-weight'. */
export function flagOf(name: string, field: Field): string {
  return field.flag ?? `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** What the field accepts, in words: 'a whole number from 1 to 24'. */
export function allowedOf(field: Field): string {
  switch (field.kind) {
    case 'integer':
      return `a whole number ${boundsOf(field)}`;
    case 'number':
      return `a number ${boundsOf(field)}`;
    case 'boolean':
      return 'true or false';
    case 'choice':
      return `one of ${(field.choices ?? []).join(', ')}`;
    case 'range':
      return `[low, high] with low <= high, both ${boundsOf(field)}`;
    case 'numbers':
      return `a list of ${field.minItems ?? 0} to ${field.maxItems ?? 0} different numbers, each ${boundsOf(field)}`;
    case 'name':
      return "an id or name: up to 128 letters, digits, '.', '_' or '-', starting with a letter or digit, without '..'";
    case 'text':
      return `1 to ${field.maxLength ?? 200} characters in one line`;
    case 'object':
      return 'an object';
    case 'labels':
      return `a list of at most ${field.maxItems ?? 0} different labels: up to 64 letters, digits, '.', '_' or '-', starting with a letter or digit`;
    case 'list':
      return `a list of ${field.minItems ?? 0} to ${field.maxItems ?? 0} objects`;
    case 'settings':
      return `a list of ${field.minItems ?? 0} to ${field.maxItems ?? 0} objects, or with a random search a whole number in that range`;
    case 'seeds':
      return `a whole number from 1 to ${field.maxItems ?? 0}, or a list of 1 to ${field.maxItems ?? 0} different whole numbers ${boundsOf(field)}`;
  }
}

function boundsOf(field: Field): string {
  const { minimum, maximum } = field;
  if (minimum === undefined || maximum === undefined) return '';
  if (!field.exclusiveMinimum && !field.exclusiveMaximum) return `from ${minimum} to ${maximum}`;
  const low = field.exclusiveMinimum ? `greater than ${minimum}` : `at least ${minimum}`;
  return `${low} and ${field.exclusiveMaximum ? 'less than' : 'at most'} ${maximum}`;
}
