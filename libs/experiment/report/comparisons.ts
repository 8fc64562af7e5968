// Tests over seeds: settings of one series against each other, the trend along the axis, and each setting against its own baseline.
// Holm's correction is taken within each measure and family; tests with fewer than two common seeds are not made.

import { isTeacherDial } from '../dials.js';
import type { Hyperparameters } from '../records.js';
import { hedgesG, holm, pairedTTest, trendTest } from '../statistics/index.js';
import {
  type Comparison,
  type ReportSetting,
  type ReportTrial,
  type SeriesTrend,
  TESTED_MEASURES,
  type TestedMeasure,
} from './report.js';
import type { SentenceResamples } from './sentence-resamples.js';

export const SIGNIFICANCE = 0.05;
/** Of the level of a family with trends; the pairs share the other half. */
export const TREND_SHARE = 0.5;
/** More pairs than this leave nothing significant after correction, and nobody reads them. */
const MAX_PAIRS = 300;

export interface Compared {
  comparisons: Comparison[];
  trends: SeriesTrend[];
  isPairTestingOmitted: boolean;
}

/** All comparisons and trends of a report, in a fixed order. */
export function compareSettings(
  settings: readonly ReportSetting[],
  trials: readonly ReportTrial[],
  axis: keyof Hyperparameters | null,
  resamples?: SentenceResamples,
): Compared {
  const pairs = pairsWithinSeries(settings);
  const isPairTestingOmitted = pairs.length > MAX_PAIRS;
  const compared: Compared = { comparisons: [], trends: [], isPairTestingOmitted };
  for (const measure of TESTED_MEASURES) {
    const bySeed = trialsBySeed(settings.length, trials, measure);
    const crossed = measure === 'jsd' || measure === 'bleu1' ? measure : undefined;
    const test = (some: Pair[]) => testPairs(some, bySeed, crossed && resamples ? { crossed, resamples } : undefined);
    const tested = test(isPairTestingOmitted ? [] : pairs);
    const trends = trendsOf(settings, bySeed, axis);
    const weights = [
      ...tested.map(() => (trends.length > 0 ? (1 - TREND_SHARE) / tested.length : 1)),
      ...trends.map(() => TREND_SHARE / trends.length),
    ];
    const corrected = holm(
      [...tested, ...trends].map(({ p }) => p),
      weights,
    );
    const tests = weights.length;
    tested.forEach((one, index) => {
      const pHolm = corrected[index] ?? 1;
      const isSignificant = pHolm < SIGNIFICANCE;
      compared.comparisons.push({ family: 'settings', measure, ...one, pHolm, tests, isSignificant });
    });
    trends.forEach((one, index) => {
      const pHolm = corrected[tested.length + index] ?? 1;
      const isSignificant = pHolm < SIGNIFICANCE && one.isSameInAllSeeds;
      compared.trends.push({ measure, ...one, pHolm, tests, isSignificant });
    });
    const against = test(pairsWithBaseline(settings));
    const correctedAgainst = holm(against.map(({ p }) => p));
    against.forEach((one, index) => {
      const pHolm = correctedAgainst[index] ?? 1;
      const isSignificant = pHolm < SIGNIFICANCE;
      compared.comparisons.push({ family: 'baseline', measure, ...one, pHolm, tests: against.length, isSignificant });
    });
  }
  return compared;
}

/** What is tested of one trial: hybrids at the headline SNR, BLEU and JSD as the mean over SNRs. */
export function testedValue(trial: ReportTrial, measure: TestedMeasure): number | undefined {
  if (measure === 'validationLoss') return trial.validationLoss;
  return measure === 'hybridBleu1' ? trial.atHeadline.hybridBleu1 : trial.meanOverSnr[measure];
}

/** Whether an axis of these values is walked by doublings: temperatures always, others where they span three doublings. */
export function isLogAxis(axis: keyof Hyperparameters | null, values: readonly number[]): boolean {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low > 0 && (axis === 'temperature' || high / low >= 8);
}

type Pair = [number, number];

/** A trial's value, and where the trial stands. */
interface Measured {
  trial: number;
  value: number;
}

