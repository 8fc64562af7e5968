// Trend, power, bootstrap and their chance against published values, closed forms and counting.
import { describe, expect, it } from 'vitest';
import { crossedInterval, resampleSentences } from './bootstrap.js';
import { normalAt, philox2x32, uniformAt } from './counter-random.js';
import { detectableEffect, pairedPower, seedsNeeded } from './power.js';
import { mean, standardDeviation } from './seeds.js';
import { pageTail, trendTest } from './trend.js';

describe('philox2x32', () => {
  it('gives the published words of Random123', () => {
    expect(philox2x32([0, 0], 0)).toEqual([0xff1dae59, 0x6cd10df2]);
    expect(philox2x32([0xffffffff, 0xffffffff], 0xffffffff)).toEqual([0x2c3f628b, 0xab4fd7ad]);
    expect(philox2x32([0x243f6a88, 0x85a308d3], 0x13198a2e)).toEqual([0xdd7ce038, 0xf62a4c12]);
  });

  it('makes uniform and normal numbers', () => {
    const uniform = Array.from({ length: 20_000 }, (_, i) => uniformAt(1, 2, i));
    expect(mean(uniform)).toBeCloseTo(0.5, 2);
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...uniform)).toBeLessThan(1);
    const normal = Array.from({ length: 20_000 }, (_, i) => normalAt(1, 3, i));
    expect(mean(normal)).toBeCloseTo(0, 1);
    expect(standardDeviation(normal)).toBeCloseTo(1, 1);
  });
});

describe('trendTest', () => {
  it('has the p-value of counting: all of 3 seeds in order at 3 levels is 2 of 6³ ways', () => {
    const falling = [
      [3, 2, 1],
      [9, 8, 5],
      [0.3, 0.2, 0.1],
    ];
    const trend = trendTest([0, 1, 2], falling);
    expect(trend?.pageL).toBe(3 * (3 + 4 + 3));
    expect(trend?.p).toBeCloseTo(2 / 216, 12);
    expect(trend).toMatchObject({ direction: 'falls', isMonotone: true, isSameInAllSeeds: true, n: 3, levels: 3 });
    expect(trend?.slope.mean).toBeCloseTo((-1 - 2 - 0.1) / 3, 12);
  });

  it('agrees with counting every order of 4 levels in 2 seeds', () => {
    const orders = permutations([1, 2, 3, 4]).map((order) => order.reduce((sum, rank, j) => sum + (j + 1) * rank, 0));
    const sums = orders.flatMap((a) => orders.map((b) => a + b));
    for (const distance of [0, 1, 4, 7, 10]) {
      const counted = sums.filter((l) => Math.abs(l - 50) >= distance).length / sums.length;
      expect(pageTail(distance, 2, 4)).toBeCloseTo(counted, 12);
    }
  });

  it('meets the critical values of Page’s table: 3 blocks of 4 need 84 at 5 %, one-sided; 5 blocks of 5 need 244', () => {
    const oneSided = (l: number, n: number, k: number) => pageTail(l - (n * k * (k + 1) ** 2) / 4, n, k) / 2;
    expect(oneSided(84, 3, 4)).toBeLessThan(0.05);
    expect(oneSided(83, 3, 4)).toBeGreaterThan(0.05);
    expect(oneSided(244, 5, 5)).toBeLessThan(0.05);
    expect(oneSided(243, 5, 5)).toBeGreaterThan(0.05);
  });

  it('goes over to the normal approximation without a jump', () => {
    const deviations = (k: number, n: number) => Math.sqrt((n * k * k * (k + 1) ** 2 * (k - 1)) / 144);
    const at = (k: number) => pageTail(Math.round(2 * deviations(k, 5)), 5, k);
    expect(at(13)).toBeCloseTo(at(12), 2);
  });

  it('says when the means do not go one way at every step, and draws nothing from one seed or a pair', () => {
    const bent = [
      [5, 3, 4, 1],
      [6, 3, 4, 2],
    ];
    expect(trendTest([0, 1, 2, 3], bent)).toMatchObject({ direction: 'falls', isMonotone: false });
    expect(trendTest([0, 1, 2], [[3, 2, 1]])).toBeUndefined();
    expect(trendTest([0, 1], bent)).toBeUndefined();
    expect(
      trendTest(
        [0, 1, 2],
        [
          [1, 1, 1],
          [2, 2, 2],
        ],
      ),
    ).toMatchObject({ direction: 'none', p: 1 });
  });
});

