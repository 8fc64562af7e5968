import { describe, expect, it } from 'vitest';
import { hasTrialEnded, isOpenTrial, isPrunedFor, sweepStateOf, trialStateOf } from './record-state.js';

const trial = (...names: string[]) => trialStateOf(new Set(['trial.json', ...names]));
const sweep = (...names: string[]) => sweepStateOf(new Set(['sweep.json', ...names]));

describe('a trial', () => {
  it('is open until there is a result, a cancellation or a pause', () => {
    expect(isOpenTrial(trial('attempts/1-a/log.txt'))).toBe(true);
    expect(isOpenTrial(trial('result.json'))).toBe(false);
    expect(isOpenTrial(trial('cancelled.json'))).toBe(false);
    expect(isOpenTrial(trial('paused.json'))).toBe(false);
  });

  it('has not ended while it is paused', () => {
    expect(hasTrialEnded(trial('paused.json'))).toBe(false);
    expect(hasTrialEnded(trial('paused.json', 'cancelled.json'))).toBe(true);
    expect(trial('paused.json', 'result.json')).toMatchObject({ isPaused: false, hasResult: true });
  });

  it('asked for again after a failure is open until that retry has a result of its own', () => {
    expect(trial('result.json', 'retries/1.json')).toMatchObject({ retry: 1, hasResult: false });
    expect(trial('result.json', 'retries/1.json', 'results/1.json')).toMatchObject({ retry: 1, hasResult: true });
    const tenth = Array.from({ length: 10 }, (_, i) => `retries/${i + 1}.json`);
    expect(trial('result.json', 'results/9.json', ...tenth)).toMatchObject({ retry: 10, hasResult: false });
  });

  it('that one sweep has pruned has ended for it alone, whatever others make of it', () => {
    const pruned = trial('pruned/one.json');
    expect(hasTrialEnded(pruned, { sweepId: 'one' })).toBe(true);
    expect(isOpenTrial(pruned, { sweepId: 'one' })).toBe(false);
    expect(isOpenTrial(pruned, { sweepId: 'two' })).toBe(true);
    expect(isOpenTrial(pruned)).toBe(true);
    expect(trial('pruned/one.json', 'result.json')).toMatchObject({ hasResult: true, prunedIn: ['one'] });
    expect(isPrunedFor(trial('pruned/one.json', 'result.json'), { sweepId: 'one' })).toBe(true);
  });

  it('that is not recorded does not exist', () => {
    expect(trialStateOf(new Set(['paused.json'])).exists).toBe(false);
  });
});

describe('a sweep', () => {
  it('stands where its newest version stands', () => {
    expect(sweep('settled.json', 'report/report.json')).toMatchObject({ version: 1, isSettled: true });
    expect(sweep('settled.json', 'versions/2/sweep.json')).toMatchObject({ version: 2, isSettled: false });
    expect(sweep('settled.json', 'cancelled.json', 'versions/2/sweep.json', 'versions/2/settled.json')).toMatchObject({
      version: 2,
      isSettled: true,
      isCancelled: false,
    });
  });

  it('is paused only while it has not ended', () => {
    expect(sweep('paused.json').isPaused).toBe(true);
    expect(sweep('paused.json', 'cancelled.json').isPaused).toBe(false);
    expect(sweep('paused.json', 'settled.json').isPaused).toBe(false);
  });
});