function pairsWithinSeries(settings: readonly ReportSetting[]): Pair[] {
  const pairs: Pair[] = [];
  settings.forEach((a, i) => {
    for (let j = i + 1; j < settings.length && pairs.length <= MAX_PAIRS; j++) {
      const b = settings[j];
      if (b && a.kind === 'distilled' && b.kind === 'distilled' && a.series === b.series) pairs.push([i, j]);
    }
  });
  return pairs;
}

/** The baseline of a setting shares every varied hyperparameter but the dials of the teacher. */
function pairsWithBaseline(settings: readonly ReportSetting[]): Pair[] {
  const budget = ({ values }: ReportSetting) => {
    return JSON.stringify(Object.entries(values).filter(([name]) => !isTeacherDial(name)));
  };
  const baselines = new Map<string, number>();
  settings.forEach((setting, index) => {
    if (setting.kind === 'baseline') baselines.set(budget(setting), index);
  });
  return settings.flatMap((setting, index): Pair[] => {
    const baseline = setting.kind === 'distilled' ? baselines.get(budget(setting)) : undefined;
    return baseline === undefined ? [] : [[index, baseline]];
  });
}

function trialsBySeed(count: number, trials: readonly ReportTrial[], measure: TestedMeasure): Map<number, Measured>[] {
  const bySeed = Array.from({ length: count }, () => new Map<number, Measured>());
  trials.forEach((trial, index) => {
    const value = testedValue(trial, measure);
    if (value !== undefined) bySeed[trial.setting]?.set(trial.seed, { trial: index, value });
  });
  return bySeed;
}

function testPairs(
  pairs: Pair[],
  bySeed: Map<number, Measured>[],
  bootstrap?: { crossed: 'jsd' | 'bleu1'; resamples: SentenceResamples },
) {
  return pairs.flatMap(([a, b]) => {
    const [left, right] = [bySeed[a], bySeed[b]];
    if (!left || !right) return [];
    const seeds = [...left.keys()].filter((seed) => right.has(seed)).sort((x, y) => x - y);
    const of = (values: Map<number, Measured>) => seeds.map((seed) => values.get(seed) as Measured);
    const [ours, theirs] = [of(left), of(right)];
    const values = (measured: Measured[]) => measured.map(({ value }) => value);
    const test = pairedTTest(values(ours), values(theirs));
    if (!test) return [];
    const common = ours.map(({ trial }, index): [number, number] => [trial, theirs[index]?.trial ?? trial]);
    const crossed = bootstrap ? bootstrap.resamples.ofDifference(bootstrap.crossed, common) : null;
    return [{ a, b, ...test, hedgesG: hedgesG(values(ours), values(theirs)), crossed }];
  });
}

/** One trend a series with at least three settings on a numeric axis, over the seeds that all of them have. */
function trendsOf(
  settings: readonly ReportSetting[],
  bySeed: Map<number, Measured>[],
  axis: keyof Hyperparameters | null,
) {
  if (axis === null) return [];
  const place = (index: number) => settings[index]?.values[axis];
  const members = settings.flatMap(({ kind }, index) =>
    kind === 'distilled' && typeof place(index) === 'number' && (bySeed[index]?.size ?? 0) > 0 ? [index] : [],
  );
  const series = [...new Set(members.map((index) => settings[index]?.series ?? ''))];
  return series.flatMap((name) => {
    const along = members
      .filter((index) => settings[index]?.series === name)
      .sort((a, b) => Number(place(a)) - Number(place(b)));
    const xs = along.map((index) => Number(place(index)));
    const scale = isLogAxis(axis, xs) ? ('log2' as const) : ('linear' as const);
    const seeds = [...(bySeed[along[0] ?? -1]?.keys() ?? [])]
      .filter((seed) => along.every((index) => bySeed[index]?.has(seed)))
      .sort((a, b) => a - b);
    const values = seeds.map((seed) => along.map((index) => bySeed[index]?.get(seed)?.value ?? Number.NaN));
    const trend = trendTest(scale === 'log2' ? xs.map(Math.log2) : xs, values);
    return trend ? [{ series: name, settings: along, scale, ...trend }] : [];
  });
}
