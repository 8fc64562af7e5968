// Student's t distribution: its tail and its quantile, and the functions they stand on.

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
export function logGamma(x: number): number {
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
