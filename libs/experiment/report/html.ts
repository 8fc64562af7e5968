// The report of a sweep as one HTML file; what it has in common with other pages is in page.ts.
import { drawCharts } from './charts.js';
import { hashTable } from './model-tables.js';
import { definitions, escaped, figure, folded, laidOut, list, renderPage, section, standAlone } from './page.js';
import type { Report } from './report.js';
import {
  curveTables,
  failureTable,
  MAX_TABLE_ROWS,
  omissionNote,
  overviewTable,
  prunedTable,
  sizeTable,
  testTable,
  trendTable,
} from './tables.js';
import { type Language, say } from './texts.js';

/** A self-contained page: charts with a table each, English and Chinese, light and dark, readable at 390 px. */
export function renderHtml(report: Report): string {
  return renderPage(report.name, (language) => body(report, language));
}

/** Stand-alone SVG files of all charts, in English and light colours. */
export function renderSvgs(report: Report): { name: string; svg: string }[] {
  return drawCharts(report, 'en').map(standAlone);
}

function body(report: Report, language: Language): string {
  const word = (name: Parameters<typeof say>[0]) => escaped(say(name, language));
  const has = report.settings.length > 0;
  const charts = drawCharts(report, language).map((chart) => figure(chart, language));
  const verdicts = report.verdicts.map(({ text }) => {
    const [first, ...rest] = text.map((line) => escaped(line[language]));
    const items = rest.length > 0 ? `<ul>${rest.map((line) => `<li>${line}</li>`).join('')}</ul>` : '';
    return `<p class="lead">${first ?? ''}</p>${items}`;
  });
  const sections = [
    `<header><p class="kicker">${word('report')}</p><h1>${escaped(report.name)}</h1><p class="note">${facts(report, language)}</p></header>`,
    section(word('verdict'), verdicts.join('')),
    report.findings.length > 0
      ? section(word('findings'), list(report.findings.map(({ text }) => text[language])))
      : '',
    has
      ? section(
          word('overview'),
          `${laidOut(overviewTable(report, language))}<p class="note">${word('intervalNote')} ${escaped(omissionNote(report, language))}</p>`,
        )
      : '',
    has
      ? section(word('charts'), `<div class="charts">${charts.join('')}</div><p class="note">${word('bleuNote')}</p>`)
      : '',
    report.comparisons.length + report.trends.length > 0 ? section(word('tests'), tests(report, language)) : '',
    has
      ? section(word('compression'), `${laidOut(sizeTable(report, language))}<p class="note">${word('runNote')}</p>`)
      : '',
    has
      ? section(
          word('overSnr'),
          curveTables(report, language)
            .map((table) => folded(table, false))
            .join(''),
        )
      : '',
    report.failures.length > 0 ? section(word('failures'), laidOut(failureTable(report, language))) : '',
    report.pruned.length > 0 ? section(word('pruned'), laidOut(prunedTable(report, language))) : '',
    report.missing.length > 0 ? section(word('missing'), list(shortened(report.missing, language))) : '',
    report.warnings.length > 0 ? section(word('warnings'), list(report.warnings.map(({ message }) => message))) : '',
    section(word('conditions'), conditions(report)),
    section(word('reproduce'), reproduction(report, language)),
    section(word('run'), `${runFacts(report)}${folded(hashTable(report, language), false)}`),
  ];
  return sections.join('\n');
}

function tests(report: Report, language: Language): string {
  const trends = report.trends.length > 0 ? folded(trendTable(report, language), true) : '';
  const pairs = report.comparisons.length > 0 ? folded(testTable(report, language), true) : '';
  return `${trends}${pairs}<p class="note">${escaped(say('testNote', language))}</p>`;
}

function reproduction({ reproduction: { command, request } }: Report, language: Language): string {
  return `<pre>${escaped(command)}</pre><p class="note">${escaped(say('reproduceNote', language))}</p><details><summary>request.json</summary><pre>${escaped(JSON.stringify(request, null, 2))}</pre></details>`;
}

function shortened(ids: string[], language: Language): string[] {
  if (ids.length <= MAX_TABLE_ROWS) return ids;
  return [...ids.slice(0, MAX_TABLE_ROWS), say('andMore', language, ids.length - MAX_TABLE_ROWS)];
}

function facts(report: Report, language: Language): string {
  const { completed, failed, pruned, missing, trials } = report.counts;
  const parts = [
    `${say('teacher', language)} ${report.teacher.name}`,
    `${say('corpus', language)} ${report.corpus.name}`,
    `${completed}/${trials} ${say('trials', language)}`,
    `${say('seeds', language)} ${report.seeds.length}`,
    ...(failed > 0 ? [`${say('failures', language)}: ${failed}`] : []),
    ...(pruned > 0 ? [`${say('pruned', language)}: ${pruned}`] : []),
    ...(missing > 0 ? [`${say('missing', language)}: ${missing}`] : []),
  ];
  return escaped(parts.join(' · '));
}

function conditions(report: Report): string {
  const { teacher, corpus, evaluation, fixed } = report;
  const rows: [string, unknown][] = [
    ['teacher', `${teacher.name} (${teacher.teacherId})`],
    ...Object.entries(teacher.architecture).map(([name, value]): [string, unknown] => [`teacher ${name}`, value]),
    ['corpus', `${corpus.name} (${corpus.corpusId})`],
    ['sentences', `${corpus.sentences.train} train, ${corpus.sentences.test} test`],
    ['measured sentences', evaluation.sentences],
    ['measured SNR (dB)', evaluation.snrDb.join(', ')],
    ['seeds', report.seeds.join(', ')],
    ['varied', report.varied.join(', ') || '–'],
    ...Object.entries(fixed).map(([name, value]): [string, unknown] => [
      name,
      Array.isArray(value) ? value.join(' … ') : value,
    ]),
  ];
  return definitions(rows);
}

function runFacts({ run }: Report): string {
  const workers = [...new Set(run.trials.map(({ worker }) => worker))].sort();
  const seconds = (pick: (trial: (typeof run.trials)[number]) => number) =>
    run.trials.reduce((sum, trial) => sum + pick(trial), 0).toFixed(1);
  return definitions([
    ['sweep', run.sweepId],
    ['created', run.createdAt],
    ['workers', workers.join(', ') || '–'],
    ...run.numerics.map(({ library, device, threads }): [string, unknown] => [
      'device',
      `${device}, ${library}, ${threads} threads`,
    ]),
    ['training seconds, summed over trials', seconds((trial) => trial.trainingSeconds)],
    ['evaluation seconds, summed over trials', seconds((trial) => trial.evaluationSeconds)],
    ['device-seconds spent', run.cost.deviceSeconds.toFixed(1)],
    [
      'device-seconds expected',
      run.cost.expected ? `${run.cost.expected.deviceSeconds} (by ${run.cost.expected.source.replace('-', ' ')})` : '–',
    ],
  ]);
}
