// The conclusion of a report: which setting suits a large gap, a balance, a small gap, or plainly that no difference was
// found. The gap is the mean JSD to the teacher over the measured SNRs, named before any result is seen.
import type { Hyperparameters } from '../records.js';
import { detectableEffect, seedsNeeded } from '../statistics/index.js';
import { SIGNIFICANCE, TREND_SHARE } from './comparisons.js';
import type { Aim, Comparison, Conclusion, PowerNote, ReportSetting, SeriesTrend, SeriesVerdict } from './report.js';
import { verdictTexts } from './verdict-texts.js';

export interface VerdictContext {
  settings: readonly ReportSetting[];
  comparisons: readonly Comparison[];
  trends: readonly SeriesTrend[];
  axis: keyof Hyperparameters | null;
  isPairTestingOmitted: boolean;
}

/** One verdict for each series (settings that differ in the axis only), in the order of settings. */
export function verdictsOf(context: VerdictContext): SeriesVerdict[] {
  const { settings } = context;
  const distilled = settings.flatMap((setting, index) => (setting.kind === 'distilled' ? [index] : []));
  const names = [...new Set(distilled.map((index) => settings[index]?.series ?? ''))];
  if (names.length === 0) names.push('');
  return names.map((series) =>
    verdictOf(
      series,
      distilled.filter((index) => settings[index]?.series === series),
      context,
    ),
  );
}

function verdictOf(series: string, members: number[], context: VerdictContext): SeriesVerdict {
  const { settings, axis } = context;
  const gap = (index: number) => settings[index]?.meanOverSnr.jsd?.mean ?? Number.NaN;
  const ranking = [...members].sort((a, b) => gap(b) - gap(a) || a - b);
  const pairs = context.comparisons.filter(
    ({ family, measure, a, b }) =>
      family === 'settings' && measure === 'jsd' && members.includes(a) && members.includes(b),
  );
  const trend = context.trends.find((one) => one.measure === 'jsd' && one.series === series);
  const conclusion = conclusionOf(members, { pairs, trend }, context);
  const verdict: Omit<SeriesVerdict, 'text'> = { series, conclusion, ranking };
  if (conclusion === 'significant-differences' || conclusion === 'significant-trend') {
    const aim = (setting: number): Aim => ({
      setting,
      indistinguishable: members.filter((other) => other !== setting && !areDistinct(setting, other, pairs)),
    });
    const [first, last] = [ranking[0], ranking.at(-1)];
    if (first !== undefined && last !== undefined) {
      verdict.largestGap = aim(first);
      verdict.smallestGap = aim(last);
      const middle = (gap(first) + gap(last)) / 2;
      const between = ranking.slice(1, -1).sort((a, b) => Math.abs(gap(a) - middle) - Math.abs(gap(b) - middle));
      if (between[0] !== undefined) verdict.balanced = aim(between[0]);
    }
  }
  if (axis === 'temperature' && (pairs.length > 0 || trend)) verdict.ruleOfThumb = judgeRule(pairs, trend, settings);
  const power = powerOf(pairs, context.trends.filter(({ measure }) => measure === 'jsd').length);
  if (power) verdict.power = power;
  return { ...verdict, text: verdictTexts(verdict, { pairs, trend }, context) };
}

/** What a verdict rests on. */
export interface Evidence {
  pairs: readonly Comparison[];
  trend: SeriesTrend | undefined;
}

function conclusionOf(members: number[], { pairs, trend }: Evidence, context: VerdictContext): Conclusion {
  if (context.settings.length === 0) return 'nothing-completed';
  if (members.length < 2) return 'one-setting';
  if (pairs.some((pair) => pair.isSignificant)) return 'significant-differences';
  if (trend?.isSignificant) return 'significant-trend';
  if (pairs.length > 0) return 'no-significant-difference';
  return context.isPairTestingOmitted ? 'not-tested' : 'single-seed';
}

function areDistinct(a: number, b: number, pairs: readonly Comparison[]): boolean {
  return pairs.some((pair) => pair.isSignificant && ((pair.a === a && pair.b === b) || (pair.a === b && pair.b === a)));
}

/** The rule of thumb says the gap falls as the temperature rises; only what is significant bears witness. */
function judgeRule(
  pairs: readonly Comparison[],
  trend: SeriesTrend | undefined,
  settings: readonly ReportSetting[],
): SeriesVerdict['ruleOfThumb'] {
  let forIt = 0;
  let againstIt = 0;
  for (const { a, b, difference, isSignificant } of pairs) {
    const rise = (settings[b]?.values.temperature ?? 0) - (settings[a]?.values.temperature ?? 0);
    if (!isSignificant || rise === 0) continue;
    if (difference * rise > 0) forIt += 1;
    else againstIt += 1;
  }
  if (trend?.isSignificant) {
    if (trend.direction === 'falls') forIt += 1;
    else againstIt += 1;
  }
  if (forIt > 0 && againstIt > 0) return 'mixed';
  if (forIt > 0) return 'supported';
  return againstIt > 0 ? 'contradicted' : 'undecided';
}

/** What the seeds at hand can see of a pair, at the level it has in the first step of Holm's correction. */
function powerOf(pairs: readonly Comparison[], trends: number): PowerNote | undefined {
  const [first] = pairs;
  if (!first) return undefined;
  const seeds = Math.min(...pairs.map(({ n }) => n));
  const sd = Math.sqrt(pairs.reduce((sum, pair) => sum + pair.sd ** 2, 0) / pairs.length);
  const alpha = (SIGNIFICANCE * (trends > 0 ? 1 - TREND_SHARE : 1)) / (first.tests - trends);
  if (sd === 0) return undefined;
  const unseen = pairs.filter(({ isSignificant }) => !isSignificant).map(({ difference }) => Math.abs(difference));
  const largestUnseen = unseen.length > 0 ? Math.max(...unseen) : null;
  return {
    seeds,
    sd,
    alpha,
    detectable: detectableEffect(seeds, alpha) * sd,
    largestUnseen,
    seedsNeeded: largestUnseen ? seedsNeeded(largestUnseen / sd, alpha) : null,
  };
}
