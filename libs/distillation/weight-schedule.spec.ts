// The weight of each step, by hand.
import { describe, expect, it } from 'vitest';
import { weightAt } from './weight-schedule.js';

const curve = (start: number, schedule: Parameters<typeof weightAt>[1], steps: number) =>
  Array.from({ length: steps }, (_, i) => Number(weightAt(start, schedule, i + 1, steps).toFixed(12)));

describe('weightAt', () => {
  it('stays without a schedule', () => {
    expect(curve(0.7, undefined, 3)).toEqual([0.7, 0.7, 0.7]);
  });

  it('goes evenly from the first step to the last', () => {
    expect(curve(0.8, { shape: 'linear', end: 0 }, 5)).toEqual([0.8, 0.6, 0.4, 0.2, 0]);
    expect(curve(0.1, { shape: 'linear', end: 0.9 }, 3)).toEqual([0.1, 0.5, 0.9]);
  });

  it('goes by half a cosine wave: slow, fast, slow', () => {
    const half = Math.SQRT1_2 / 2;
    expect(curve(1, { shape: 'cosine', end: 0 }, 5)).toEqual(
      [1, 0.5 + half, 0.5, 0.5 - half, 0].map((x) => Number(x.toFixed(12))),
    );
  });

  it('of a single step is the start', () => {
    expect(weightAt(0.7, { shape: 'linear', end: 0 }, 1, 1)).toBe(0.7);
  });
});
