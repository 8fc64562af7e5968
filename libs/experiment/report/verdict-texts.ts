// The conclusion in words, English and Chinese. Which words, the numbers decide by fixed rules (docs/report.md).
import { MOST_SEEDS } from '../statistics/index.js';
import { SIGNIFICANCE } from './comparisons.js';
import { formatEstimate, formatNumber, formatProbability } from './numbers.js';
import type { Comparison, Conclusion, PowerNote, ReportSetting, SeriesTrend, SeriesVerdict, Texts } from './report.js';
import { type Language, say, settingLabel, WORDS } from './texts.js';
import type { Evidence, VerdictContext } from './verdict.js';

const RULE_JUDGEMENTS: Record<NonNullable<SeriesVerdict['ruleOfThumb']>, Texts> = {
  supported: {
    en: 'these results support it: all that is significant goes its way.',
    zh: '结果支持该法则：所有显著结果都与之一致。',
  },
  contradicted: {
    en: 'these results contradict it: all that is significant goes the other way.',
    zh: '结果与该法则相反：所有显著结果都与之相反。',
  },
  mixed: {
    en: 'these results go both ways: some of what is significant follows it, some does not.',
    zh: '结果不一致：部分显著结果与之一致，部分相反。',
  },
  undecided: {
    en: 'these results neither support nor contradict it: neither a difference between temperatures nor a trend is significant.',
    zh: '结果既不支持也不否定该法则：温度之间的差异与趋势均不显著。',
  },
};

type Verdict = Omit<SeriesVerdict, 'text'>;

/** The conclusion of one series in words; the first text is the main sentence and names the series. */
export function verdictTexts(verdict: Verdict, evidence: Evidence, context: VerdictContext): Texts[] {
  const texts = [
    conclusionText(verdict, evidence, context),
    ...trendTexts(evidence.trend, context),
    ...aimTexts(verdict, context),
    ...sentenceTexts(evidence.pairs, context),
    ...powerTexts(verdict.power),
  ];
  const baseline = baselineText(verdict, context);
  if (baseline) texts.push(baseline);
  if (verdict.ruleOfThumb) {
    const judgement = RULE_JUDGEMENTS[verdict.ruleOfThumb];
    texts.push({
      en: `Rule of thumb (T 1 to 2 hard and a large gap, 3 to 5 balanced, 6 to 10 soft and a small gap): ${judgement.en}`,
      zh: `经验法则（T 1–2 硬、差距大；3–5 均衡；6–10 软、差距小）：${judgement.zh}`,
    });
  }
  return texts.map(({ en, zh }, index) =>
    verdict.series === '' || index > 0
      ? { en, zh }
      : { en: `${verdict.series}: ${en}`, zh: `${verdict.series}：${zh}` },
  );
}

const FIXED: Partial<Record<Conclusion, Texts>> = {
  'nothing-completed': { en: 'No trial completed: there is nothing to compare.', zh: '没有完成的试验：无可比较。' },
  'one-setting': {
    en: 'Only one setting with a teacher completed: there is nothing to compare it with.',
    zh: '只有一个带教师的设置完成：无可比较。',
  },
  'single-seed': {
    en: 'One seed only: no conclusion can be drawn, differences may be chance. Run again with at least 3 seeds.',
    zh: '只有一个种子：不能得出结论，差异可能出于偶然。请至少用 3 个种子重做。',
  },
  'not-tested': { en: WORDS.tooManyPairs.en, zh: WORDS.tooManyPairs.zh },
};

