// The words of a report, in English and Chinese. What is measured: measure-names.ts; the conclusion: verdict-texts.ts; findings: finding-texts.ts.

import type { Texts } from './report.js';

export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];

export const WORDS = {
  report: { en: 'Distillation report', zh: '蒸馏报告' },
  language: { en: 'Language', zh: '语言' },
  verdict: { en: 'Conclusion', zh: '结论' },
  findings: { en: 'Before you trust a number', zh: '使用数据前须知' },
  warnings: { en: 'Warnings given before the start', zh: '开始前给出的警告' },
  charts: { en: 'Charts', zh: '图表' },
  tests: { en: 'Paired tests', zh: '配对检验' },
  failures: { en: 'Failed trials', zh: '失败的试验' },
  pruned: { en: 'Pruned trials', zh: '被剪除的试验' },
  epochsDone: { en: 'epochs', zh: '轮数' },
  missing: { en: 'Trials without a result', zh: '没有结果的试验' },
  conditions: { en: 'What was trained', zh: '训练条件' },
  run: { en: 'This run', zh: '本次运行' },
  teacher: { en: 'teacher', zh: '教师' },
  corpus: { en: 'corpus', zh: '语料' },
  floor: { en: 'floor', zh: '下限' },
  ceiling: { en: 'ceiling', zh: '上限' },
  ofUntrained: { en: '{} % of an untrained student’s', zh: '为未训练学生的 {} %' },
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
  megabytes: { en: 'MB (float32)', zh: 'MB（float32）' },
  macs: { en: 'million MACs a sentence', zh: '每句百万次乘加' },
  latency: { en: 'ms a sentence', zh: '每句毫秒' },
  trainingSeconds: { en: 'training (s)', zh: '训练（秒）' },
  evaluationSeconds: { en: 'evaluation (s)', zh: '评估（秒）' },
  tokensPerSecond: { en: 'tokens/s', zh: '词/秒' },
  measure: { en: 'measure', zh: '指标' },
  compared: { en: 'compared', zh: '比较' },
  difference: { en: 'difference (95 % interval)', zh: '差值（95 % 区间）' },
  p: { en: 'p', zh: 'p' },
  hedgesG: { en: 'g', zh: 'g' },
  crossed: { en: 'interval over seeds and sentences', zh: '种子与句子的区间' },
  trends: { en: 'Trends along the axis', zh: '沿变量轴的趋势' },
  along: { en: 'along', zh: '沿' },
  slope: { en: 'slope', zh: '斜率' },
  perDoubling: { en: 'per doubling', zh: '每翻一倍' },
  perUnit: { en: 'per unit', zh: '每单位' },
  direction: { en: 'direction', zh: '方向' },
  falls: { en: 'falls', zh: '下降' },
  rises: { en: 'rises', zh: '上升' },
  flat: { en: 'none', zh: '无' },
  everyStep: { en: 'at every step', zh: '每一步' },
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
    en: "Paired t-tests by seed, two-sided, and Page's test for a trend along the axis; Holm correction within each measure and family (settings among themselves with their trend, which has half of the level; settings against no teacher); significant below 0.05. g: Hedges' g of the paired differences. JSD and BLEU are means over the measured SNRs. The last interval also draws the sentences anew (bootstrap over seeds and sentences); with few seeds it is too narrow and decides nothing by itself.",
    zh: '按种子配对的双侧 t 检验，以及沿变量轴的 Page 趋势检验；在每个指标和每组比较内做 Holm 校正（设置之间及其趋势，趋势占一半显著性水平；设置与无教师之间）；小于 0.05 为显著。g：配对差值的 Hedges g。JSD 与 BLEU 为各 SNR 的平均。最后一列区间同时重抽句子（种子与句子的自助法）；种子少时偏窄，不单独作为判断依据。',
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
  epoch: { en: 'epoch', zh: '轮次' },
  millions: { en: 'parameters (millions)', zh: '参数量（百万）' },
  front: {
    en: 'Filled dots, joined: no model as small is better. Bars: 95 % interval over seeds.',
    zh: '实心点及连线：没有同样小而更好的模型。线段：种子间 95 % 区间。',
  },
  transmitter: { en: 'transmitter', zh: '发射端' },
  receiver: { en: 'receiver', zh: '接收端' },
  matrix: {
    en: 'BLEU-1 of every transmitter with every receiver, {} dB',
    zh: '各发射端与各接收端组合的 BLEU-1（{} dB）',
  },
  matrixNote: {
    en: 'Rows send, columns receive; models of one seed with each other, means over seeds, {} sentences on common noise. Colours run from 0 to 1.',
    zh: '行为发射端，列为接收端；同一种子的模型相互组合，取种子均值，{} 个句子，噪声相同。颜色范围 0 到 1。',
  },
  mismatch: { en: 'loss against the own transmitter', zh: '相对自身发射端的损失' },
  otherSeeds: { en: 'models of other seeds', zh: '不同种子的模型' },
  parallel: { en: 'All settings across all that varies', zh: '所有设置与所有变量' },
  parallelNote: {
    en: 'A line a setting; colours by the gap, from the smallest to the largest.',
    zh: '每条线为一个设置；颜色按差距由小到大。',
  },
  importances: { en: 'What accounts for {}', zh: '{}由什么决定' },
  importanceNote: {
    en: 'Share of the variance over trials that a hyperparameter accounts for by itself (epsilon squared); interactions belong to none. More than six different numbers are taken in four groups of neighbours.',
    zh: '各超参数单独解释的试验间方差比例（epsilon 平方）；交互作用不计入任何一项。多于六个不同数值时按大小分为四组。',
  },
  shareOfVariance: { en: 'share of the variance', zh: '方差占比' },
  hyperparameter: { en: 'hyper-parameter', zh: '超参数' },
  levels: { en: 'values', zh: '取值数' },
  reproduce: { en: 'Make it again', zh: '复现' },
  reproduceNote: {
    en: 'request.json lies beside this report. The same numerics (library, threads, device) give the same bytes.',
    zh: 'request.json 与本报告在同一目录。数值环境（库、线程、设备）相同则结果逐字节相同。',
  },
  hashes: { en: 'Hashes (SHA-256)', zh: '哈希值（SHA-256）' },
  file: { en: 'file', zh: '文件' },
  of: { en: 'of', zh: '所属' },
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
