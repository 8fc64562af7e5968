import { describe, expect, it } from 'vitest';
import { StepWatch } from './step-watch.js';
import type { TrainerMessage } from './trainer-protocol.js';

const times = { stepSilenceMs: 60_000, heartbeatMs: 300_000 };
const step = (n: number): TrainerMessage => ({
  type: 'progress',
  phase: 'training',
  fraction: 0,
  step: n,
  steps: 100,
  epoch: 1,
  epochs: 1,
  tokensPerSecond: 1,
  trainLoss: {},
});

describe('silence that is allowed', () => {
  it('is long while nothing is known of steps, and one minute while they are quick', () => {
    const watch = new StepWatch(times);
    expect(watch.limitMs).toBe(300_000);
    for (const [n, at] of [
      [1, 0],
      [3, 1_000],
      [5, 2_000],
    ] as const)
      watch.hear(step(n), at);
    expect(watch.limitMs).toBe(60_000);
    expect(watch.waitedFor).toBe('it took no step after step 5');
  });

  it('is ten times the median of slow steps, whatever one of them took', () => {
    const watch = new StepWatch(times);
    for (const [n, at] of [
      [1, 0],
      [2, 20_000],
      [3, 40_000],
      [4, 240_000],
    ] as const)
      watch.hear(step(n), at);
    expect(watch.limitMs).toBe(200_000);
  });

  it('is long again in phases without steps, whose length is no step time', () => {
    const watch = new StepWatch(times);
    watch.hear(step(1), 0);
    watch.hear(step(2), 100);
    expect(watch.hear({ type: 'busy', doing: 'validating' }, 200)).toBe(true);
    expect(watch.limitMs).toBe(300_000);
    watch.hear(step(3), 250_000);
    expect(watch.limitMs).toBe(60_000);
  });

  it('is not bought by telling the same step again', () => {
    const watch = new StepWatch(times);
    expect(watch.hear(step(1))).toBe(true);
    expect(watch.hear(step(1))).toBe(false);
  });
});
