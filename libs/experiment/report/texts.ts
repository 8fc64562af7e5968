// Every word of a report, in English and Chinese. Drawing and tables ask here; no other file of the report holds words.

import { formatEstimate, formatNumber, formatProbability } from './numbers.js';
import type { Comparison, Conclusion, CurveName, ReportSetting, SeriesVerdict, Texts } from './report.js';
import type { VerdictContext } from './verdict.js';

export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];

/** Short names of what is measured, for axes, columns and captions. */
export const MEASURES: Record<CurveName | 'validationLoss' | 'finalLoss', Texts> = {
  bleu1: { en: 'BLEU-1', zh: 'BLEU-1' },
  bleu2: { en: 'BLEU-2', zh: 'BLEU-2' },
  bleu3: { en: 'BLEU-3', zh: 'BLEU-3' },
  bleu4: { en: 'BLEU-4', zh: 'BLEU-4' },
  hybridBleu1: { en: 'hybrid BLEU-1', zh: '混合模型 BLEU-1' },
  hybridBleu2: { en: 'hybrid BLEU-2', zh: '混合模型 BLEU-2' },
  hybridBleu3: { en: 'hybrid BLEU-3', zh: '混合模型 BLEU-3' },
  hybridBleu4: { en: 'hybrid BLEU-4', zh: '混合模型 BLEU-4' },
  gapBleu1: { en: 'BLEU-1 gap, teacher - student', zh: 'BLEU-1 差距（教师 - 学生）' },
  gapBleu2: { en: 'BLEU-2 gap, teacher - student', zh: 'BLEU-2 差距（教师 - 学生）' },
  gapBleu3: { en: 'BLEU-3 gap, teacher - student', zh: 'BLEU-3 差距（教师 - 学生）' },
  gapBleu4: { en: 'BLEU-4 gap, teacher - student', zh: 'BLEU-4 差距（教师 - 学生）' },
  jsd: { en: 'JSD to the teacher (nats per token)', zh: '与教师的 JSD（nat/词）' },
  kl: { en: 'KL(teacher || student) (nats per token)', zh: 'KL(教师 || 学生)（nat/词）' },
  reverseKl: { en: 'KL(student || teacher) (nats per token)', zh: 'KL(学生 || 教师)（nat/词）' },
  top1Agreement: { en: 'top-1 agreement with the teacher', zh: '与教师的 top-1 一致率' },
  top5Overlap: { en: 'top-5 overlap with the teacher', zh: '与教师的 top-5 重合率' },
  validationLoss: { en: 'validation loss (nats per token)', zh: '验证损失（nat/词）' },
  finalLoss: { en: 'last validation loss (nats per token)', zh: '最后一轮验证损失（nat/词）' },
};