describe('pairedPower', () => {
  it('gives tabled values of the paired t-test', () => {
    expect(pairedPower(34, 0.5, 0.05)).toBeCloseTo(0.8077775, 5);
    expect(pairedPower(10, 1, 0.05)).toBeCloseTo(0.8030969, 4);
    expect(pairedPower(3, 0, 0.05)).toBeCloseTo(0.05, 5);
    expect(pairedPower(2, 0, 0.0083)).toBeCloseTo(0.0083, 4);
  });

  it('is what simulated sweeps find', () => {
    const [n, d] = [4, 1.5];
    let found = 0;
    for (let r = 0; r < 4000; r++) {
      const values = Array.from({ length: n }, (_, i) => d + normalAt(7, r, i));
      if (Math.abs(mean(values) / (standardDeviation(values) / Math.sqrt(n))) > 3.182446) found += 1;
    }
    expect(found / 4000).toBeCloseTo(pairedPower(n, d, 0.05), 1.5);
  });

  it('turns into the smallest difference and the number of seeds', () => {
    const effect = detectableEffect(5, 0.05);
    expect(pairedPower(5, effect, 0.05)).toBeCloseTo(0.8, 4);
    expect(seedsNeeded(effect, 0.05)).toBe(5);
    expect(seedsNeeded(0.5, 0.05)).toBe(34);
    expect(seedsNeeded(0.01, 0.05)).toBeNull();
    expect(detectableEffect(1, 0.05)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('bootstrap over seeds and sentences', () => {
  const sentences = 300;
  const sample = (seed: number, shift: number) => ({
    weights: Array.from({ length: sentences }, () => 1),
    values: Array.from({ length: sentences }, (_, i) => shift + normalAt(1, 99, i) + 0.1 * normalAt(2, seed, i)),
  });

  it('with one seed is the interval over sentences: 1.96 sd / sqrt n', () => {
    const one = sample(1, 0);
    const { low, high } = crossedInterval([resampleSentences(one)]);
    const half = (1.96 * standardDeviation(one.values)) / Math.sqrt(sentences);
    expect((high - low) / (2 * half)).toBeGreaterThan(0.9);
    expect((high - low) / (2 * half)).toBeLessThan(1.1);
    expect((high + low) / 2).toBeCloseTo(mean(one.values), 1);
  });

  it('of a difference on common sentences leaves their common part out', () => {
    const [a, b] = [resampleSentences(sample(1, 0.05)), resampleSentences(sample(2, 0))];
    const difference = a.map((value, r) => value - (b[r] as number));
    const { low, high } = crossedInterval([difference]);
    expect(high - low).toBeLessThan(0.05);
    expect(low).toBeGreaterThan(0);
  });

  it('grows with the spread between seeds, and is the same every time', () => {
    const near = [1, 2, 3, 4].map((seed) => resampleSentences(sample(seed, 0)));
    const far = [1, 2, 3, 4].map((seed) => resampleSentences(sample(seed, seed)));
    const width = ({ low, high }: { low: number; high: number }) => high - low;
    expect(width(crossedInterval(far))).toBeGreaterThan(4 * width(crossedInterval(near)));
    expect(crossedInterval(far)).toEqual(crossedInterval(far));
  });

  it('weights sentences by their tokens', () => {
    const means = resampleSentences({ weights: [3, 1], values: [1, 0] });
    for (const value of means) expect([0, 0.75, 1]).toContain(value);
    expect(() => resampleSentences({ weights: [1], values: [] })).toThrow(RangeError);
  });
});

function permutations(items: number[]): number[][] {
  if (items.length < 2) return [items];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
