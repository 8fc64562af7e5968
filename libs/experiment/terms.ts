// The closed sets of the field: channels, profiles, parts, states. Each is a runtime list and a union type in one.

export const CHANNELS = ['awgn', 'rayleigh', 'rician', 'ideal'] as const;
export type Channel = (typeof CHANNELS)[number];

export const CHANNEL_PROFILES = ['exact', 'deepsc-pytorch', 'deepsc-tf'] as const;
export type ChannelProfile = (typeof CHANNEL_PROFILES)[number];

/** Which part of the student learns: everything, its transmitter (encoder), or its receiver (decoder). */
export const DISTILL_PARTS = ['full', 'encoder', 'decoder'] as const;
export type DistillPart = (typeof DISTILL_PARTS)[number];

/** Which sentences of a text train: by a hash of their words, or the first ones (the reference's rule). */
export const SPLITS = ['hash', 'order'] as const;
export type Split = (typeof SPLITS)[number];

/** How far the student is from the teacher: KL(teacher‖student), KL(student‖teacher), Jensen-Shannon, mean square of the logits. */
export const DISTILL_LOSSES = ['kl', 'reverse-kl', 'jsd', 'mse'] as const;
export type DistillLoss = (typeof DISTILL_LOSSES)[number];

/** Where hidden states are matched: after the semantic encoder, after the semantic decoder, or at both. */
export const FEATURE_TAPS = ['both', 'encoder', 'decoder'] as const;
export type FeatureTaps = (typeof FEATURE_TAPS)[number];
/** What is matched there: the hidden states, or what the last layer's attention looks at. */
export const FEATURE_KINDS = ['hidden', 'attention'] as const;
export type FeatureKind = (typeof FEATURE_KINDS)[number];

/** How the teacher's weight goes from the first step to the last. */
export const WEIGHT_SCHEDULES = ['constant', 'linear', 'cosine'] as const;
export type WeightScheduleName = (typeof WEIGHT_SCHEDULES)[number];
/** How the settings of a sweep are found. */
export const SEARCHES = ['grid', 'random', 'list'] as const;
export type Search = (typeof SEARCHES)[number];

/** What early stopping compares students by: the less the better. */
export const STOPPING_MEASURES = ['validationLoss', 'divergence'] as const;
export type StoppingMeasure = (typeof STOPPING_MEASURES)[number];

export const INITIALIZATIONS = ['teacher', 'random'] as const;
export type Initialization = (typeof INITIALIZATIONS)[number];

export const TRIAL_STATUSES = [
  'queued',
  'running',
  'recovering',
  'paused',
  'completed',
  'failed',
  'cancelled',
  'pruned',
] as const;
export type TrialStatus = (typeof TRIAL_STATUSES)[number];

export const SWEEP_STATUSES = [
  'queued',
  'running',
  'paused',
  'completed',
  'completed_with_failures',
  'failed',
  'cancelled',
] as const;
export type SweepStatus = (typeof SWEEP_STATUSES)[number];
