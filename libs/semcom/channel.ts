// The physical channel between transmitter and receiver: power normalisation, fading, noise, equalisation, in three profiles.
// Sixteen reals a token are eight complex symbols, s_k = x[2k] + i x[2k+1]. All draws are handed in, none are made here.
import * as tf from '@tensorflow/tfjs-core';
import { CHANNEL_WIDTH } from './architecture.js';

export type ChannelName = 'awgn' | 'rayleigh' | 'rician' | 'ideal';
export type ProfileName = 'exact' | 'deepsc-pytorch' | 'deepsc-tf';

interface Profile {
  /** 'cap': divide by the rms only when it exceeds 1; 'unit': make the mean complex power 1. */
  power: 'cap' | 'unit';
  /** Whether pads count in the mean power. */
  padsCount: boolean;
  /** Rician K = 1: mean and standard deviation of each part of h. */
  rician: { mean: number; deviation: number };
  /** The reference's row-vector product uses the conjugate of h. */
  conjugate: boolean;
  equalizer: 'zero-forcing' | 'mmse';
  fadingBlock: 'batch' | 'sentence';
}

/** What each profile does; `exact` makes the SNR label the measured ratio over the tokens that carry text. */
export const PROFILES: Record<ProfileName, Profile> = {
  'deepsc-pytorch': {
    power: 'cap',
    padsCount: true,
    rician: { mean: Math.SQRT1_2, deviation: Math.SQRT1_2 },
    conjugate: true,
    equalizer: 'zero-forcing',
    fadingBlock: 'batch',
  },
  'deepsc-tf': {
    power: 'unit',
    padsCount: true,
    rician: { mean: 0.5, deviation: 0.5 },
    conjugate: false,
    equalizer: 'mmse',
    fadingBlock: 'batch',
  },
  exact: {
    power: 'unit',
    padsCount: false,
    rician: { mean: 0.5, deviation: 0.5 },
    conjugate: false,
    equalizer: 'zero-forcing',
    fadingBlock: 'sentence',
  },
};

/** Standard deviation of the noise on each real dimension: 1 / sqrt(2 * 10^(snrDb / 10)). */
export function noiseDeviation(snrDb: number): number {
  return 1 / Math.sqrt(2 * 10 ** (snrDb / 10));
}

/** One use of the channel: which one, how noisy, and the standard-normal draws it takes. */
export interface ChannelUse {
  channel: ChannelName;
  profile: ProfileName;
  /** sigma per real dimension, one for all rows or one per sentence */
  deviation: number | Float32Array;
  /** standard normals, [batch*tokens*16]; unused by `ideal` */
  noise: Float32Array;
  /** standard normals (re, im), one pair for the batch or one per sentence; used by rayleigh and rician */
  fading?: Float32Array;
  /** Overrides of the profile, for comparisons. */
  fadingBlock?: 'batch' | 'sentence';
  equalizer?: 'zero-forcing' | 'mmse';
}

/** How many fading pairs a batch takes. */
export function fadingPairs(profile: ProfileName, batch: number): number {
  return PROFILES[profile].fadingBlock === 'batch' ? 1 : batch;
}

/**
 * Scales what the channel encoder gives to the profile's power. x [G, batch*tokens, 16]; each group is scaled by itself.
 * `keep` [1, batch*tokens, 1] is 1 where a token is no pad.
 */
export function normalizePower(x: tf.Tensor3D, profile: ProfileName, keep: tf.Tensor3D): tf.Tensor3D {
  const { power, padsCount } = PROFILES[profile];
  const squares = tf.square(x);
  const mean = padsCount
    ? tf.mean(squares, [1, 2], true)
    : tf.div(tf.sum(tf.mul(squares, keep), [1, 2], true), tf.mul(tf.sum(keep), CHANNEL_WIDTH));
  if (power === 'unit') return tf.div(x, tf.sqrt(tf.mul(mean, 2)));
  return tf.div(x, tf.maximum(tf.sqrt(mean), 1));
}

