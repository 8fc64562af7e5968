// An analysis as tidy tables for a statistics program: one of sentences, one of measures. Sentences come from outside and are no formulas.
import { type Cell, csvOf } from '../report/csv-cells.js';
import type { AnalysisReport } from './analysis.js';
import { linesOf, measuresOf } from './analysis-tables.js';

/** A row for each channel and sentence at the headline SNR; RFC 4180, LF line ends. */
export function renderSentencesCsv({ channels, conditions }: AnalysisReport): string {
  const rows: Cell[][] = [
    [
      'channel',
      'snr_db',
      'sentence',
      'source',
      'a_text',
      'b_text',
      'a_bleu1',
      'b_bleu1',
      'a_cumulative_bleu4',
      'b_cumulative_bleu4',
      'a_word_errors',
      'b_word_errors',
      'jsd',
    ],
  ];
  for (const { channel, sentences } of channels)
    for (const { sentence, source, reference: a, other: b, jsd } of sentences)
      rows.push([
        channel,
        conditions.headlineSnrDb,
        sentence,
        source,
        a.text,
        b.text,
        a.bleu1,
        b.bleu1,
        a.cumulativeBleu4,
        b.cumulativeBleu4,
        a.wordErrors,
        b.wordErrors,
        jsd,
      ]);
  return csvOf(rows);
}

/**
 * A row for each channel, measure, SNR and model (a, b), pair (a-to-b, b-to-a), distance (a-b) or floor (a-a); then the differences b - a of
 * the means over SNR with interval and p, under snr_db 'mean' and model 'b-a'.
 */
export function renderMeasuresCsv({ channels }: AnalysisReport): string {
  const rows: Cell[][] = [['channel', 'measure', 'snr_db', 'model', 'value', 'low', 'high', 'p', 'p_holm']];
  for (const channel of channels) {
    const { snrDb } = channel.divergence;
    for (const measure of measuresOf(channel)) {
      const lines = linesOf(channel, measure, 'en');
      const names = lines.length === 2 && lines[0]?.label === 'B' ? ['a-b', 'a-a'] : ['a', 'b', 'a-to-b', 'b-to-a'];
      for (const [index, { values }] of lines.entries())
        for (const [place, value] of values.entries())
          rows.push([
            channel.channel,
            measure,
            snrDb[place] ?? null,
            names[index] ?? '',
            value,
            null,
            null,
            null,
            null,
          ]);
    }
    for (const { measure, difference, low, high, p, pHolm } of channel.differences)
      rows.push([channel.channel, measure, 'mean', 'b-a', difference, low, high, p, pHolm]);
  }
  return csvOf(rows);
}
