// The charts of an analysis over one channel: both models, crossed pairs, distances over SNR, each with the table that says the same.
import type { Chart } from '../report/charts.js';
import { drawLines, type Line } from '../report/line-chart.js';
import { stepOf } from '../report/palette.js';
import { type Language, say } from '../report/texts.js';
import type { AnalysisOfChannel } from './analysis.js';
import { analysisCurveTable, linesOf } from './analysis-tables.js';
import { type AnalysisMeasure, measureName } from './analysis-texts.js';

const CHARTS: { file: string; measure: AnalysisMeasure; scale: 'linear' | 'log' }[] = [
  { file: 'bleu-over-snr', measure: 'bleu1', scale: 'linear' },
  { file: 'bleu4-over-snr', measure: 'cumulativeBleu4', scale: 'linear' },
  { file: 'exact-sentences-over-snr', measure: 'exactSentences', scale: 'linear' },
  { file: 'loss-over-snr', measure: 'crossEntropy', scale: 'linear' },
  { file: 'jsd-over-snr', measure: 'jsdShare', scale: 'log' },
  { file: 'agreement-over-snr', measure: 'top1Agreement', scale: 'linear' },
  { file: 'calibration-over-snr', measure: 'calibrationError', scale: 'linear' },
];

const TAPS = ['ckaEncOut', 'ckaChEncOut', 'ckaMemory', 'ckaDecOut'] as const;
const TAP_LABELS: Record<(typeof TAPS)[number], Record<Language, string>> = {
  ckaEncOut: { en: 'semantic encoder', zh: '语义编码器' },
  ckaChEncOut: { en: 'channel encoder', zh: '信道编码器' },
  ckaMemory: { en: 'channel decoder', zh: '信道解码器' },
  ckaDecOut: { en: 'semantic decoder', zh: '语义解码器' },
};

/** All charts over one channel, in reading order. */
export function drawAnalysisCharts(channel: AnalysisOfChannel, language: Language): Chart[] {
  const charts = CHARTS.map(({ file, measure, scale }): Chart => {
    const lines = linesOf(channel, measure, language).map(({ label, values }, index) =>
      lineOf(label, values, channel.divergence.snrDb, index),
    );
    const name = measureName(measure, language);
    return {
      ...drawOver(lines, { name, scale, snrDb: channel.divergence.snrDb }, language),
      name: `${channel.channel}-${file}`,
      table: analysisCurveTable(channel, measure, language),
    };
  });
  const taps = drawTaps(channel, language);
  return taps ? [...charts, taps] : charts;
}

/** CKA at the four taps in one picture; none where a representation is constant. */
function drawTaps(channel: AnalysisOfChannel, language: Language): Chart | undefined {
  const { divergence } = channel;
  if (TAPS.some((tap) => divergence[tap].includes(null))) return undefined;
  const { snrDb } = divergence;
  const lines = TAPS.map((tap, index): Line => {
    const values = divergence[tap] as number[];
    return { ...lineOf(TAP_LABELS[tap][language], values, snrDb, index), colour: stepOf(index, TAPS.length) };
  });
  const name = language === 'zh' ? '表示相似度（线性 CKA）' : 'likeness of representations (linear CKA)';
  const cells = TAPS.map((tap) => analysisCurveTable(channel, tap, language).rows[0]?.slice(1) ?? []);
  return {
    ...drawOver(lines, { name, scale: 'linear', snrDb }, language),
    name: `${channel.channel}-cka-over-snr`,
    table: {
      caption: name,
      columns: ['CKA', ...snrDb.map((snr) => `${snr} dB`)],
      rows: TAPS.map((tap, index) => [TAP_LABELS[tap][language], ...(cells[index] ?? [])]),
    },
  };
}

/** A and B have a colour of their own in every chart; pairs and floor are grey, told apart by their dashes. */
function lineOf(label: string, values: readonly (number | null)[], snrDb: number[], index: number): Line {
  const colour = label === 'A' ? stepOf(0, 2) : label === 'B' ? stepOf(1, 2) : 'var(--muted)';
  const dash = label === 'A' || label === 'B' ? {} : { dash: index % 2 === 0 ? '7,4' : '2,3' };
  // Dots are filled: there is no interval to miss.
  const points = snrDb.map((x, place) => {
    const value = values[place] ?? Number.NaN;
    return { x, value, low: value, high: value };
  });
  return { label, colour, ...dash, points };
}

function drawOver(
  lines: Line[],
  { name, scale, snrDb }: { name: string; scale: 'linear' | 'log'; snrDb: number[] },
  language: Language,
) {
  const title = say('by', language, name, say('snr', language));
  return drawLines(lines, { title, xs: snrDb, xName: say('snr', language), yName: name, scale, notes: [] });
}
