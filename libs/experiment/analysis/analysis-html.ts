// An analysis as one HTML file: conclusion, differences, the worst sentences side by side with their wrong words marked, charts, tables.
import type { Chart } from '../report/charts.js';
import { formatNumber } from '../report/numbers.js';
import {
  definitions,
  escaped,
  figure,
  folded,
  laidOut,
  list,
  renderPage,
  section,
  standAlone,
} from '../report/page.js';
import type { Language } from '../report/texts.js';
import { alignWords, wordsOf } from './align-words.js';
import type { AnalysisOfChannel, AnalysisReport, ReceivedSentence, SentenceComparison } from './analysis.js';
import { drawAnalysisCharts } from './analysis-charts.js';
import {
  analysisCurveTable,
  analysisSizeTable,
  differenceTable,
  measuresOf,
  modelHashTable,
} from './analysis-tables.js';
import { sayOf } from './analysis-texts.js';

/** A self-contained page in English and Chinese, light and dark, readable at 390 px. */
export function renderAnalysisHtml(report: AnalysisReport): string {
  return renderPage(titleOf(report, 'en'), (language) => body(report, language), STYLE);
}

/** Stand-alone SVG files of all charts, in English and light colours. */
export function renderAnalysisSvgs({ channels }: AnalysisReport): { name: string; svg: string }[] {
  return channels.flatMap((channel) => drawAnalysisCharts(channel, 'en')).map(standAlone);
}

export function titleOf({ reference, other }: AnalysisReport, language: Language): string {
  return sayOf('title', language, reference.label, other.label);
}

function body(report: AnalysisReport, language: Language): string {
  const word = (name: Parameters<typeof sayOf>[0], ...values: (string | number)[]) =>
    escaped(sayOf(name, language, ...values));
  const { reference, other, conditions, corpus } = report;
  const facts = `${corpus.name} · ${conditions.sentences} ${sayOf('sentencesWord', language)} · ${conditions.channels.join(', ')} · ${conditions.snrDb.join(', ')} dB`;
  const models = definitions([
    [sayOf('reference', language), reference.label],
    [sayOf('other', language), other.label],
  ]);
  return [
    `<header><p class="kicker">${word('kicker')}</p><h1>${escaped(titleOf(report, language))}</h1><p class="note">${escaped(facts)}</p>${models}</header>`,
    section(word('conclusion'), list(report.findings.map(({ text }) => text[language]))),
    report.warnings.length > 0 ? section(word('warnings'), list(report.warnings.map(({ message }) => message))) : '',
    ...report.channels.map((channel) => channelSections(report, channel, language)),
    section(word('size'), `${laidOut(analysisSizeTable(report, language))}<p class="note">${word('latencyNote')}</p>`),
    section(word('conditions'), conditionList(report)),
    section(word('run'), `${runFacts(report)}${folded(modelHashTable(report, language), false)}`),
  ].join('\n');
}

function channelSections(report: AnalysisReport, channel: AnalysisOfChannel, language: Language): string {
  const word = (name: Parameters<typeof sayOf>[0], ...values: (string | number)[]) =>
    escaped(sayOf(name, language, ...values));
  const over = report.channels.length > 1 ? `${word('overChannel', channel.channel)}: ` : '';
  const charts = drawAnalysisCharts(channel, language).map((chart: Chart) => figure(chart, language));
  const tables = measuresOf(channel).map((measure) => folded(analysisCurveTable(channel, measure, language), false));
  const { sentences } = report.conditions;
  return [
    section(
      `${over}${word('differences')}`,
      `${laidOut(differenceTable(channel, language))}<p class="note">${word('differenceNote', sentences)}</p>`,
    ),
    section(`${over}${word('worst')}`, comparisons(report, channel, 'worst', language)),
    channel.gained.length > 0
      ? section(`${over}${word('gained')}`, comparisons(report, channel, 'gained', language))
      : '',
    section(
      `${over}${word('charts')}`,
      `<div class="charts">${charts.join('')}</div><p class="note">${word('decodedNote')} ${word('divergenceNote')}</p>`,
    ),
    section(`${over}${word('curves')}`, tables.join('')),
  ].join('\n');
}

