// What a worker tells of its trials while nothing happens.
import { afterEach, expect, test, vi } from 'vitest';
import type { LiveReports } from '#queue';
import { LiveBundle } from './live-bundle.js';

afterEach(() => {
  vi.useRealTimers();
});

test('a silent trial is told of every quarter of a minute, also when the clock is set back by an hour', () => {
  vi.useFakeTimers();
  const told: number[] = [];
  const from = performance.now();
  const reports = { trial: async () => void told.push(performance.now() - from) } as unknown as LiveReports;
  const bundle = new LiveBundle(['t1'], 'worker-1', reports);
  vi.setSystemTime(Date.now() - 3_600_000);
  vi.advanceTimersByTime(35_000);
  expect(told).toEqual([0, 16_000, 32_000]);
  bundle.stop();
});