function conclusionText(verdict: Verdict, { pairs, trend }: Evidence, context: VerdictContext): Texts {
  const fixed = FIXED[verdict.conclusion];
  if (fixed) return fixed;
  if (verdict.conclusion === 'significant-trend' && trend) {
    const p = pWord(formatProbability(trend.pHolm));
    return {
      en: `The gap to the teacher ${trend.direction} along the ${axisName(context, 'en')}: p ${p} by Page's trend test after Holm's correction, ${trend.n} seeds.${pairs.length > 0 ? ' No two settings by themselves can be told apart.' : ''}`,
      zh: `与教师的差距随${axisName(context, 'zh')}${trend.direction === 'falls' ? '下降' : '上升'}：Page 趋势检验经 Holm 校正后 p ${p}，${trend.n} 个种子。${pairs.length > 0 ? '但任何两个设置之间都不能区分。' : ''}`,
    };
  }
  const best = [...pairs].sort((a, b) => a.pHolm - b.pHolm || a.p - b.p)[0];
  if (!best) return FIXED['single-seed'] as Texts;
  const label = (index: number, language: Language) => shortLabel(context.settings[index], language);
  const [a, b] = [best.a, best.b];
  const numbers = `${formatNumber(best.difference)} (${formatNumber(best.low)} … ${formatNumber(best.high)})`;
  const p = formatProbability(best.pHolm);
  const seeds = best.n;
  if (verdict.conclusion === 'no-significant-difference') {
    return {
      en: `No significant difference in the gap to the teacher: the smallest p-value of ${pairs.length} paired tests is ${p} after Holm's correction (${label(a, 'en')} against ${label(b, 'en')}, ${seeds} seeds).`,
      zh: `与教师的差距没有显著差异：${pairs.length} 个配对检验经 Holm 校正后最小 p 值为 ${p}（${label(a, 'zh')} 对 ${label(b, 'zh')}，${seeds} 个种子）。`,
    };
  }
  const significant = pairs.filter((pair) => pair.isSignificant).length;
  const size = best.hedgesG === null ? '' : `, Hedges' g ${formatNumber(best.hedgesG)}`;
  const sizeZh = best.hedgesG === null ? '' : `，Hedges g ${formatNumber(best.hedgesG)}`;
  return {
    en: `The gap to the teacher differs significantly in ${significant} of ${pairs.length} pairs. Clearest: ${label(a, 'en')} minus ${label(b, 'en')} in mean JSD is ${numbers}${size}, p ${pWord(p)} after Holm's correction over ${best.tests} tests, ${seeds} seeds.`,
    zh: `与教师的差距存在差异：${pairs.length} 对中有 ${significant} 对显著。最明显：${label(a, 'zh')} 减 ${label(b, 'zh')} 的平均 JSD 为 ${numbers}${sizeZh}，经 ${best.tests} 个检验的 Holm 校正后 p ${pWord(p)}，${seeds} 个种子。`,
  };
}

function axisName({ axis }: VerdictContext, language: Language): string {
  return axis === 'temperature' ? WORDS.temperature[language] : (axis ?? '–');
}

/** Whether the gap is monotone: only a significant trend is called one, and where the means bend is said. */
function trendTexts(trend: SeriesTrend | undefined, context: VerdictContext): Texts[] {
  if (!trend) return [];
  const p = pWord(formatProbability(trend.pHolm));
  if (!trend.isSignificant) {
    const isMixed = trend.pHolm < SIGNIFICANCE;
    return [
      {
        en: `No trend along the ${axisName(context, 'en')} can be claimed (Page's test, p ${p} after correction${isMixed ? ', but the seeds do not all go one way' : ''}).`,
        zh: `不能断定存在随${axisName(context, 'zh')}的趋势（Page 检验，校正后 p ${p}${isMixed ? '，但各种子方向不一' : ''}）。`,
      },
    ];
  }
  const falls = trend.direction === 'falls';
  const per = trend.scale === 'log2' ? ['doubling', '每翻一倍'] : ['unit', '每单位'];
  const slope = formatEstimate(trend.slope);
  return [
    {
      en: `${falls ? 'Falling' : 'Rising'} along the ${axisName(context, 'en')}${trend.isMonotone ? ' at every step' : ' on the whole, though not at every step'}: ${slope} JSD per ${per[0]} (Page's test p ${p} after correction, ${trend.n} seeds, the same way in each).`,
      zh: `随${axisName(context, 'zh')}${falls ? '下降' : '上升'}${trend.isMonotone ? '，每一步皆然' : '，但并非每一步'}：${per[1]} ${slope} JSD（Page 检验校正后 p ${p}，${trend.n} 个种子方向一致）。`,
    },
  ];
}

/** Differences that stand over seeds, but not when other sentences might have been measured. */
function sentenceTexts(pairs: readonly Comparison[], { settings }: VerdictContext): Texts[] {
  const bound = pairs.filter(
    ({ isSignificant, crossed, difference }) =>
      isSignificant && crossed !== null && (difference > 0 ? crossed.low <= 0 : crossed.high >= 0),
  );
  if (bound.length === 0) return [];
  const names = (language: Language) =>
    bound.map(({ a, b }) => `${shortLabel(settings[a], language)} – ${shortLabel(settings[b], language)}`).join(', ');
  return [
    {
      en: `On these sentences only (with sentences drawn anew the 95 % interval reaches 0): ${names('en')}.`,
      zh: `仅对所测句子成立（重抽句子时 95 % 区间包含 0）：${names('zh')}。`,
    },
  ];
}

