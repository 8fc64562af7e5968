// The words of an analysis in English and Chinese, and the names of what it measures: A is the reference, B the other.
import { MEASURES } from '../report/measure-names.js';
import { DECODED_CURVES, DIVERGENCE_CURVES, LIKELIHOOD_CURVES, type Texts } from '../report/report.js';
import type { Language } from '../report/texts.js';

const ANALYSIS_WORDS = {
  kicker: { en: 'Semantic analysis', zh: '语义分析' },
  title: { en: '{} and {}', zh: '{} 与 {}' },
  reference: { en: 'A (reference)', zh: 'A（参照）' },
  other: { en: 'B (other)', zh: 'B（对比）' },
  conclusion: { en: 'Conclusion', zh: '结论' },
  warnings: { en: 'Warnings', zh: '警告' },
  sentencesWord: { en: 'sentences', zh: '句' },
  overChannel: { en: 'Over {}', zh: '信道 {}' },
  differences: { en: 'Differences of the means over SNR', zh: '各 SNR 平均值之差' },
  measure: { en: 'measure', zh: '指标' },
  difference: { en: 'B − A', zh: 'B − A' },
  interval: { en: '95 % interval', zh: '95 % 区间' },
  p: { en: 'p', zh: 'p' },
  pHolm: { en: 'p, Holm', zh: 'p（Holm 校正）' },
  significant: { en: 'significant', zh: '显著' },
  yes: { en: 'yes', zh: '是' },
  no: { en: 'no', zh: '否' },
  differenceNote: {
    en: 'Both models meet the same {} sentences, noise and fading. Interval and p: paired bootstrap over sentences, 10,000 replicates; Holm correction over all tests of this analysis; significant below 0.05. It speaks of other sentences, not of models trained with other seeds.',
    zh: '两个模型使用相同的 {} 个句子、噪声与衰落。区间与 p 值：按句配对的自助法，10,000 次重抽；对本分析的全部检验做 Holm 校正；小于 0.05 为显著。结论针对其他句子，不针对以其他种子训练的模型。',
  },
  worst: { en: 'Where B loses most', zh: 'B 损失最大的句子' },
  gained: { en: 'Where B gains most', zh: 'B 改善最大的句子' },
  noWorst: { en: 'No sentence has a lower BLEU-1 with B than with A.', zh: '没有任何句子在 B 上的 BLEU-1 低于 A。' },
  sentencesNote: {
    en: 'At {} dB. Marked: {} another word or one too many; {} a word that is missing. JSD between the two models on this sentence, nats per token.',
    zh: '{} dB 时。标记：{} 错误或多余的词；{} 缺失的词。JSD 为两个模型在该句上的距离（nat/词）。',
  },
  wrongWord: { en: 'wrong', zh: '错' },
  missingWord: { en: 'missing', zh: '缺' },
  source: { en: 'sent', zh: '发送' },
  says: { en: '{} says', zh: '{} 的输出' },
  sentence: { en: 'sentence', zh: '句号' },
  size: { en: 'Size and speed', zh: '规模与速度' },
  model: { en: 'model', zh: '模型' },
  layers: { en: 'layers', zh: '层' },
  width: { en: 'width', zh: '宽度' },
  latency: { en: 'ms a sentence, median (95th percentile)', zh: '每句毫秒，中位数（95 分位）' },
  latencyNote: {
    en: 'Time depends on the machine; it takes no part in the comparison nor in the hash of the content.',
    zh: '时间取决于机器，不参与比较，也不计入内容哈希。',
  },
  curves: { en: 'All measures over SNR', zh: '各指标随 SNR 的变化' },
  charts: { en: 'Charts', zh: '图表' },
  floor: { en: 'A, other noise', zh: 'A，不同噪声' },
  own: { en: '{} → {}', zh: '{} → {}' },
  conditions: { en: 'What was measured', zh: '测量条件' },
  run: { en: 'This run', zh: '本次运行' },
  hashes: { en: 'Model files (SHA-256)', zh: '模型文件（SHA-256）' },
  file: { en: 'file', zh: '文件' },
  decodedNote: {
    en: 'BLEU-n: mean over sentences of the n-gram precision alone with brevity penalty, no smoothing; cumulative: weight 1/n on each order up to n. A → B: A’s transmitter with B’s receiver.',
    zh: 'BLEU-n：各句单独 n 元精度（含长度惩罚，无平滑）的均值；累积：到 n 阶各占 1/n。A → B：A 的发射端与 B 的接收端。',
  },
  divergenceNote: {
    en: 'Teacher-forced on common noise. “A, other noise” is the reference against itself under other noise and fading: how far noise alone moves a link.',
    zh: '教师强制，噪声相同。“A，不同噪声”为参照模型在不同噪声与衰落下与自身比较：仅噪声造成的距离。',
  },
} as const satisfies Record<string, Texts>;

export type AnalysisWord = keyof typeof ANALYSIS_WORDS;

/** A text with '{}' filled in order. */
export function sayOf(word: AnalysisWord, language: Language, ...values: (string | number)[]): string {
  let next = 0;
  return ANALYSIS_WORDS[word][language].replaceAll('{}', () => String(values[next++] ?? ''));
}

/** Measures of each model by itself, in reading order; and those between the two. */
export { DECODED_CURVES as DECODED, DIVERGENCE_CURVES as DISTANCES, LIKELIHOOD_CURVES as LIKELIHOOD };

export type AnalysisMeasure =
  | (typeof DECODED_CURVES)[number]
  | (typeof LIKELIHOOD_CURVES)[number]
  | (typeof DIVERGENCE_CURVES)[number];

const OF_TWO: Partial<Record<AnalysisMeasure, Texts>> = {
  jsd: { en: 'JSD (nats per token)', zh: 'JSD（nat/词）' },
  jsdShare: { en: 'JSD / ln 2', zh: 'JSD / ln 2' },
  kl: { en: 'KL(A || B) (nats per token)', zh: 'KL(A || B)（nat/词）' },
  reverseKl: { en: 'KL(B || A) (nats per token)', zh: 'KL(B || A)（nat/词）' },
  top1Agreement: { en: 'top-1 agreement', zh: 'top-1 一致率' },
  top5Overlap: { en: 'top-5 overlap', zh: 'top-5 重合率' },
  agreementTeacherRight: { en: 'agreement where A is right', zh: 'A 正确处的一致率' },
  agreementTeacherWrong: { en: 'agreement where A is wrong', zh: 'A 错误处的一致率' },
  entropyGap: { en: 'entropy, A − B (nats)', zh: '熵差（A − B，nat）' },
};

export function measureName(measure: AnalysisMeasure, language: Language): string {
  return (OF_TWO[measure] ?? MEASURES[measure])[language];
}