export const WORDS = {
  report: { en: 'Distillation report', zh: '蒸馏报告' },
  language: { en: 'Language', zh: '语言' },
  verdict: { en: 'Conclusion', zh: '结论' },
  findings: { en: 'Before you trust a number', zh: '使用数据前须知' },
  warnings: { en: 'Warnings given before the start', zh: '开始前给出的警告' },
  charts: { en: 'Charts', zh: '图表' },
  tests: { en: 'Paired tests', zh: '配对检验' },
  failures: { en: 'Failed trials', zh: '失败的试验' },
  missing: { en: 'Trials without a result', zh: '没有结果的试验' },
  conditions: { en: 'What was trained', zh: '训练条件' },
  run: { en: 'This run', zh: '本次运行' },
  teacher: { en: 'teacher', zh: '教师' },
  corpus: { en: 'corpus', zh: '语料' },
  floor: { en: 'floor', zh: '下限' },
  ceiling: { en: 'ceiling', zh: '上限' },
  noTeacher: { en: 'no teacher', zh: '无教师' },
  setting: { en: 'setting', zh: '设置' },
  seed: { en: 'seed', zh: '种子' },
  seeds: { en: 'seeds', zh: '种子数' },
  reason: { en: 'reason', zh: '原因' },
  trial: { en: 'trial', zh: '试验' },
  trials: { en: 'trials', zh: '试验' },
  atSnr: { en: 'at {} dB', zh: '（{} dB）' },
  meanOverSnr: { en: ', mean over SNR', zh: '，各 SNR 平均' },
  snr: { en: 'SNR (dB)', zh: 'SNR（dB）' },
  temperature: { en: 'temperature T', zh: '温度 T' },
  parameters: { en: 'parameters', zh: '参数量' },
  core: { en: 'without embeddings and output layer', zh: '不含嵌入层与输出层' },
  compression: { en: 'compression', zh: '压缩比' },
  compressionCore: { en: 'compression, core', zh: '压缩比（核心）' },
  trainingSeconds: { en: 'training (s)', zh: '训练（秒）' },
  evaluationSeconds: { en: 'evaluation (s)', zh: '评估（秒）' },
  tokensPerSecond: { en: 'tokens/s', zh: '词/秒' },
  measure: { en: 'measure', zh: '指标' },
  compared: { en: 'compared', zh: '比较' },
  difference: { en: 'difference (95 % interval)', zh: '差值（95 % 区间）' },
  p: { en: 'p', zh: 'p' },
  pHolm: { en: 'p, Holm', zh: 'p（Holm 校正）' },
  significant: { en: 'significant', zh: '显著' },
  yes: { en: 'yes', zh: '是' },
  no: { en: 'no', zh: '否' },
  ruleOfThumb: { en: 'rule of thumb', zh: '经验法则' },
  gapRank: { en: 'gap, 1 = largest', zh: '差距名次（1 为最大）' },
  tableOf: { en: 'Table of this chart', zh: '此图的数据表' },
  intervalNote: {
    en: 'Mean ± half width of the 95 % t-interval over seeds; a mean alone where there is one seed.',
    zh: '均值 ± 种子间 95 % t 区间的半宽；只有一个种子时仅给均值。',
  },
  testNote: {
    en: 'Paired t-tests by seed, two-sided; Holm correction within each measure and family (settings among themselves, settings against no teacher); significant below 0.05. JSD and BLEU are means over the measured SNRs.',
    zh: '按种子配对的双侧 t 检验；在每个指标和每组比较内做 Holm 校正（设置之间、设置与无教师之间）；小于 0.05 为显著。JSD 与 BLEU 为各 SNR 的平均。',
  },
  bleuNote: {
    en: 'BLEU-n is the mean over sentences of the n-gram precision alone with brevity penalty, no smoothing. Floor: the teacher against itself under other noise. Ceiling: the untrained student against the teacher.',
    zh: 'BLEU-n 为各句单独 n 元精度（含长度惩罚，无平滑）的均值。下限：教师在不同噪声下与自身比较；上限：未训练的学生与教师比较。',
  },
  runNote: {
    en: 'Times depend on the machine and take no part in the comparison. Trials of a bundle train side by side: their seconds are the bundle’s.',
    zh: '时间取决于机器，不参与比较。同一批次的试验并行训练，其秒数为整批的秒数。',
  },
  tooManyPairs: {
    en: 'Too many settings to test all pairs: each is tested against its baseline only.',
    zh: '设置过多，未做两两检验：每个设置只与其基线比较。',
  },
  hollow: { en: 'Hollow dots: a single seed, no interval.', zh: '空心点：只有一个种子，无区间。' },
  dots: {
    en: 'Small dots: trials; large dots and bars: mean and 95 % interval over seeds.',
    zh: '小点：各次试验；大点与线段：种子间均值与 95 % 区间。',
  },
  bands: { en: 'Bands: 95 % interval over seeds.', zh: '色带：种子间 95 % 区间。' },
  shownOf: { en: 'Shown: {} of {} settings.', zh: '显示 {} / {} 个设置。' },
  tablesCut: {
    en: 'Tables show the first {} rows; report.csv and report.json hold all.',
    zh: '表格只显示前 {} 行；report.csv 与 report.json 中有全部。',
  },
  andMore: { en: 'and {} more', zh: '另有 {} 个' },
  by: { en: '{} by {}', zh: '{}随 {} 的变化' },
  overSnr: { en: 'All measures over SNR', zh: '各指标随 SNR 的变化' },
  overview: { en: 'Overview', zh: '总览' },
  heatMap: { en: '{}: SNR by setting', zh: '{}：SNR × 设置' },
  offScale: { en: 'Outside the picture: {} {}.', zh: '图外：{} {}。' },
} as const satisfies Record<string, Texts>;

