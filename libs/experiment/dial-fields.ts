// The fields of the stronger dials: what a student asks of the loss and of its data. Lines of the table of hyperparameters (fields.ts).
import type { Field } from './fields.js';
import { DISTILL_LOSSES, FEATURE_KINDS, FEATURE_TAPS, WEIGHT_SCHEDULES } from './terms.js';

export const LOSS_FIELDS = {
  distillLoss: {
    kind: 'choice',
    meaning:
      "Distance to the teacher: T² KL(teacher‖student), T² KL(student‖teacher), T² JSD, or the logits' mean square (no T)",
    default: 'kl',
    choices: DISTILL_LOSSES,
  },
  labelSmoothing: {
    kind: 'number',
    meaning:
      'Share e of the true word that its target gives evenly to all words: (1 - e) onehot + e / V; hard loss only',
    default: 0,
    minimum: 0,
    maximum: 1,
    exclusiveMaximum: true,
  },
  weightSchedule: {
    kind: 'choice',
    meaning: 'How the weight of the teacher goes from distillWeight at the first step to finalWeight at the last',
    default: 'constant',
    choices: WEIGHT_SCHEDULES,
  },
  finalWeight: {
    kind: 'number',
    meaning: 'Weight of the teacher at the last step (no effect with a constant weight)',
    default: 0,
    minimum: 0,
    maximum: 1,
  },
  hardWeight: {
    kind: 'number',
    meaning: 'Weight of the hard loss by itself: the two weights need not add up to 1',
    defaultMeaning: '1 - a at every step',
    minimum: 0,
    maximum: 10,
  },
  featureWeight: {
    kind: 'number',
    meaning:
      "Weight f of the distance of the student's hidden states (or attention, see featureKind) from the teacher's; 0 matches none",
    default: 0,
    minimum: 0,
    maximum: 100,
  },
  featureTaps: {
    kind: 'choice',
    meaning: 'Where hidden states are matched: after the semantic encoder, the semantic decoder, or both',
    default: 'both',
    choices: FEATURE_TAPS,
  },
  featureKind: {
    kind: 'choice',
    meaning:
      "What is matched: hidden states (mean square), or the last layer's self-attention (KL, mean over heads and tokens)",
    default: 'hidden',
    choices: FEATURE_KINDS,
  },
} as const satisfies Record<string, Field>;

/** Which of the training sentences there are for the student. */
export const SLICE_FIELDS = {
  trainShare: {
    kind: 'number',
    meaning:
      'Share of the training sentences that the student sees, chosen by a hash of their words; validation and test stay whole',
    default: 1,
    minimum: 0,
    exclusiveMinimum: true,
    maximum: 1,
  },
  trainTopWords: {
    kind: 'integer',
    meaning: 'The student sees only training sentences wholly inside so many commonest words of the training text',
    defaultMeaning: 'all words',
    minimum: 1,
    maximum: 1_000_000,
  },
  trainWords: {
    kind: 'range',
    meaning: 'The student sees only training sentences of so many words',
    defaultMeaning: 'all lengths',
    minimum: 1,
    maximum: 1000,
  },
} as const satisfies Record<string, Field>;