/** What the seeds at hand could not have seen; nothing where every pair is significant. */
function powerTexts(power: PowerNote | undefined): Texts[] {
  if (!power || power.largestUnseen === null) return [];
  const { seeds, detectable, largestUnseen, seedsNeeded } = power;
  const [seen, unseen] = [formatNumber(detectable), formatNumber(largestUnseen)];
  const [en, zh] =
    seedsNeeded === null
      ? [`more than ${MOST_SEEDS}`, `超过 ${MOST_SEEDS} 个`]
      : [`about ${seedsNeeded}`, `约 ${seedsNeeded} 个`];
  return [
    {
      en: `With ${seeds} seeds a difference between two settings below ${seen} is missed more often than one time in five; the largest one not found, ${unseen}, would take ${en} seeds.`,
      zh: `用 ${seeds} 个种子时，两个设置之间小于 ${seen} 的差异漏检率超过五分之一；未检出的最大差异 ${unseen} 需要${zh}种子。`,
    },
  ];
}

function aimTexts(verdict: Verdict, { settings }: VerdictContext): Texts[] {
  const aims = [
    ['largestGap', 'Large gap', '差距大'],
    ['balanced', 'Balance', '均衡'],
    ['smallestGap', 'Small gap', '差距小'],
  ] as const;
  return aims.flatMap(([name, en, zh]) => {
    const aim = verdict[name];
    if (!aim) return [];
    const one = (language: Language) => gapOf(settings[aim.setting], language);
    const others = (language: Language) =>
      aim.indistinguishable.map((index) => shortLabel(settings[index], language)).join(', ');
    const alike = aim.indistinguishable.length > 0;
    return [
      {
        en: `${en}: ${one('en')}${alike ? `; not distinguishable from it: ${others('en')}` : ', distinct from all others'}.`,
        zh: `${zh}：${one('zh')}${alike ? `；与之无法区分：${others('zh')}` : '，与其他设置均有显著差异'}。`,
      },
    ];
  });
}

/** Within a series its own name need not be said again. */
function shortLabel(setting: ReportSetting | undefined, language: Language): string {
  if (!setting) return '–';
  const shared = new Set(setting.series.split(', '));
  const parts = setting.label.split(', ').filter((part) => !shared.has(part));
  return settingLabel(parts.join(', ') || setting.label, language);
}

function gapOf(setting: ReportSetting | undefined, language: Language): string {
  const gap = setting?.meanOverSnr.jsd;
  const share = setting?.gapShare ?? null;
  const percent = share === null ? '' : (100 * share).toFixed(0);
  const placed = percent && `${language === 'en' ? ', ' : '，'}${say('ofUntrained', language, percent)}`;
  return `${shortLabel(setting, language)} (JSD ${gap ? formatEstimate(gap) : '–'}${placed})`;
}

function baselineText(verdict: Verdict, { settings, comparisons }: VerdictContext): Texts | undefined {
  const against = comparisons.filter(
    ({ family, measure, a }) => family === 'baseline' && measure === 'jsd' && verdict.ranking.includes(a),
  );
  const baseline = settings[against[0]?.b ?? -1];
  if (!baseline) return undefined;
  const names = (pick: (test: Comparison) => boolean) =>
    against
      .filter(pick)
      .map(({ a }) => shortLabel(settings[a], 'en'))
      .join(', ');
  const smaller = names((test) => test.isSignificant && test.difference < 0);
  const larger = names((test) => test.isSignificant && test.difference > 0);
  const same = names((test) => !test.isSignificant);
  const en = [
    smaller && `significantly smaller gap: ${smaller}`,
    larger && `significantly larger gap: ${larger}`,
    same && `no significant difference: ${same}`,
  ].filter(Boolean);
  const zh = [
    smaller && `差距显著更小：${smaller}`,
    larger && `差距显著更大：${larger}`,
    same && `无显著差异：${same}`,
  ].filter(Boolean);
  return {
    en: `Against ${gapOf(baseline, 'en')}: ${en.join('; ')}.`,
    zh: `与${gapOf(baseline, 'zh')}相比：${zh.join('；')}。`,
  };
}

function pWord(p: string): string {
  return p.startsWith('<') ? p : `= ${p}`;
}
