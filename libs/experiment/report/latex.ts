// The report's numbers as LaTeX tables (booktabs), to be put into a paper with \input.
import { MEASURES } from './measure-names.js';
import { formatEstimate, formatNumber, formatProbability } from './numbers.js';
import type { CurveName, Report } from './report.js';
import { type Language, say, settingLabel } from './texts.js';

const AT_HEADLINE = [
  'bleu1',
  'bleu2',
  'bleu3',
  'bleu4',
  'exactSentences',
  'top1Agreement',
] as const satisfies CurveName[];

/** Two tables: what was measured of each setting, and what was tested. Needs the package booktabs; Chinese needs ctex. */
export function renderLatex(report: Report, language: Language = 'en'): string {
  const parts = [
    `% ${commented(report.name)}`,
    `% ${commented(report.verdicts.map(({ text }) => text[0]?.[language] ?? '').join(' '))}`,
    '% \\usepackage{booktabs}',
    ...(report.settings.length > 0 ? [measuredTable(report, language)] : []),
    ...(report.comparisons.some(({ family }) => family === 'settings') ? [testedTable(report, language)] : []),
  ];
  return `${parts.join('\n')}\n`;
}

function measuredTable(report: Report, language: Language): string {
  const shown = AT_HEADLINE.filter((name) => report.settings.some(({ atHeadline }) => atHeadline[name]));
  const at = say('atSnr', language, report.headlineSnrDb);
  const head = [
    say('setting', language),
    '$n$',
    `JSD${say('meanOverSnr', language)}`,
    ...shown.map((name) => MEASURES[name][language]),
  ];
  const rows = report.settings.map(({ label, seeds, meanOverSnr, atHeadline }) => [
    escaped(settingLabel(label, language)),
    String(seeds.length),
    meanOverSnr.jsd ? inMaths(formatEstimate(meanOverSnr.jsd)) : '--',
    ...shown.map((name) => {
      const value = atHeadline[name];
      return value ? inMaths(formatEstimate(value)) : '--';
    }),
  ]);
  const teacher = shown.map((name) => {
    const curve = (report.anchors?.teacher as Partial<Record<CurveName, number[]>> | undefined)?.[name];
    const value = curve?.[report.evaluation.snrDb.indexOf(report.headlineSnrDb)];
    return value === undefined ? '--' : inMaths(formatNumber(value));
  });
  const caption = `${escaped(report.name)}. ${escaped(say('intervalNote', language))} ${escaped(`${shown.map((name) => MEASURES[name][language]).join(', ')} ${at}.`)}`;
  return table({
    columns: `l r ${'r '.repeat(head.length - 2).trim()}`,
    head: head.map((cell) => (cell.startsWith('$') ? cell : escaped(cell))),
    blocks: [rows, [[escaped(say('teacher', language)), '', '', ...teacher]]],
    caption,
    label: 'tab:semdistill-measures',
  });
}

function testedTable(report: Report, language: Language): string {
  const label = (index: number) => escaped(settingLabel(report.settings[index]?.label ?? '', language));
  const rows = report.comparisons
    .filter(({ family, measure }) => family === 'settings' && measure === 'jsd')
    .map(({ a, b, n, difference, low, high, hedgesG, pHolm }) => [
      `${label(a)} -- ${label(b)}`,
      String(n),
      inMaths(formatNumber(difference)),
      inMaths(`[${formatNumber(low)}, ${formatNumber(high)}]`),
      hedgesG === null ? '--' : inMaths(formatNumber(hedgesG)),
      inMaths(formatProbability(pHolm)),
    ]);
  const head = [say('compared', language), '$n$', '$\\Delta$ JSD', '95\\,\\%', '$g$', '$p_{\\mathrm{Holm}}$'];
  return table({
    columns: 'l r r r r r',
    head: head.map((cell) => (/[$\\]/.test(cell) ? cell : escaped(cell))),
    blocks: [rows],
    caption: escaped(say('testNote', language)),
    label: 'tab:semdistill-tests',
  });
}

function table(made: {
  columns: string;
  head: string[];
  blocks: string[][][];
  caption: string;
  label: string;
}): string {
  const line = (cells: string[]) => `  ${cells.join(' & ')} \\\\`;
  const body = made.blocks.map((rows) => rows.map(line).join('\n')).join('\n  \\midrule\n');
  return [
    '\\begin{table}',
    '  \\centering',
    `  \\caption{${made.caption}}`,
    `  \\label{${made.label}}`,
    `  \\begin{tabular}{${made.columns}}`,
    '  \\toprule',
    line(made.head),
    '  \\midrule',
    body,
    '  \\bottomrule',
    '  \\end{tabular}',
    '\\end{table}',
  ].join('\n');
}

/** A number with its interval as maths: minus and plus-minus as signs. */
function inMaths(text: string): string {
  return `$${text
    .replaceAll('±', '\\pm')
    .replaceAll('–', '\\text{--}')
    .replace(/e([+-]?\d+)/g, '\\cdot 10^{$1}')}$`;
}

const SPECIAL: Record<string, string> = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  $: '\\$',
  '&': '\\&',
  '#': '\\#',
  '^': '\\textasciicircum{}',
  _: '\\_',
  '~': '\\textasciitilde{}',
  '%': '\\%',
  '±': '$\\pm$',
  '²': '$^2$',
  '<': '\\textless{}',
  '>': '\\textgreater{}',
  '|': '\\textbar{}',
};

/** Text from outside prints as it is and commands nothing. */
function escaped(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\{}$&#^_~%±²<>|]/g, (character) => SPECIAL[character] ?? character);
}

/** One line of a comment, whatever line ends the text holds. */
function commented(text: string): string {
  return text.replace(/\s+/g, ' ');
}