export type Word = keyof typeof WORDS;

/** A text with '{}' filled in order. */
export function say(word: Word, language: Language, ...values: (string | number)[]): string {
  let next = 0;
  return WORDS[word][language].replaceAll('{}', () => String(values[next++] ?? ''));
}

export const RULES_OF_THUMB: Record<'large-gap' | 'balanced' | 'small-gap', Texts> = {
  'large-gap': { en: 'hard, large gap', zh: '硬，差距大' },
  balanced: { en: 'balanced', zh: '均衡' },
  'small-gap': { en: 'soft, small gap', zh: '软，差距小' },
};

/** The label of a setting in a language. */
export function settingLabel(label: string, language: Language): string {
  return label.replace(/^no teacher/, WORDS.noTeacher[language]);
}

/** What axes of charts say: the measure without its explanation. */
export const SHORT_MEASURES: Record<CurveName | 'validationLoss' | 'finalLoss', Texts> = {
  ...MEASURES,
  gapBleu1: { en: 'BLEU-1 gap', zh: 'BLEU-1 差距' },
  jsd: { en: 'JSD (nats per token)', zh: 'JSD（nat/词）' },
  kl: { en: 'KL (nats per token)', zh: 'KL（nat/词）' },
  reverseKl: { en: 'reverse KL (nats per token)', zh: '反向 KL（nat/词）' },
  top1Agreement: { en: 'top-1 agreement', zh: 'top-1 一致率' },
  top5Overlap: { en: 'top-5 overlap', zh: 'top-5 重合率' },
};

const RULE_JUDGEMENTS: Record<NonNullable<SeriesVerdict['ruleOfThumb']>, Texts> = {
  supported: {
    en: 'these results support it: every significant difference goes its way.',
    zh: '结果支持该法则：所有显著差异都与之一致。',
  },
  contradicted: {
    en: 'these results contradict it: every significant difference goes the other way.',
    zh: '结果与该法则相反：所有显著差异的方向都与之相反。',
  },
  mixed: {
    en: 'these results go both ways: some significant differences follow it, others do not.',
    zh: '结果不一致：部分显著差异与之一致，部分相反。',
  },
  undecided: {
    en: 'these results neither support nor contradict it: no difference between temperatures is significant.',
    zh: '结果既不支持也不否定该法则：温度之间没有显著差异。',
  },
};

type Verdict = Omit<SeriesVerdict, 'text'>;

