// The words of the verdict against sweeps whose truth is known: a planted effect is found, a planted null is not, and over a
// thousand null sweeps at most one in twenty claims anything.
import { beforeAll, describe, expect, it } from 'vitest';
import { type SyntheticOptions, syntheticCorpus, syntheticSweep, syntheticTeacher } from '../synthetic-sweep.js';
import { buildReport } from './build-report.js';
import type { Report, SeriesVerdict } from './report.js';

const SWEEPS = 1000;

function reportOf(body: object, options: SyntheticOptions = {}): Report {
  const { sweep, results } = syntheticSweep({ teacher: 'demo', baseline: false, ...body }, options);
  return buildReport(sweep, syntheticTeacher, syntheticCorpus, results);
}

/** Many sweeps of one plan, each with its own chance; results are made anew, trials and settings stay. */
function verdicts(seeds: number, options: SyntheticOptions, count: number): SeriesVerdict[] {
  const body = { vary: { temperature: [1, 2, 4, 8] }, seeds, evaluation: { snrDb: [6, 12], sentences: 100 } };
  return Array.from({ length: count }, (_, chance) => {
    const { verdicts: made } = reportOf(body, { ...options, chance, withSentences: false });
    return made[0] as SeriesVerdict;
  });
}

const share = (all: SeriesVerdict[], is: (verdict: SeriesVerdict) => boolean) => all.filter(is).length / all.length;
const claims = ({ conclusion }: SeriesVerdict) =>
  conclusion === 'significant-differences' || conclusion === 'significant-trend';

describe.each([3, 5])('a thousand sweeps of %i seeds in which temperature does nothing', (seeds) => {
  let all: SeriesVerdict[];
  beforeAll(() => {
    all = verdicts(seeds, { effect: 0, noise: 0.05 }, SWEEPS);
  }, 60_000);

  it('are told to differ at most one time in twenty', () => {
    const wrong = share(all, claims);
    expect(wrong).toBeLessThanOrEqual(0.05);
    // A test that never claims anything would pass too: chance must strike now and then.
    expect(wrong).toBeGreaterThan(0.005);
  });

  it('never name a temperature for an aim, nor judge the rule of thumb, without a claim', () => {
    for (const verdict of all.filter((one) => !claims(one))) {
      expect(verdict.conclusion).toBe('no-significant-difference');
      expect(verdict.largestGap).toBeUndefined();
      expect(verdict.ruleOfThumb).toBe('undecided');
    }
  });
});

describe('a planted effect', () => {
  it('is found with 3 seeds by its trend where pairs alone would mostly miss it', () => {
    const all = verdicts(3, { effect: 0.1, noise: 0.05 }, 200);
    expect(share(all, claims)).toBeGreaterThan(0.8);
    expect(share(all, ({ conclusion }) => conclusion === 'significant-differences')).toBeLessThan(0.5);
    expect(share(all, ({ ruleOfThumb }) => ruleOfThumb === 'supported')).toBeGreaterThan(0.8);
    expect(share(all, ({ ruleOfThumb }) => ruleOfThumb === 'contradicted')).toBe(0);
  });

  it('is found pair by pair with 5 seeds when it is strong', () => {
    const all = verdicts(5, { effect: 0.35, noise: 0.04 }, 100);
    expect(share(all, ({ conclusion }) => conclusion === 'significant-differences')).toBeGreaterThan(0.98);
  });

  it('is found in its own direction', () => {
    const all = verdicts(3, { effect: -0.1, noise: 0.05 }, 100);
    expect(share(all, ({ ruleOfThumb }) => ruleOfThumb === 'contradicted')).toBeGreaterThan(0.8);
  });
});

describe('seeds that each lean their own way', () => {
  it('are seldom taken for a trend', () => {
    const all = verdicts(3, { effect: 0, noise: 0.05, tilt: 0.025 }, 400);
    expect(share(all, claims)).toBeLessThan(0.1);
  });
});

describe('what the verdict says', () => {
  const body = { vary: { temperature: [1, 2, 4, 8] }, seeds: 3 };
  const words = (report: Report) => report.verdicts.flatMap(({ text }) => text.map(({ en }) => en)).join('\n');

  it('how small a difference these seeds could not see, and how many seeds would', () => {
    const report = reportOf(body, { effect: 0, noise: 0.05 });
    const power = report.verdicts[0]?.power;
    expect(power?.seeds).toBe(3);
    // Six pairs and one trend: the pairs share half of 5 %.
    expect(power?.alpha).toBeCloseTo(0.025 / 6, 12);
    expect(power?.detectable).toBeGreaterThan(power?.largestUnseen ?? Number.POSITIVE_INFINITY);
    expect(power?.seedsNeeded).toBeGreaterThan(3);
    expect(words(report)).toMatch(/With 3 seeds a difference between two settings below 0\.\d+ is missed/);
    expect(words(report)).toMatch(/would take (about \d+|more than 200) seeds/);
  });

  it('where the gap falls at every step, with slope and effect size', () => {
    const report = reportOf({ ...body, seeds: 5 }, { effect: 0.5, noise: 0.02 });
    expect(words(report)).toMatch(/Falling along the temperature T at every step: -0\.\d+ ± 0\.\d+ JSD per doubling/);
    expect(words(report)).toMatch(/Hedges' g \d+/);
    expect(report.trends.find(({ measure }) => measure === 'jsd')).toMatchObject({
      scale: 'log2',
      direction: 'falls',
      isMonotone: true,
      isSignificant: true,
    });
  });

  it('that a difference holds on these sentences only', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...body, seeds: 5 }, { effect: 0.5, noise: 0.02 });
    for (const { spec, result } of results) {
      // The whole gap of T = 1 comes from one sentence.
      const values = result.summary?.evaluation.sentenceValues;
      if (!values || spec.hyperparameters.temperature !== 1) continue;
      values.jsd = values.jsd.map((_, i) => (i === 0 ? 40 : 0));
    }
    const text = words(buildReport(sweep, syntheticTeacher, syntheticCorpus, results));
    expect(text).toMatch(/On these sentences only .*: T=1 – T=2, T=1 – T=4, T=1 – T=8\./);
  });

  it('nothing of sentences where records hold none, and all it said before', () => {
    const report = reportOf({ ...body, seeds: 5 }, { effect: 0.5, noise: 0.02, isEarlier: true });
    expect(report.settings[0]?.crossed).toBeUndefined();
    expect(report.settings[0]?.curves.ckaDecOut).toBeUndefined();
    expect(report.settings[0]?.curves.jsd).toBeDefined();
    expect(report.comparisons.every(({ crossed }) => crossed === null)).toBe(true);
    expect(report.verdicts[0]?.conclusion).toBe('significant-differences');
  });

  it('how large the gap is beside that of an untrained student', () => {
    const report = reportOf({ ...body, seeds: 5 }, { effect: 0.5, noise: 0.02 });
    for (const { gapShare } of report.settings) {
      expect(gapShare).toBeGreaterThan(0);
      expect(gapShare).toBeLessThan(1);
    }
    expect(words(report)).toMatch(/Large gap: T=1 \(JSD .*, \d+ % of an untrained student’s\)/);
  });
});
