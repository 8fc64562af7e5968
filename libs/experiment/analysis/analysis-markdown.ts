// An analysis as Markdown: what one pastes into notes or an issue.
import { escaped, laidOut, list, section } from '../report/markdown-parts.js';
import { formatNumber } from '../report/numbers.js';
import type { Table } from '../report/tables.js';
import type { Language } from '../report/texts.js';
import type { AnalysisOfChannel, AnalysisReport } from './analysis.js';
import { titleOf } from './analysis-html.js';
import {
  analysisCurveTable,
  analysisSizeTable,
  differenceTable,
  measuresOf,
  modelHashTable,
} from './analysis-tables.js';
import { sayOf } from './analysis-texts.js';

/** The analysis in one language (English unless asked otherwise). */
export function renderAnalysisMarkdown(report: AnalysisReport, language: Language = 'en'): string {
  const { reference, other, corpus, conditions } = report;
  const word = (name: Parameters<typeof sayOf>[0], ...values: (string | number)[]) => sayOf(name, language, ...values);
  const parts = [
    `# ${escaped(titleOf(report, language))}`,
    `${word('reference')}: ${escaped(reference.label)} · ${word('other')}: ${escaped(other.label)} · ${escaped(corpus.name)} · ${conditions.sentences} ${word('sentencesWord')} · ${conditions.channels.join(', ')}`,
    section(word('conclusion'), list(report.findings.map(({ text }) => text[language]))),
    report.warnings.length > 0 ? section(word('warnings'), list(report.warnings.map(({ message }) => message))) : '',
    ...report.channels.flatMap((channel) => [
      ...(report.channels.length > 1 ? [`# ${word('overChannel', channel.channel)}`] : []),
      laidOut(differenceTable(channel, language), true),
      word('differenceNote', conditions.sentences),
      sentenceTable(report, channel, 'worst', language),
      channel.gained.length > 0 ? sentenceTable(report, channel, 'gained', language) : '',
      ...measuresOf(channel).map((measure) => laidOut(analysisCurveTable(channel, measure, language), true)),
      `${word('decodedNote')} ${word('divergenceNote')}`,
    ]),
    laidOut(analysisSizeTable(report, language), true),
    word('latencyNote'),
    laidOut(modelHashTable(report, language), true),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function sentenceTable(
  { conditions }: AnalysisReport,
  channel: AnalysisOfChannel,
  which: 'worst' | 'gained',
  language: Language,
): string {
  const shown = channel[which].flatMap((place) => channel.sentences[place] ?? []);
  if (shown.length === 0) return section(sayOf(which, language), sayOf('noWorst', language));
  const table: Table = {
    caption: `${sayOf(which, language)} (${conditions.headlineSnrDb} dB)`,
    columns: [
      sayOf('source', language),
      sayOf('says', language, 'A'),
      sayOf('says', language, 'B'),
      'BLEU-1 A',
      'BLEU-1 B',
      'JSD',
    ],
    rows: shown.map(({ source, reference, other, jsd }) => [
      source,
      reference.text,
      other.text,
      formatNumber(reference.bleu1),
      formatNumber(other.bleu1),
      formatNumber(jsd),
    ]),
    textColumns: [0, 1, 2],
  };
  return laidOut(table, true);
}
