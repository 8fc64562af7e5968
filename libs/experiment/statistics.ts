// The statistics of comparisons over seeds: mean and t-interval, paired t-test, Holm's correction. With one value there is
// a mean and nothing else: no interval, no test, no conclusion.

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
  const { n, mean: difference, low, high } = estimate(differences);
  const standardError = standardDeviation(differences) / Math.sqrt(n);
  const interval = { n, difference, low: low ?? difference, high: high ?? difference };
  if (standardError === 0) return { ...interval, p: difference === 0 ? 1 : 0 };
  return { ...interval, p: tTail(Math.abs(difference / standardError), n - 1) };
}

/**
 * Holm's step-down correction (Holm 1979): the i-th smallest of m p-values times m - i + 1, made monotone, at most 1.
 * Returned in the order given.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((p, index) => ({ p, index })).sort((a, b) => a.p - b.p);
  const adjusted = new Array<number>(pValues.length).fill(1);
  let largest = 0;
  order.forEach(({ p, index }, rank) => {
    largest = Math.max(largest, Math.min(1, p * (pValues.length - rank)));
    adjusted[index] = largest;
  });
  return adjusted;
}

/** Two-sided tail P(|t| > x) of Student's t = I_{df / (df + x²)}(df / 2, 1 / 2). */
export function tTail(x: number, degreesOfFreedom: number): number {
  const square = x * x;
  if (square === 0) return 1;
  if (square > degreesOfFreedom) {
    return regularisedBeta(degreesOfFreedom / (degreesOfFreedom + square), degreesOfFreedom / 2, 0.5);
  }
  return 1 - regularisedBeta(square / (degreesOfFreedom + square), 0.5, degreesOfFreedom / 2);
}

/**
 * Quantile of Student's t by bisection on the tail; relative error below 1e-9 for probabilities from 0.5 to 0.9999.
 * Throws RangeError outside (0, 1) or for degrees of freedom below 1.
 */
export function tQuantile(probability: number, degreesOfFreedom: number): number {
  if (!(probability > 0 && probability < 1)) throw new RangeError(`no t quantile at probability ${probability}`);
  if (!(degreesOfFreedom >= 1)) throw new RangeError(`no t quantile at ${degreesOfFreedom} degrees of freedom`);
  if (probability < 0.5) return -tQuantile(1 - probability, degreesOfFreedom);
  const tail = 2 * (1 - probability);
  let low = 0;
  let high = 1;
  while (tTail(high, degreesOfFreedom) > tail) high *= 2;
  for (let step = 0; step < 200 && high - low > 1e-14 * high; step++) {
    const middle = (low + high) / 2;
    if (tTail(middle, degreesOfFreedom) > tail) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** I_x(a, b) by Lentz's continued fraction (Numerical Recipes 6.4); the caller keeps x on the fast side. */
function regularisedBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - regularisedBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  const away = (value: number) => (Math.abs(value) < 1e-300 ? 1e-300 : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= 1000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return (front * fraction) / a;
}

/** ln Gamma(x) for x > 0: recurrence up to 15, then Stirling's series (error below 1e-15 there). */
function logGamma(x: number): number {
  let shift = 0;
  let y = x;
  while (y < 15) {
    shift += Math.log(y);
    y += 1;
  }
  const inverse = 1 / y;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188))));
  return (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
