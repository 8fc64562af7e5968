// What a paired t-test over so many seeds can see: its power by the noncentral t distribution, the smallest difference it finds four
// times in five, and how many seeds a given difference takes.
import { logGamma, tQuantile } from './student-t.js';

/** The usual wish: a difference that is there is found four times in five. */
export const WISHED_POWER = 0.8;
/** More seeds than this nobody trains; the answer is then 'more'. */
export const MOST_SEEDS = 200;

/**
 * Power of the two-sided paired t-test of n differences at level alpha, when their mean over their standard deviation is d:
 * P(|T| > t(1 - alpha / 2, n - 1)), T noncentral with n - 1 degrees of freedom and noncentrality d sqrt n. T = (Z + d sqrt n) / s with
 * s² = chi² / df, so the probability is the mean over s of Phi(d sqrt n - t s) + Phi(-d sqrt n - t s).
 */
export function pairedPower(n: number, d: number, alpha: number): number {
  const df = n - 1;
  if (df < 1) return 0;
  const critical = tQuantile(1 - alpha / 2, df);
  const shift = Math.abs(d) * Math.sqrt(n);
  const logScale = Math.log(2) + (df / 2) * Math.log(df / 2) - logGamma(df / 2);
  const density = (s: number) =>
    s === 0 ? (df === 1 ? Math.exp(logScale) : 0) : Math.exp(logScale + (df - 1) * Math.log(s) - (df * s * s) / 2);
  const found = (s: number) => normalBelow(shift - critical * s) + normalBelow(-shift - critical * s);
  // Simpson's rule; the integrand falls from 1 to 0 around s = shift / critical, within 1 / critical.
  const end = 1 + 8 / Math.sqrt(df);
  const steps = 2 * Math.ceil(Math.min(20_000, 100 + 8 * end * critical));
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const s = (end * i) / steps;
    sum += (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2) * density(s) * found(s);
  }
  return Math.min(1, (sum * end) / (3 * steps));
}

/** The smallest mean difference, in standard deviations of the differences, that n pairs find with the wished power. */
export function detectableEffect(n: number, alpha: number, power = WISHED_POWER): number {
  if (n < 2) return Number.POSITIVE_INFINITY;
  const name = `${n} ${alpha} ${power}`;
  const known = detectable.get(name);
  if (known !== undefined) return known;
  let [low, high] = [0, 1];
  while (pairedPower(n, high, alpha) < power) high *= 2;
  for (let step = 0; step < 40 && high - low > 1e-6 * high; step++) {
    const middle = (low + high) / 2;
    if (pairedPower(n, middle, alpha) < power) low = middle;
    else high = middle;
  }
  detectable.set(name, high);
  return high;
}

/** Kept: every series of every report asks for a few of these. */
const detectable = new Map<string, number>();

/** The fewest seeds that find d with the wished power; null when more than MOST_SEEDS. */
export function seedsNeeded(d: number, alpha: number, power = WISHED_POWER): number | null {
  if (!(pairedPower(MOST_SEEDS, d, alpha) >= power)) return null;
  let [low, high] = [1, MOST_SEEDS];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (pairedPower(middle, d, alpha) >= power) high = middle;
    else low = middle;
  }
  return high;
}

/** Phi(x), by Chebyshev's fit to erfc (Numerical Recipes 6.2): relative error below 1.2e-7 everywhere. */
function normalBelow(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.5 * z);
  const series = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ];
  const fit = series.reduceRight((sum, coefficient) => sum * t + coefficient, 0);
  const upper = 0.5 * t * Math.exp(-z * z + fit);
  return x < 0 ? upper : 1 - upper;
}
