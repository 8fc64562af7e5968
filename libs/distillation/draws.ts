// What chance decides in training: the channel's draws and the dropout of a step. All are pure functions of (seed, purpose, step),
// so a step can be taken again, or in parts, and meets the same draws.
import {
  type Batch,
  CHANNEL_WIDTH,
  type ChannelUse,
  type Dropout,
  fadingPairs,
  noiseDeviation,
  RandomStream,
} from '#semcom';
import type { TrainingSettings } from './train.js';

/** Consecutive rows of a batch: `count` from row `from`, of `of` in all. */
export interface BatchRows {
  from: number;
  count: number;
  of: number;
}

/** The channel of one training step: SNR, noise and fading from their own streams, common to teacher and students. */
export function drawChannel(batch: Batch, settings: TrainingSettings, step: number): ChannelUse {
  const { seed, channel, channelProfile: profile } = settings;
  const [low, high] = settings.trainSnrDb;
  const snrDb = low + (high - low) * new RandomStream(seed, 'snr', step).uniform();
  return drawUse(
    batch,
    { channel, profile, deviation: noiseDeviation(snrDb) },
    (purpose) => new RandomStream(seed, purpose, step),
  );
}

/** Noise and fading draws for a batch. */
export function drawUse(
  batch: Batch,
  use: Pick<ChannelUse, 'channel' | 'profile' | 'deviation'>,
  streamFor: (purpose: 'noise' | 'fading') => RandomStream,
): ChannelUse {
  const noise = new Float32Array(batch.ids.length * CHANNEL_WIDTH);
  if (use.channel !== 'ideal') streamFor('noise').fillNormal(noise);
  if (use.channel === 'awgn' || use.channel === 'ideal') return { ...use, noise };
  const fading = new Float32Array(2 * fadingPairs(use.profile, batch.size));
  streamFor('fading').fillNormal(fading);
  return { ...use, noise, fading };
}

/**
 * Dropout of one step: site i's mask is a function of (seed, step, i) and the rows, not of how many students share the bundle, so a
 * student trained alone drops the same units. With `part` the masks are those rows of the whole batch's masks.
 */
export function dropoutOf(settings: TrainingSettings, step: number, part?: BatchRows): Dropout | undefined {
  const { dropout: rate, seed } = settings;
  if (rate === 0) return undefined;
  let site = 0;
  return () => {
    site += 1;
    return { rate, stream: new RandomStream(seed, 'dropout', step, site), part };
  };
}
