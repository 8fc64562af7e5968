// Does a measure fall (or rise) in order along an axis? Page's test for ordered alternatives, seeds as blocks, by its exact
// permutation distribution. Why this one: docs/decisions/0008-trend.md.
import { type Estimate, estimate } from './seeds.js';
import { tTail } from './student-t.js';

export interface Trend {
  /** seeds that have a value at every level */
  n: number;
  levels: number;
  /** Page's L = sum over levels j of j times the sum over seeds of the rank at j. */
  pageL: number;
  /** two-sided */
  p: number;
  direction: 'falls' | 'rises' | 'none';
  /** Least-squares slope of each seed over x, mean and t-interval over seeds. */
  slope: Estimate;
  /** Every seed's own slope has the sign of the direction. */
  isSameInAllSeeds: boolean;
  /** The means go one way at every step. */
  isMonotone: boolean;
}

/** Above this the subset sums grow too long and the normal approximation is exact to three digits. */
const MOST_EXACT_LEVELS = 12;
const MOST_EXACT_SEEDS = 30;

/**
 * Page's trend test (Page, JASA 58, 1963) of values[seed][level] against x[level], ascending. Undefined with fewer than two seeds or
 * three levels: two levels are a pair, and one seed bears no conclusion. Ties share their mean rank.
 */
export function trendTest(x: readonly number[], values: readonly (readonly number[])[]): Trend | undefined {
  const [n, levels] = [values.length, x.length];
  if (n < 2 || levels < 3) return undefined;
  const ranks = values.map(ranksOf);
  const pageL = ranks.reduce((sum, row) => sum + row.reduce((own, rank, j) => own + (j + 1) * rank, 0), 0);
  const expected = (n * levels * (levels + 1) ** 2) / 4;
  const direction = pageL < expected ? 'falls' : pageL > expected ? 'rises' : 'none';
  const sign = direction === 'falls' ? -1 : 1;
  const slopes = values.map((row) => slopeOf(x, row));
  const means = x.map((_, j) => values.reduce((sum, row) => sum + (row[j] as number), 0) / n);
  return {
    n,
    levels,
    pageL,
    p: direction === 'none' ? 1 : pageTail(Math.abs(pageL - expected), n, levels),
    direction,
    slope: estimate(slopes),
    isSameInAllSeeds: direction !== 'none' && slopes.every((slope) => slope * sign > 0),
    isMonotone: means.every((value, j) => j === 0 || (value - (means[j - 1] as number)) * sign > 0),
  };
}

/** P(|L - E L| >= distance) when every order of the levels is as likely as any other, in each seed by itself. */
export function pageTail(distance: number, n: number, levels: number): number {
  if (levels > MOST_EXACT_LEVELS || n > MOST_EXACT_SEEDS) {
    const deviation = Math.sqrt((n * levels ** 2 * (levels + 1) ** 2 * (levels - 1)) / 144);
    return tTail(distance / deviation, 1e9);
  }
  const one = orderDistribution(levels);
  let all = Float64Array.of(1);
  for (let seed = 0; seed < n; seed++) all = convolve(all, one);
  const expected = (n * levels * (levels + 1) ** 2) / 4;
  let tail = 0;
  all.forEach((share, l) => {
    if (Math.abs(l - expected) >= distance - 1e-9) tail += share;
  });
  return Math.min(1, tail);
}

const distributions = new Map<number, Float64Array<ArrayBuffer>>();

/** Share of the permutations pi of 1..levels with sum of j pi(j) = l, by sums over subsets; index l. */
function orderDistribution(levels: number): Float64Array<ArrayBuffer> {
  const known = distributions.get(levels);
  if (known) return known;
  const size = (levels * (levels + 1) * (2 * levels + 1)) / 6 + 1;
  // ways[subset]: the ranks of the subset stand at the first places, as many as it has members.
  let ways = new Map<number, Float64Array<ArrayBuffer>>([
    [0, Float64Array.from({ length: size }, (_, l) => (l ? 0 : 1))],
  ]);
  for (let place = 1; place <= levels; place++) {
    const next = new Map<number, Float64Array<ArrayBuffer>>();
    for (const [subset, counts] of ways) {
      for (let rank = 1; rank <= levels; rank++) {
        const bit = 1 << (rank - 1);
        if (subset & bit) continue;
        let sums = next.get(subset | bit);
        if (!sums) {
          sums = new Float64Array(size);
          next.set(subset | bit, sums);
        }
        const step = place * rank;
        for (let l = step; l < size; l++) sums[l] = (sums[l] as number) + (counts[l - step] as number);
      }
    }
    ways = next;
  }
  const counts = ways.get(2 ** levels - 1) as Float64Array<ArrayBuffer>;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const shares = counts.map((count) => count / total);
  distributions.set(levels, shares);
  return shares;
}

function convolve(a: Float64Array, b: Float64Array): Float64Array<ArrayBuffer> {
  const out = new Float64Array(a.length + b.length - 1);
  a.forEach((x, i) => {
    if (x === 0) return;
    for (let j = 0; j < b.length; j++) out[i + j] = (out[i + j] as number) + x * (b[j] as number);
  });
  return out;
}

function ranksOf(row: readonly number[]): number[] {
  return row.map((value) => {
    let [below, equal] = [0, 0];
    for (const other of row) {
      if (other < value) below += 1;
      else if (other === value) equal += 1;
    }
    return below + (equal + 1) / 2;
  });
}

function slopeOf(x: readonly number[], y: readonly number[]): number {
  const centre = x.reduce((sum, value) => sum + value, 0) / x.length;
  let [cross, square] = [0, 0];
  x.forEach((value, j) => {
    cross += (value - centre) * (y[j] as number);
    square += (value - centre) ** 2;
  });
  return cross / square;
}
