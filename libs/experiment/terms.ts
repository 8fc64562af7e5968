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