/** Sent, A's words and B's words in one row each; the marks do not rest on colour, and are said to those who cannot see them. */
function comparisons(
  { conditions }: AnalysisReport,
  channel: AnalysisOfChannel,
  which: 'worst' | 'gained',
  language: Language,
): string {
  const shown = channel[which].flatMap((place) => channel.sentences[place] ?? []);
  if (shown.length === 0) return `<p>${escaped(sayOf('noWorst', language))}</p>`;
  const rows = shown.map((sentence) => comparisonRow(sentence, language));
  const columns = [sayOf('source', language), sayOf('says', language, 'A'), sayOf('says', language, 'B'), 'JSD'];
  const head = columns.map((name) => `<th scope="col" class="text">${escaped(name)}</th>`).join('');
  const [wrong, missing] = [sayOf('wrongWord', language), sayOf('missingWord', language)];
  // The two places of the legend hold marks, not text.
  const legend = escaped(sayOf('sentencesNote', language, conditions.headlineSnrDb, '\u0001', '\u0002'))
    .replace('\u0001', `<mark>${escaped(wrong)}</mark>`)
    .replace('\u0002', `<del>${escaped(missing)}</del>`);
  const caption = escaped(sayOf(which, language));
  return `<p class="note">${legend}</p><div class="scroll sentences" tabindex="0" role="region" aria-label="${caption}"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function comparisonRow({ sentence, source, reference, other, jsd }: SentenceComparison, language: Language): string {
  const cell = (name: string, received: ReceivedSentence) =>
    `<td class="text" data-name="${escaped(sayOf('says', language, name))}"><span>${marked(source, received.text, language)}</span><small>BLEU-1 ${formatNumber(received.bleu1)}</small></td>`;
  return `<tr><th scope="row" class="text"><span>${escaped(source)}</span><small>${escaped(sayOf('sentence', language))} ${sentence}</small></th>${cell('A', reference)}${cell('B', other)}<td data-name="JSD">${formatNumber(jsd)}</td></tr>`;
}

/** What was received, with the words that are wrong or missing marked. */
function marked(source: string, received: string, language: Language): string {
  const said = (word: 'wrongWord' | 'missingWord') => `<span class="said"> (${escaped(sayOf(word, language))})</span>`;
  const words = alignWords(wordsOf(source), wordsOf(received)).map(({ kind, word }) => {
    if (kind === 'same') return escaped(word);
    if (kind === 'missing') return `<del>${escaped(word)}${said('missingWord')}</del>`;
    return `<mark>${escaped(word)}${said('wrongWord')}</mark>`;
  });
  return words.join(' ') || '–';
}

function conditionList({ conditions, corpus, reference, other }: AnalysisReport): string {
  return definitions([
    ['corpus', `${corpus.name} (${corpus.corpusId})`],
    ['vocabulary', corpus.vocabularySize],
    ['sentences', conditions.sentences],
    ['channels', conditions.channels.join(', ')],
    ['channel profile', conditions.channelProfile],
    ['SNR (dB)', conditions.snrDb.join(', ')],
    ['sentences shown at (dB)', conditions.headlineSnrDb],
    ['seed of the noise', conditions.seed],
    ...Object.entries(reference.architecture).map(([name, value]): [string, unknown] => [`A ${name}`, value]),
    ...Object.entries(other.architecture).map(([name, value]): [string, unknown] => [`B ${name}`, value]),
  ]);
}

function runFacts({ run: { numerics } }: AnalysisReport): string {
  const { device, library, threads } = numerics;
  return definitions([['device', `${device}, ${library}, ${threads} threads`]]);
}

const STYLE = `
.sentences table{white-space:normal;width:100%;min-width:640px}
.sentences tbody th,.sentences tbody td{vertical-align:top;font-weight:400;width:31%}
.sentences tbody td:last-child{width:7%}
.sentences span{overflow-wrap:anywhere}
.sentences small{display:block;color:var(--muted);font-size:12px;margin-top:2px}
mark{background:none;color:inherit;font-weight:700;text-decoration:underline wavy;text-underline-offset:3px}
del{color:var(--muted);text-decoration:line-through}
.said{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (max-width:700px){.sentences table{min-width:0}.sentences thead{position:absolute;clip-path:inset(50%);height:1px;overflow:hidden}
.sentences tr{display:block;border-bottom:1px solid var(--line);padding:8px 0}
.sentences tbody th,.sentences tbody td,.sentences tbody td:last-child{display:block;width:auto;border:0;padding:4px 0;text-align:left}
.sentences td::before{content:attr(data-name) ": ";color:var(--muted);font-size:13px}}
`;
