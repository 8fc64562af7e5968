// What a hyperparameter accounts for: named values by themselves, drawn numbers, which are all different, in groups of neighbours.
import { expect, test } from 'vitest';
import { uniformAt } from '../statistics/index.js';
import { importancesOf } from './importances.js';
import type { ReportSetting, ReportTrial } from './report.js';

test('of drawn numbers the one that acts is found, and the other accounts for next to nothing', () => {
  const drawn = Array.from({ length: 60 }, (_, index) => ({
    temperature: uniformAt(1, 1, index) * 15,
    learningRate: uniformAt(1, 2, index),
  }));
  const settings = drawn.map((values) => ({ kind: 'distilled', values }) as ReportSetting);
  const trials = drawn.flatMap(({ temperature }, setting) =>
    [0, 1].map((seed) => {
      const jsd = temperature + 0.1 * uniformAt(2, setting, seed);
      return { setting, seed, meanOverSnr: { jsd } } as ReportTrial;
    }),
  );
  const [first, second] = importancesOf(['temperature', 'learningRate'], settings, trials);
  expect(first).toMatchObject({ name: 'temperature', levels: 60 });
  expect(first?.share).toBeGreaterThan(0.8);
  expect(second?.share).toBeLessThan(0.2);
});
