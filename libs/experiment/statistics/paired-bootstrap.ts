// Two models on the same sentences: how sure the difference of their means is. The bootstrap over sentences, paired: each replicate
// draws sentences with replacement and takes both models' values of each.
import { type Interval, quantile } from './bootstrap.js';
import { uniformAt } from './counter-random.js';

/** One measure of both models, sentence by sentence; means are weighted (tokens, words), weights 1 for a mean over sentences. */
export interface PairedSample {
  weights: readonly number[];
  a: readonly number[];
  b: readonly number[];
}

export interface PairedDifference extends Interval {
  /** mean of b less mean of a, all sentences */
  difference: number;
  /** two-sided */
  p: number;
}

/** The smallest p is then 2 / 10,001, small enough for Holm's correction over a hundred tests. */
export const PAIRED_REPLICATES = 10_000;
const KEY = 0x9a17ed;

/**
 * Difference b - a of the weighted means of each sample with its 95 % percentile interval, and p = 2 (1 + replicates on the far side of 0)
 * / (1 + replicates), at most 1 (Davison and Hinkley, "Bootstrap methods", 1997, section 4.4). A replicate draws the same sentences for all
 * samples. With one sentence, or where no sentence differs, nothing is known: the interval is the difference, and p is 1.
 * Throws RangeError when lists differ in length or are empty.
 */
export function pairedBootstrap(samples: readonly PairedSample[], replicates = PAIRED_REPLICATES): PairedDifference[] {
  const size = samples[0]?.weights.length ?? 0;
  for (const { weights, a, b } of samples)
    if (size === 0 || [weights, a, b].some((list) => list.length !== size))
      throw new RangeError(`paired lists differ in length: ${weights.length}, ${a.length} and ${b.length}`);
  const weighted = samples.map(({ weights, a, b }) => weights.map((w, i) => w * ((b[i] as number) - (a[i] as number))));
  const differences = samples.map(() => new Float64Array(replicates));
  const times = new Uint16Array(size);
  for (let r = 0; r < replicates; r++) {
    times.fill(0);
    for (let draw = 0; draw < size; draw++) {
      const sentence = Math.floor(uniformAt(KEY, r, draw) * size);
      times[sentence] = (times[sentence] as number) + 1;
    }
    for (const [m, sums] of weighted.entries()) {
      const { weights } = samples[m] as PairedSample;
      let [sum, total] = [0, 0];
      for (let i = 0; i < size; i++) {
        const count = times[i] as number;
        if (count === 0) continue;
        sum += count * (sums[i] as number);
        total += count * (weights[i] as number);
      }
      (differences[m] as Float64Array)[r] = total > 0 ? sum / total : 0;
    }
  }
  return weighted.map((sums, m) => {
    const total = (samples[m] as PairedSample).weights.reduce((sum, weight) => sum + weight, 0);
    const difference = total > 0 ? sums.reduce((sum, value) => sum + value, 0) / total : 0;
    const drawn = (differences[m] as Float64Array).sort();
    if (size < 2 || sums.every((value) => value === 0)) return { difference, low: difference, high: difference, p: 1 };
    let [below, above] = [0, 0];
    for (const value of drawn) {
      if (value <= 0) below += 1;
      if (value >= 0) above += 1;
    }
    const p = Math.min(1, (2 * (1 + Math.min(below, above))) / (1 + replicates));
    return { difference, low: quantile(drawn, 0.025), high: quantile(drawn, 0.975), p };
  });
}
