// Paired tests over seeds: settings of one series against each other, and each setting against its own baseline. Holm's
// correction is taken within each measure and family; tests with fewer than two common seeds are not made.
import { holm, pairedTTest } from '../statistics/index.js';
import {
  type Comparison,
  type ReportSetting,
  type ReportTrial,
  TESTED_MEASURES,
  type TestedMeasure,
} from './report.js';

const SIGNIFICANCE = 0.05;
/** More pairs than this leave nothing significant after correction, and nobody reads them. */
const MAX_PAIRS = 300;

/** All comparisons of a report, in a fixed order. */
export function compareSettings(
  settings: readonly ReportSetting[],
  trials: readonly ReportTrial[],
): { comparisons: Comparison[]; isPairTestingOmitted: boolean } {
  const pairs = pairsWithinSeries(settings);
  const isPairTestingOmitted = pairs.length > MAX_PAIRS;
  const comparisons = TESTED_MEASURES.flatMap((measure) => {
    const bySeed = valuesBySeed(settings.length, trials, measure);
    return [
      ...testFamily('settings', measure, isPairTestingOmitted ? [] : pairs, bySeed),
      ...testFamily('baseline', measure, pairsWithBaseline(settings), bySeed),
    ];
  });
  return { comparisons, isPairTestingOmitted };
}

/** What is tested of one trial: hybrids at the headline SNR, BLEU and JSD as the mean over SNRs. */
export function testedValue(trial: ReportTrial, measure: TestedMeasure): number | undefined {
  if (measure === 'validationLoss') return trial.validationLoss;
  return measure === 'hybridBleu1' ? trial.atHeadline.hybridBleu1 : trial.meanOverSnr[measure];
}

type Pair = [number, number];

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

/** The baseline of a setting shares every varied hyperparameter but temperature and weight. */
function pairsWithBaseline(settings: readonly ReportSetting[]): Pair[] {
  const budget = ({ values }: ReportSetting) => {
    const { temperature, distillWeight, ...rest } = values;
    return JSON.stringify(rest);
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

function valuesBySeed(count: number, trials: readonly ReportTrial[], measure: TestedMeasure): Map<number, number>[] {
  const bySeed = Array.from({ length: count }, () => new Map<number, number>());
  for (const trial of trials) {
    const value = testedValue(trial, measure);
    if (value !== undefined) bySeed[trial.setting]?.set(trial.seed, value);
  }
  return bySeed;
}

function testFamily(
  family: Comparison['family'],
  measure: TestedMeasure,
  pairs: Pair[],
  bySeed: Map<number, number>[],
): Comparison[] {
  const tested = pairs.flatMap(([a, b]) => {
    const [left, right] = [bySeed[a], bySeed[b]];
    if (!left || !right) return [];
    const seeds = [...left.keys()].filter((seed) => right.has(seed)).sort((x, y) => x - y);
    const of = (values: Map<number, number>) => seeds.map((seed) => values.get(seed) ?? Number.NaN);
    const test = pairedTTest(of(left), of(right));
    return test ? [{ a, b, ...test }] : [];
  });
  const corrected = holm(tested.map((test) => test.p));
  return tested.map((test, index) => {
    const pHolm = corrected[index] ?? 1;
    return { family, measure, ...test, pHolm, tests: tested.length, isSignificant: pHolm < SIGNIFICANCE };
  });
}
