// The report as one HTML file: nothing is fetched, nothing runs; style, charts and both languages are inside. The
// language is chosen by radio buttons and CSS, light or dark by the system.
import { drawCharts } from './charts.js';
import { hashTable } from './model-tables.js';
import { DARK, declarations, LIGHT, withLiteralColours } from './palette.js';
import type { Report } from './report.js';
import {
  curveTables,
  failureTable,
  MAX_TABLE_ROWS,
  omissionNote,
  overviewTable,
  prunedTable,
  sizeTable,
  type Table,
  testTable,
  trendTable,
} from './tables.js';
import { LANGUAGES, type Language, say } from './texts.js';

/** A self-contained page: charts with a table each, English and Chinese, light and dark, readable at 390 px. */
export function renderHtml(report: Report): string {
  const options = LANGUAGES.map(
    (language, index) =>
      `<input type="radio" name="language" id="language-${language}"${index === 0 ? ' checked' : ''}><label for="language-${language}" lang="${language}">${LANGUAGE_NAMES[language]}</label>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(report.name)} · semdistill</title>
<style>${STYLE}</style>
</head>
<body>
${options.join('\n')}
${LANGUAGES.map((language) => `<main lang="${language}" class="${language}">${body(report, language)}</main>`).join('\n')}
</body>
</html>
`;
}

/** Stand-alone SVG files of all charts, in English and light colours. */
export function renderSvgs(report: Report): { name: string; svg: string }[] {
  return drawCharts(report, 'en').map(({ name, svg }) => ({
    name: `${name}.svg`,
    svg: withLiteralColours(svg)
      .replace('background:none', `background:${LIGHT.paper}`)
      .replace('font-family:inherit', 'font-family:system-ui,sans-serif'),
  }));
}

const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', zh: '中文' };

function body(report: Report, language: Language): string {
  const word = (name: Parameters<typeof say>[0]) => escaped(say(name, language));
  const has = report.settings.length > 0;
  const charts = drawCharts(report, language).map(
    ({ title, note, svg, table }) =>
      `<figure><figcaption>${escaped(title)}</figcaption>${svg}<p class="note">${escaped(note)}</p><details><summary>${word('tableOf')}</summary>${laidOut(table)}</details></figure>`,
  );
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

function section(title: string, content: string): string {
  return `<section><h2>${title}</h2>${content}</section>`;
}

function list(lines: string[]): string {
  return `<ul>${lines.map((line) => `<li>${escaped(line)}</li>`).join('')}</ul>`;
}

function definitions(rows: [string, unknown][]): string {
  const items = rows.map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(String(value))}</dd></div>`);
  return `<dl>${items.join('')}</dl>`;
}

function folded(table: Table, isOpen: boolean): string {
  return `<details${isOpen ? ' open' : ''}><summary>${escaped(table.caption)}</summary>${laidOut(table)}</details>`;
}

function laidOut(table: Table): string {
  const isText = (index: number) => index === 0 || table.textColumns?.includes(index);
  const cell = (text: string, index: number) => {
    const kind = isText(index) ? ` class="text${text.length > 40 ? ' long' : ''}"` : '';
    return index === 0 ? `<th scope="row"${kind}>${escaped(text)}</th>` : `<td${kind}>${escaped(text)}</td>`;
  };
  const head = table.columns.map(
    (name, index) => `<th scope="col"${isText(index) ? ' class="text"' : ''}>${escaped(name)}</th>`,
  );
  const rows = table.rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`);
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escaped(table.caption)}"><table><thead><tr>${head.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

/** Names and reasons come from outside. */
function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

const STYLE = `
:root{color-scheme:light dark;${declarations(LIGHT)}}
@media (prefers-color-scheme:dark){:root{${declarations(DARK)}}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:16px;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI","Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;font-variant-numeric:tabular-nums}
input[name=language]{position:absolute;opacity:0}
label{display:inline-block;padding:4px 12px;border:1px solid var(--line);border-radius:4px;color:var(--muted);cursor:pointer;margin-right:8px}
input:checked+label{color:var(--ink);border-color:var(--ink)}
input:focus-visible+label{outline:2px solid var(--step-4);outline-offset:2px}
main{display:none}
#language-en:checked~main.en,#language-zh:checked~main.zh{display:block}
h1{font-size:28px;line-height:1.2;margin:0 0 8px;overflow-wrap:anywhere}
h2{font-size:19px;margin:40px 0 12px}
.kicker{margin:24px 0 4px;color:var(--muted);font-size:14px}
.lead{font-size:18px;margin:0 0 8px;max-width:75ch}
.note{color:var(--muted);font-size:14px;margin:8px 0;max-width:90ch}
li{max-width:85ch;margin:4px 0;overflow-wrap:anywhere}
ul{padding-left:20px;margin:8px 0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:32px 40px}
figure{margin:0;min-width:0}
figcaption{font-weight:600;margin-bottom:8px}
figure svg{display:block;width:100%;height:auto}
.scroll{overflow-x:auto}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--step-4)}
table{border-collapse:collapse;font-size:14px;white-space:nowrap}
th,td{padding:6px 12px;text-align:right;border-bottom:1px solid var(--line);font-weight:400}
thead th{white-space:normal;vertical-align:bottom;min-width:72px;color:var(--muted);font-size:13px}
th.text,td.text{text-align:left}
th:first-child{padding-left:0}
tbody th{font-weight:600}
td.long{white-space:normal;min-width:30ch;max-width:60ch}
details{margin:8px 0}
summary{cursor:pointer;color:var(--muted);font-size:14px;padding:4px 0}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));gap:4px 32px;margin:0;font-size:14px}
dl div{display:flex;gap:12px;justify-content:space-between;border-bottom:1px solid var(--line);padding:4px 0}
dt{color:var(--muted)}
pre{overflow-x:auto;padding:8px 12px;border:1px solid var(--line);border-radius:4px;font-size:13px;margin:8px 0}
dd{margin:0;text-align:right;overflow-wrap:anywhere}
@media print{details>*{display:block}label{display:none}}
`;
