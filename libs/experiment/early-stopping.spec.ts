// Rungs, who climbs them, who is stopped, and what of it depends on the order of arrival.
import { describe, expect, it } from 'vitest';
import { spentSeconds } from './budget.js';
import { decideAtRung, isSpared, rungEpochs, stoppingReason } from './early-stopping.js';
import { InvalidRequest } from './errors.js';
import type { RungValue, TrialResult } from './records.js';
import { parseSweepRequest } from './requests.js';

const stopping = { measure: 'validationLoss', reduction: 3, graceEpochs: 3 } as const;
const value = (trialId: string, loss: number | null): RungValue => ({
  trialId,
  measure: 'validationLoss',
  epoch: 3,
  value: loss,
});

describe('rungs', () => {
  it('stand at graceEpochs reduction^k, before the last epoch', () => {
    expect(rungEpochs(stopping, 80)).toEqual([3, 9, 27]);
    expect(rungEpochs(stopping, 27)).toEqual([3, 9]);
    expect(rungEpochs(stopping, 3)).toEqual([]);
  });

  it('are not climbed by what others are compared with', () => {
    const both = { baseline: true, reference: true };
    const of = (role: 'requested' | 'baseline' | 'reference', temperature: number, distillWeight = 0.7) =>
      isSpared(both, { role, hyperparameters: { temperature, distillWeight } });
    expect([of('reference', 1), of('baseline', 1, 0), of('requested', 1), of('requested', 4, 0)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(of('requested', 4)).toBe(false);
    const none = { baseline: false, reference: false };
    expect(isSpared(none, { role: 'requested', hyperparameters: { temperature: 1, distillWeight: 0 } })).toBe(false);
  });

  it('let the best third go on, and the first to come always', () => {
    const all = [5, 3, 9, 1, 7, 2, 8, null, 4].map((loss, at) => value(`t${at}`, loss));
    const kept = all.filter((own) => !decideAtRung(own, all, stopping).isStopped).map((own) => own.value);
    expect(kept).toEqual([3, 1, 2]);
    expect(decideAtRung(value('t0', 99), [], stopping)).toMatchObject({ rank: 1, reached: 1, isStopped: false });
    expect(decideAtRung(value('t0', null), all, stopping)).toMatchObject({ isStopped: true });
  });

  it('of equals decide the same, and the order in which values are listed plays no part', () => {
    const all = [1, 1, 2, 3].map((loss, at) => value(`t${at}`, loss));
    const decided = all.map((own) => decideAtRung(own, all, stopping).isStopped);
    expect(decided).toEqual([false, false, true, true]);
    expect(all.map((own) => decideAtRung(own, [...all].reverse(), stopping).isStopped)).toEqual(decided);
  });

  it('say in one sentence why', () => {
    const decision = decideAtRung(value('t3', Math.PI), [value('a', 1), value('b', 2)], stopping);
    expect(stoppingReason(decision, stopping)).toBe(
      'Stopped early after 3 epochs: its validation loss (3.142) was number 3 of the 3 trials of its seed that had come so far, and the best 1 go on.',
    );
  });
});

describe('a request', () => {
  it('with early stopping gets its defaults, and faults by name', () => {
    expect(parseSweepRequest({ teacher: 'demo', earlyStopping: {}, budget: 60 })).toMatchObject({
      earlyStopping: { measure: 'validationLoss', reduction: 3, graceEpochs: 3 },
      budget: 60,
    });
    const wrong = { measure: 'bleu', reduction: 1, graceEpoch: 2 };
    try {
      parseSweepRequest({ teacher: 'demo', earlyStopping: wrong, budget: 0 });
      expect.fail('accepted');
    } catch (error) {
      expect((error as InvalidRequest).faults.map(({ path }) => path).sort()).toEqual([
        'budget',
        'earlyStopping.graceEpoch',
        'earlyStopping.measure',
        'earlyStopping.reduction',
      ]);
    }
  });
});

describe('what a sweep has spent', () => {
  const sweep = { createdAt: '2026-01-01T12:00:00.000Z' };
  const result = (over: Partial<TrialResult>): TrialResult => ({
    trialId: 't',
    status: 'failed',
    fence: '1-a',
    worker: 'w',
    bundleTrialIds: ['t', 'u'],
    artifacts: [],
    startedAt: '2026-01-01T12:00:10.000Z',
    finishedAt: '2026-01-01T12:00:30.000Z',
    ...over,
  });

  it('counts results made for it, its share of what failed, and what runs', () => {
    const summary = { trainingSeconds: 5, evaluationSeconds: 2 } as TrialResult['summary'] & object;
    expect(spentSeconds(sweep, [result({ status: 'completed', summary })])).toBe(7);
    expect(spentSeconds(sweep, [result({})])).toBe(10);
    const pruned = { sweepId: 's', cause: 'early-stopping', reason: '', trainingSeconds: 3 } as const;
    expect(spentSeconds(sweep, [result({ status: 'pruned', pruned })])).toBe(3);
    expect(spentSeconds(sweep, [], [{ seconds: 40, students: 4, open: 1 }])).toBe(10);
  });

  it('does not count what was there before it', () => {
    const before = result({ finishedAt: '2026-01-01T11:59:59.000Z' });
    expect(spentSeconds(sweep, [before])).toBe(0);
  });
});