/** The conclusion of one series in words; the first text is the main sentence and names the series. */
export function verdictTexts(verdict: Verdict, pairs: readonly Comparison[], context: VerdictContext): Texts[] {
  const texts = [conclusionText(verdict, pairs, context), ...aimTexts(verdict, context)];
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

function conclusionText(verdict: Verdict, pairs: readonly Comparison[], { settings }: VerdictContext): Texts {
  const label = (index: number, language: Language) => shortLabel(settings[index], language);
  const best = [...pairs].sort((a, b) => a.pHolm - b.pHolm || a.p - b.p)[0];
  const significant = pairs.filter((pair) => pair.isSignificant).length;
  const fixed: Record<Exclude<Conclusion, 'significant-differences' | 'no-significant-difference'>, Texts> = {
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
  if (verdict.conclusion !== 'significant-differences' && verdict.conclusion !== 'no-significant-difference') {
    return fixed[verdict.conclusion];
  }
  if (!best) return fixed['single-seed'];
  const [a, b] = [best.a, best.b];
  const numbers = `${formatNumber(best.difference)} (${formatNumber(best.low)} … ${formatNumber(best.high)})`;
  const p = formatProbability(best.pHolm);
  const seeds = best.n;
  if (verdict.conclusion === 'no-significant-difference') {
    return {
      en: `No significant difference in the gap to the teacher: the smallest p-value of ${best.tests} paired tests is ${p} after Holm's correction (${label(a, 'en')} against ${label(b, 'en')}, ${seeds} seeds). More seeds would show smaller differences.`,
      zh: `与教师的差距没有显著差异：${best.tests} 个配对检验经 Holm 校正后最小 p 值为 ${p}（${label(a, 'zh')} 对 ${label(b, 'zh')}，${seeds} 个种子）。增加种子可发现更小的差异。`,
    };
  }
  return {
    en: `The gap to the teacher differs significantly in ${significant} of ${pairs.length} pairs. Clearest: ${label(a, 'en')} minus ${label(b, 'en')} in mean JSD is ${numbers}, p ${pWord(p)} after Holm's correction over ${best.tests} tests, ${seeds} seeds.`,
    zh: `与教师的差距存在差异：${pairs.length} 对中有 ${significant} 对显著。最明显：${label(a, 'zh')} 减 ${label(b, 'zh')} 的平均 JSD 为 ${numbers}，经 ${best.tests} 个检验的 Holm 校正后 p ${pWord(p)}，${seeds} 个种子。`,
  };
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
  return `${shortLabel(setting, language)} (JSD ${gap ? formatEstimate(gap) : '–'})`;
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

const FINDINGS: Record<string, (labels: Texts, snrDb: number) => Texts> = {
  'one-seed': ({ en, zh }) => ({
    en: `A single seed only, so no interval and no test: ${en}.`,
    zh: `只有一个种子，因此没有区间和检验：${zh}。`,
  }),
  'gap-at-floor': ({ en, zh }) => ({
    en: `The gap is at the floor (what other noise alone does to the teacher), so differences between these mean nothing: ${en}.`,
    zh: `差距已达下限（仅更换噪声即可产生），这些设置之间的差异没有意义：${zh}。`,
  }),
  'not-better-than-no-teacher': ({ en, zh }) => ({
    en: `Not significantly nearer to the teacher than a student trained without one: ${en}.`,
    zh: `与教师的接近程度并不显著优于无教师训练的学生：${zh}。`,
  }),
  'hybrid-broken': ({ en, zh }, snrDb) => ({
    en: `The hybrid is a broken link (BLEU-1 at ${snrDb} dB more than 0.2 below the teacher), as happens without a frozen kept side: ${en}.`,
    zh: `混合模型链路失效（${snrDb} dB 时 BLEU-1 比教师低 0.2 以上），未冻结保留侧时会如此：${zh}。`,
  }),
  'bleu-falls-with-snr': ({ en, zh }) => ({
    en: `BLEU-1 falls by more than 0.02 somewhere as the SNR rises, which a sound link does not do: ${en}.`,
    zh: `SNR 升高时 BLEU-1 有超过 0.02 的下降，正常链路不会如此：${zh}。`,
  }),
  'loss-rose-at-end': ({ en, zh }) => ({
    en: `The last validation loss is more than 5 % above the best one (over-fitting); use best_student_model or fewer epochs: ${en}.`,
    zh: `最后的验证损失比最佳值高 5 % 以上（过拟合）；请用 best_student_model 或减少轮数：${zh}。`,
  }),
};

/** A finding in words. Throws RangeError for an unknown code. */
export function findingText(code: string, labels: string[], headlineSnrDb: number): Texts {
  const text = Object.hasOwn(FINDINGS, code) ? FINDINGS[code] : undefined;
  if (!text) throw new RangeError(`no text for finding ${code}`);
  const list = (language: Language) => labels.map((label) => settingLabel(label, language)).join(', ');
  return text({ en: list('en'), zh: list('zh') }, headlineSnrDb);
}
