import { describe, expect, it } from 'vitest';
import { normalAt } from './counter-random.js';
import { PAIRED_REPLICATES, pairedBootstrap } from './paired-bootstrap.js';

const ones = (size: number) => new Array<number>(size).fill(1);

describe('pairedBootstrap', () => {
  it('gives the weighted difference, b less a', () => {
    const [found] = pairedBootstrap([{ weights: [1, 3], a: [1, 2], b: [2, 4] }]);
    // (1 * 1 + 3 * 2) / 4; a replicate has the first alone, the second alone, or both.
    expect(found).toMatchObject({ difference: 1.75, low: 1, high: 2 });
  });

  it('knows nothing of one sentence, nor where none differs', () => {
    expect(pairedBootstrap([{ weights: [2], a: [1], b: [3] }])[0]).toEqual({ difference: 2, low: 2, high: 2, p: 1 });
    expect(pairedBootstrap([{ weights: ones(9), a: ones(9), b: ones(9) }])[0]).toEqual({
      difference: 0,
      low: 0,
      high: 0,
      p: 1,
    });
    expect(() => pairedBootstrap([{ weights: [1, 1], a: [1], b: [1, 2] }])).toThrow(/differ in length: 2, 1 and 2/);
  });

  it('finds a difference that every sentence shows with the smallest p there is', () => {
    const a = Array.from({ length: 40 }, (_, i) => i % 7);
    const [found] = pairedBootstrap([{ weights: ones(40), a, b: a.map((value, i) => value + 1 + (i % 2)) }]);
    expect(found?.difference).toBeCloseTo(1.5, 12);
    expect(found?.p).toBeCloseTo(2 / (PAIRED_REPLICATES + 1), 12);
    expect(found?.low).toBeGreaterThan(1.2);
    expect(found?.high).toBeLessThan(1.8);
  });

  it('is the same each time, and whatever stands beside', () => {
    const sample = (seed: number) => ({
      weights: Array.from({ length: 30 }, (_, i) => 3 + (i % 5)),
      a: ones(30),
      b: Array.from({ length: 30 }, (_, i) => normalAt(seed, 0, i)),
    });
    const [alone] = pairedBootstrap([sample(1)]);
    expect(pairedBootstrap([sample(2), sample(1)])[1]).toEqual(alone);
  });

  it('raises a false alarm about as often as it says: 1,000 comparisons of equal models', () => {
    const size = 80;
    const equal = Array.from({ length: 1000 }, (_, round) => ({
      weights: ones(size),
      a: new Array<number>(size).fill(0),
      b: Array.from({ length: size }, (_, i) => normalAt(77, round, i)),
    }));
    const found = pairedBootstrap(equal, 2000);
    const alarms = found.filter(({ p }) => p < 0.05).length;
    const covered = found.filter(({ low, high }) => low <= 0 && high >= 0).length;
    expect(alarms).toBeLessThan(70);
    expect(alarms).toBeGreaterThan(25);
    expect(covered).toBeGreaterThan(920);
  });
});
