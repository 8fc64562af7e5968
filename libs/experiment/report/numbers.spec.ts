// How numbers, labels and colours of a report come out.
import { describe, expect, it } from 'vitest';
import { spread } from './drawing.js';
import { formatEstimate, formatNumber, formatProbability } from './numbers.js';
import { inkOn, viridis } from './palette.js';

describe('numbers', () => {
  it('show three decimals from 0.1 up and three significant digits below', () => {
    expect([0.94321, 0.0312, 0.00001234, 12.345, 123.45, 12345.6, 0, -0, -0.5].map(formatNumber)).toEqual([
      '0.943',
      '0.0312',
      '0.0000123',
      '12.35',
      '123.5',
      '12346',
      '0',
      '0',
      '-0.500',
    ]);
    expect(formatNumber(Number.NaN)).toBe('–');
  });

  it('show an interval in the digits of its mean, or its first digit where that would be nothing', () => {
    expect(formatEstimate({ n: 3, mean: 0.943, sd: 1, low: 0.931, high: 0.955 })).toBe('0.943 ± 0.012');
    expect(formatEstimate({ n: 3, mean: 0.943, sd: 1, low: 0.94297, high: 0.94303 })).toBe('0.943 ± 0.00003');
    expect(formatEstimate({ n: 1, mean: 0.943, sd: null, low: null, high: null })).toBe('0.943');
    expect(formatEstimate({ n: 2, mean: 0.5, sd: 0, low: 0.5, high: 0.5 })).toBe('0.500 ± 0.000');
  });

  it('show p-values', () => {
    expect([0.0004, 0.0312, 1].map(formatProbability)).toEqual(['< 0.001', '0.031', '1.000']);
  });
});

describe('drawing', () => {
  it('keeps labels apart, in order and inside the frame', () => {
    expect(spread([100, 101, 10], 15, 200)).toEqual([100, 115, 10]);
    expect(spread([195, 199, 200], 15, 200)).toEqual([170, 185, 200]);
  });

  it('runs viridis from violet to yellow and writes on it readably', () => {
    expect([viridis(0), viridis(1), viridis(9)]).toEqual(['#440154', '#fde725', '#fde725']);
    expect([inkOn('#440154'), inkOn('#fde725')]).toEqual(['#ffffff', '#000000']);
  });
});
