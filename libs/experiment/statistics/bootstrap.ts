// Intervals that hold for other seeds and other sentences: the bootstrap over both. Every seed is measured on the same sentences,
// so the two are crossed, not nested, and each is drawn by itself (Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1, 2007).
import { uniformAt } from './counter-random.js';

/** A 95 % percentile interval. */
export interface Interval {
  low: number;
  high: number;
}

/** Sentences: `weights` are tokens where a mean is over tokens, 1 where it is over sentences. */
export interface SentenceSample {
  weights: readonly number[];
  values: readonly number[];
}

/** Enough for the 2.5 % points; more would cost more than they tell. */
export const REPLICATES = 1000;
const KEY = 0x5eed;
const SEED_STREAM = 0x80000000;

/**
 * The weighted mean of each replicate, whose sentences are drawn with replacement. Replicate r draws the same sentences in every
 * sample of one size, so that differences between samples are paired.
 */
export function resampleSentences({ weights, values }: SentenceSample, replicates = REPLICATES): Float64Array {
  if (weights.length !== values.length || values.length === 0)
    throw new RangeError(`${values.length} values do not go with ${weights.length} weights`);
  const means = new Float64Array(replicates);
  const weighted = Float64Array.from(values, (value, index) => value * (weights[index] as number));
  for (let r = 0; r < replicates; r++) {
    let [sum, total] = [0, 0];
    for (const at of drawnSentences(values.length, r)) {
      sum += weighted[at] as number;
      total += weights[at] as number;
    }
    means[r] = sum / total;
  }
  return means;
}

/**
 * The interval of the mean over seeds when seeds and sentences are drawn anew. `bySeed` holds each seed's resampled means
 * (resampleSentences), or its differences of two settings. With one seed it is an interval over sentences alone.
 */
export function crossedInterval(bySeed: readonly Float64Array[]): Interval {
  const replicates = bySeed[0]?.length ?? 0;
  if (replicates === 0) throw new RangeError('the bootstrap of no values does not exist');
  const seeds = bySeed.length;
  const means = new Float64Array(replicates);
  for (let r = 0; r < replicates; r++) {
    let sum = 0;
    for (let draw = 0; draw < seeds; draw++) {
      const seed = seeds === 1 ? 0 : Math.floor(uniformAt(KEY, SEED_STREAM + r, draw) * seeds);
      sum += bySeed[seed]?.[r] as number;
    }
    means[r] = sum / seeds;
  }
  means.sort();
  return { low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

const drawn = new Map<number, Int32Array[]>();

/** Places of the sentences of a replicate; kept, for every trial of a report asks for the same. */
function drawnSentences(size: number, replicate: number): Int32Array {
  let ofSize = drawn.get(size);
  if (!ofSize) {
    drawn.clear();
    ofSize = [];
    drawn.set(size, ofSize);
  }
  let places = ofSize[replicate];
  if (!places) {
    places = Int32Array.from({ length: size }, (_, i) => Math.floor(uniformAt(KEY, replicate, i) * size));
    ofSize[replicate] = places;
  }
  return places;
}

/** Linear between the two nearest of the sorted values. */
export function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const below = sorted[low] as number;
  const above = sorted[Math.min(low + 1, sorted.length - 1)] as number;
  return below + (place - low) * (above - below);
}
