// A page that says everything by itself: nothing is fetched, nothing runs; style, charts and both languages are inside. The language is
// chosen by radio buttons and CSS, light or dark by the system. It knows no report.
import type { Chart } from './charts.js';
import { DARK, declarations, LIGHT, withLiteralColours } from './palette.js';
import type { Table } from './tables.js';
import { LANGUAGES, type Language, say } from './texts.js';

const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', zh: '中文' };

/** A self-contained page of one body a language; `style` is added to that of all pages. */
export function renderPage(title: string, bodyIn: (language: Language) => string, style = ''): string {
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
<title>${escaped(title)} · semdistill</title>
<style>${STYLE}${style}</style>
</head>
<body>
${options.join('\n')}
${LANGUAGES.map((language) => `<main lang="${language}" class="${language}">${bodyIn(language)}</main>`).join('\n')}
</body>
</html>
`;
}

/** A chart with its note and its table. */
export function figure({ title, note, svg, table }: Chart, language: Language): string {
  const summary = escaped(say('tableOf', language));
  return `<figure><figcaption>${escaped(title)}</figcaption>${svg}<p class="note">${escaped(note)}</p><details><summary>${summary}</summary>${laidOut(table)}</details></figure>`;
}

/** A chart as an SVG file by itself, in light colours. */
export function standAlone({ name, svg }: Chart): { name: string; svg: string } {
  return {
    name: `${name}.svg`,
    svg: withLiteralColours(svg)
      .replace('background:none', `background:${LIGHT.paper}`)
      .replace('font-family:inherit', 'font-family:system-ui,sans-serif'),
  };
}

export function section(title: string, content: string): string {
  return `<section><h2>${title}</h2>${content}</section>`;
}

export function list(lines: string[]): string {
  return `<ul>${lines.map((line) => `<li>${escaped(line)}</li>`).join('')}</ul>`;
}

export function definitions(rows: [string, unknown][]): string {
  const items = rows.map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(String(value))}</dd></div>`);
  return `<dl>${items.join('')}</dl>`;
}

export function folded(table: Table, isOpen: boolean): string {
  return `<details${isOpen ? ' open' : ''}><summary>${escaped(table.caption)}</summary>${laidOut(table)}</details>`;
}

export function laidOut(table: Table): string {
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
export function escaped(text: string): string {
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