/** h of each fading block from standard-normal pairs: [re, im] interleaved. */
export function fadingOf(use: Pick<ChannelUse, 'channel' | 'profile' | 'fading'>): Float32Array {
  const unit = use.fading as Float32Array;
  const { mean, deviation } =
    use.channel === 'rician' ? PROFILES[use.profile].rician : { mean: 0, deviation: Math.SQRT1_2 };
  return unit.map((u) => mean + deviation * u);
}

/**
 * What arrives after channel and equaliser. x [G, batch*tokens, 16] (power already normalised), returns the same shape.
 * awgn: y = x + n. Fading: y = s h + n (profile deepsc-pytorch: s conj(h) + n), then zero forcing or MMSE. ideal: y = x.
 */
export function transmit(x: tf.Tensor3D, use: ChannelUse, batch: number, tokens: number): tf.Tensor3D {
  if (use.channel === 'ideal') return x;
  const noise = tf.tensor(scaledNoise(use, batch, tokens), [1, batch * tokens, CHANNEL_WIDTH]) as tf.Tensor3D;
  if (use.channel === 'awgn') return tf.add(x, noise);
  const groups = x.shape[0];
  const profile = PROFILES[use.profile];
  const perBatch = (use.fadingBlock ?? profile.fadingBlock) === 'batch';
  const h = fadingOf(use);
  const equalizer = use.equalizer ?? profile.equalizer;
  const gainRe = new Float32Array(batch);
  const gainIm = new Float32Array(batch);
  const inverseRe = new Float32Array(batch);
  const inverseIm = new Float32Array(batch);
  for (let b = 0; b < batch; b++) {
    const re = h[perBatch ? 0 : 2 * b] as number;
    const im = (h[perBatch ? 1 : 2 * b + 1] as number) * (profile.conjugate ? -1 : 1);
    const sigma = typeof use.deviation === 'number' ? use.deviation : (use.deviation[b] as number);
    const power = re * re + im * im + (equalizer === 'mmse' ? 2 * sigma * sigma : 0);
    gainRe[b] = re;
    gainIm[b] = im;
    inverseRe[b] = re / power;
    inverseIm[b] = -im / power;
  }
  const rows = [groups, batch, tokens * (CHANNEL_WIDTH / 2), 2] as [number, number, number, number];
  const faded = multiplyComplex(tf.reshape(x, rows), gainRe, gainIm);
  const received = tf.add(faded, tf.reshape(noise, [1, ...rows.slice(1)] as [number, number, number, number]));
  return tf.reshape(multiplyComplex(received as tf.Tensor4D, inverseRe, inverseIm), x.shape);
}

function scaledNoise(use: ChannelUse, batch: number, tokens: number): Float32Array {
  const perSentence = tokens * CHANNEL_WIDTH;
  if (use.noise.length !== batch * perSentence)
    throw new Error(`the channel takes ${batch * perSentence} draws, not ${use.noise.length}`);
  return use.noise.map((unit, i) => {
    const sigma =
      typeof use.deviation === 'number' ? use.deviation : (use.deviation[Math.floor(i / perSentence)] as number);
    return sigma * unit;
  });
}

/** (a + ib)(re + i im) on the last axis of x [G, batch, symbols, 2], one factor a sentence. */
function multiplyComplex(x: tf.Tensor4D, re: Float32Array, im: Float32Array): tf.Tensor4D {
  const batch = re.length;
  const factorRe = tf.tensor(re, [1, batch, 1, 1]);
  // (a, b) -> (-b, a) is a product with a constant 2 x 2 matrix; times im and added to (a, b) times re.
  const rotated = tf.reshape(tf.matMul(tf.reshape(x, [-1, 2]), tf.tensor2d([0, 1, -1, 0], [2, 2])), x.shape);
  return tf.add(tf.mul(x, factorRe), tf.mul(rotated, tf.tensor(im, [1, batch, 1, 1]))) as tf.Tensor4D;
}
