// One student's settings as a trial holds them.
import type {
  Channel,
  ChannelProfile,
  DistillLoss,
  DistillPart,
  FeatureKind,
  FeatureTaps,
  Initialization,
  WeightScheduleName,
} from './terms.js';

/** Everything that changes a trial's numbers, besides teacher and corpus. */
export interface Hyperparameters {
  temperature: number;
  /** alpha: total = (1 - alpha) CE + alpha T^2 KL. 0 is the no-teacher baseline. */
  distillWeight: number;
  /** Dials that are absent where they are as usual (dials.ts). Distance to the teacher: forward KL. */
  distillLoss?: DistillLoss;
  /** epsilon of the hard targets: 0 */
  labelSmoothing?: number;
  /** How alpha goes on from `distillWeight`, and where to: it stays. */
  weightSchedule?: WeightScheduleName;
  finalWeight?: number;
  /** Weight of the hard loss: 1 - alpha. */
  hardWeight?: number;
  /** Weight of the distance of hidden states, and where: 0. */
  featureWeight?: number;
  featureTaps?: FeatureTaps;
  featureKind?: FeatureKind;
  distillPart: DistillPart;
  studentLayers: number;
  /** Student width and feed-forward width; the teacher's when absent. */
  studentDModel?: number;
  studentDff?: number;
  batchSize: number;
  epochs: number;
  /** Sentences drawn (a seeded shuffle of the train split) for each epoch; the whole train split when absent. */
  sentencesPerEpoch?: number;
  /** The part of the training sentences that there is for the student: all. */
  trainShare?: number;
  trainTopWords?: number;
  trainWords?: [number, number];
  learningRate: number;
  weightDecay: number;
  dropout: number;
  channel: Channel;
  channelProfile: ChannelProfile;
  trainSnrDb: [number, number];
  init: Initialization;
  freezeKeptSide: boolean;
  createHybrid: boolean;
  seed: number;
}
