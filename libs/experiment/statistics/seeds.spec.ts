// Statistics against closed forms, tables and cases worked out by hand.
import { describe, expect, it } from 'vitest';
import { estimate, hedgesG, holm, mean, pairedTTest, standardDeviation } from './seeds.js';
import { tQuantile, tTail } from './student-t.js';

describe('t distribution', () => {
  it('agrees with the closed forms at 1 and 2 degrees of freedom', () => {
    for (const x of [0.001, 0.3, 1, 2.5, 12.7, 400]) {
      expect(tTail(x, 1)).toBeCloseTo(1 - (2 / Math.PI) * Math.atan(x), 12);
      expect(tTail(x, 2)).toBeCloseTo(1 - x / Math.sqrt(2 + x * x), 12);
    }
  });

  it('gives the tabled quantiles', () => {
    expect(tQuantile(0.975, 1)).toBeCloseTo(Math.tan(0.475 * Math.PI), 8);
    expect(tQuantile(0.975, 2)).toBeCloseTo(0.95 * Math.sqrt(2 / (1 - 0.95 ** 2)), 9);
    expect(tQuantile(0.975, 4)).toBeCloseTo(2.7764451051977987, 9);
    expect(tQuantile(0.975, 10)).toBeCloseTo(2.2281388519649385, 9);
    expect(tQuantile(0.995, 30)).toBeCloseTo(2.7499956535672, 9);
    expect(tQuantile(0.975, 1e6)).toBeCloseTo(1.959966, 5);
    expect(tQuantile(0.025, 4)).toBeCloseTo(-2.7764451051977987, 9);
  });

  it('refuses what has no quantile', () => {
    expect(() => tQuantile(1, 3)).toThrow(RangeError);
    expect(() => tQuantile(0.9, 0)).toThrow(RangeError);
  });
});

describe('estimate', () => {
  it('is hand-computed for 1, 2, 3: mean 2, sd 1, interval 2 ± 4.3027 / sqrt 3', () => {
    const { n, mean: centre, sd, low, high } = estimate([1, 2, 3]);
    expect([n, centre, sd]).toEqual([3, 2, 1]);
    expect(low).toBeCloseTo(2 - 4.302652729911275 / Math.sqrt(3), 9);
    expect(high).toBeCloseTo(2 + 4.302652729911275 / Math.sqrt(3), 9);
  });

  it('has no interval with one value, and does not exist with none', () => {
    expect(estimate([5])).toEqual({ n: 1, mean: 5, sd: null, low: null, high: null });
    expect(() => mean([])).toThrow(RangeError);
    expect(() => standardDeviation([1])).toThrow(RangeError);
  });
});

describe('pairedTTest', () => {
  it('is hand-computed: differences 1, 2, 3 give t = 2 sqrt 3 and p = 1 - t / sqrt(2 + t²)', () => {
    const test = pairedTTest([2, 4, 6], [1, 2, 3]);
    const t = 2 * Math.sqrt(3);
    expect(test?.difference).toBe(2);
    expect(test?.p).toBeCloseTo(1 - t / Math.sqrt(2 + t * t), 12);
  });

  it('turns its sign with the order, not its p-value', () => {
    const forward = pairedTTest([1, 2, 4], [2, 2, 1]);
    const backward = pairedTTest([2, 2, 1], [1, 2, 4]);
    expect(backward?.difference).toBeCloseTo(-(forward?.difference ?? 0), 12);
    expect(backward?.p).toBeCloseTo(forward?.p ?? 0, 12);
  });

  it('draws no conclusion from one pair and none from equal lists', () => {
    expect(pairedTTest([1], [2])).toBeUndefined();
    expect(pairedTTest([1, 2], [1, 2])?.p).toBe(1);
    expect(() => pairedTTest([1], [])).toThrow(RangeError);
  });
});

describe('holm', () => {
  it('is hand-computed for 0.01, 0.04, 0.03, 0.005: 0.03, 0.06, 0.06, 0.02', () => {
    const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
    [0.03, 0.06, 0.06, 0.02].forEach((p, index) => {
      expect(adjusted[index]).toBeCloseTo(p, 12);
    });
  });

  it('gives a hypothesis with more weight more of the level', () => {
    // p / w: 0.02 / 3, 0.03 / 1, 0.04 / 2; weights open: 6, 3, 2 in the order first, third, second.
    const adjusted = holm([0.02, 0.03, 0.04], [3, 1, 2]);
    [(0.02 * 6) / 3, 0.06, 0.06].forEach((p, index) => {
      expect(adjusted[index]).toBeCloseTo(p, 12);
    });
    expect(holm([0.01, 0.04, 0.03, 0.005], [0.25, 0.25, 0.25, 0.25])).toEqual(
      holm([0.01, 0.04, 0.03, 0.005]).map((p) => expect.closeTo(p, 12)),
    );
  });

  it('never exceeds 1 and takes an empty family', () => {
    expect(holm([0.9, 0.8])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });
});

describe('hedgesG', () => {
  it('is hand-computed: differences 1, 2, 3 have d = 2 and, at 2 degrees of freedom, J = 1 / sqrt(pi)', () => {
    expect(hedgesG([2, 4, 6], [1, 2, 3])).toBeCloseTo(2 / Math.sqrt(Math.PI), 12);
  });

  it('comes near 1 - 3 / (4 df - 1) of the uncorrected size', () => {
    const a = [0.3, 0.1, 0.5, 0.2, 0.45, 0.9];
    const zeros = a.map(() => 0);
    const d = mean(a) / standardDeviation(a);
    expect(hedgesG(a, zeros)).toBeCloseTo(d * (1 - 3 / 19), 2);
    expect(hedgesG(zeros, a)).toBeCloseTo(-(hedgesG(a, zeros) ?? 0), 12);
  });

  it('is not told from two pairs, nor where all differences are equal', () => {
    expect(hedgesG([1, 2], [0, 5])).toBeNull();
    expect(hedgesG([1, 2, 3], [0, 1, 2])).toBeNull();
  });
});
