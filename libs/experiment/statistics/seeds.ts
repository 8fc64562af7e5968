// The statistics of comparisons over seeds: mean and t-interval, paired t-test, effect size, Holm's correction. With one value
// there is a mean and nothing else: no interval, no test, no conclusion.
import { logGamma, tQuantile, tTail } from './student-t.js';

/** A mean over seeds; sd, low and high (95 % t-interval) are null with fewer than two values. */
export interface Estimate {
  n: number;
  mean: number;
  sd: number | null;
  low: number | null;
  high: number | null;
}

/** A paired comparison a - b; low and high are the 95 % t-interval of the mean difference. */
export interface PairedTest {
  n: number;
  difference: number;
  low: number;
  high: number;
  /** of the differences */
  sd: number;
  /** two-sided */
  p: number;
}

/** Arithmetic mean. Throws RangeError on an empty list. */
export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the mean of no values does not exist');
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Sample standard deviation, sqrt(sum (x - mean)² / (n - 1)). Throws RangeError on fewer than two values. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) throw new RangeError('the standard deviation needs at least two values');
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** Mean with sd and 95 % interval mean ± t(0.975, n - 1) sd / sqrt n. Throws RangeError on an empty list. */
export function estimate(values: readonly number[]): Estimate {
  const centre = mean(values);
  if (values.length < 2) return { n: values.length, mean: centre, sd: null, low: null, high: null };
  const sd = standardDeviation(values);
  const half = (intervalQuantile(values.length - 1) * sd) / Math.sqrt(values.length);
  return { n: values.length, mean: centre, sd, low: centre - half, high: centre + half };
}

const quantiles = new Map<number, number>();

/** t(0.975, df), kept: a report takes it for every number it holds. */
function intervalQuantile(degreesOfFreedom: number): number {
  let quantile = quantiles.get(degreesOfFreedom);
  if (quantile === undefined) {
    quantile = tQuantile(0.975, degreesOfFreedom);
    quantiles.set(degreesOfFreedom, quantile);
  }
  return quantile;
}

/**
 * Student's paired t-test of a[i] - b[i] (same seed i), two-sided. Undefined with fewer than two pairs. When all
 * differences are equal the p-value is 1 (no difference) or 0. Throws RangeError when the lists differ in length.
 */
export function pairedTTest(a: readonly number[], b: readonly number[]): PairedTest | undefined {
  if (a.length !== b.length) throw new RangeError(`paired lists differ in length: ${a.length} and ${b.length}`);
  if (a.length < 2) return undefined;
  const differences = a.map((value, index) => value - (b[index] ?? Number.NaN));
  const { n, mean: difference, low, high, sd } = estimate(differences);
  const standardError = (sd ?? 0) / Math.sqrt(n);
  const interval = { n, difference, low: low ?? difference, high: high ?? difference, sd: sd ?? 0 };
  if (standardError === 0) return { ...interval, p: difference === 0 ? 1 : 0 };
  return { ...interval, p: tTail(Math.abs(difference / standardError), n - 1) };
}

/**
 * Hedges' g of paired differences: mean / sd of a[i] - b[i], times J = Gamma(df / 2) / (sqrt(df / 2) Gamma((df - 1) / 2)) with
 * df = n - 1, which takes away the bias of small samples (Hedges 1981). Null with fewer than three pairs or equal differences.
 */
export function hedgesG(a: readonly number[], b: readonly number[]): number | null {
  const differences = a.map((value, index) => value - (b[index] ?? Number.NaN));
  if (differences.length < 3) return null;
  const sd = standardDeviation(differences);
  if (!(sd > 0)) return null;
  const half = (differences.length - 1) / 2;
  return ((mean(differences) / sd) * Math.exp(logGamma(half) - logGamma(half - 0.5))) / Math.sqrt(half);
}

/**
 * Holm's step-down correction (Holm 1979), with weights where some hypotheses are to have more of the error level than others:
 * tests in the order of p / w, each p times the weights still open over its own, made monotone, at most 1. Equal weights (the
 * default) make it the usual p (m - i + 1). Returned in the order given.
 */
export function holm(pValues: readonly number[], weights: readonly number[] = pValues.map(() => 1)): number[] {
  const order = pValues
    .map((p, index) => ({ p, weight: weights[index] ?? 1, index }))
    .sort((a, b) => a.p / a.weight - b.p / b.weight);
  const adjusted = new Array<number>(pValues.length).fill(1);
  let open = weights.reduce((sum, weight) => sum + weight, 0);
  let largest = 0;
  for (const { p, weight, index } of order) {
    largest = Math.max(largest, Math.min(1, (p * open) / weight));
    adjusted[index] = largest;
    open -= weight;
  }
  return adjusted;
}
