// The report as Markdown: what one pastes into notes or an issue.
import { escaped, laidOut, list, section } from './markdown-parts.js';
import { hashTable, importanceTable, matrixTable } from './model-tables.js';
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

/** The report in one language (English unless asked otherwise). */
export function renderMarkdown(report: Report, language: Language = 'en'): string {
  const verdicts = report.verdicts.flatMap(({ text }) =>
    text.map((line, index) => `${index > 0 ? '  ' : ''}- ${escaped(line[language])}`),
  );
  const { length } = report.missing;
  const missing = report.missing.slice(0, MAX_TABLE_ROWS);
  if (length > MAX_TABLE_ROWS) missing.push(say('andMore', language, length - MAX_TABLE_ROWS));
  const parts = [
    `# ${escaped(report.name)}`,
    `${say('teacher', language)} ${escaped(report.teacher.name)} · ${say('corpus', language)} ${escaped(report.corpus.name)} · ${report.counts.completed}/${report.counts.trials} ${say('trials', language)}`,
    section(say('verdict', language), verdicts.join('\n')),
    report.findings.length > 0
      ? section(say('findings', language), list(report.findings.map(({ text }) => text[language])))
      : '',
    report.settings.length > 0
      ? section(say('overview', language), laidOut(overviewTable(report, language), false))
      : '',
    report.settings.length > 0 ? say('intervalNote', language) : '',
    omissionNote(report, language),
    ...(report.settings.length > 0 ? curveTables(report, language).map((table) => laidOut(table, true)) : []),
    report.settings.length > 0 ? say('bleuNote', language) : '',
    report.settings.length > 0 ? laidOut(sizeTable(report, language), true) : '',
    report.settings.length > 0 ? say('runNote', language) : '',
    report.crossDecoding
      ? `${laidOut(matrixTable(report, report.crossDecoding, language), true)}\n\n${say('matrixNote', language, report.crossDecoding.sentences)}`
      : '',
    report.importances.length > 0
      ? `${laidOut(importanceTable(report, language), true)}\n\n${say('importanceNote', language)}`
      : '',
    report.trends.length > 0 ? laidOut(trendTable(report, language), true) : '',
    report.comparisons.length > 0 ? laidOut(testTable(report, language), true) : '',
    report.comparisons.length + report.trends.length > 0 ? say('testNote', language) : '',
    report.failures.length > 0 ? laidOut(failureTable(report, language), true) : '',
    report.pruned.length > 0 ? laidOut(prunedTable(report, language), true) : '',
    report.missing.length > 0 ? section(say('missing', language), list(missing)) : '',
    report.warnings.length > 0
      ? section(say('warnings', language), list(report.warnings.map(({ message }) => message)))
      : '',
    section(
      say('reproduce', language),
      `\`\`\`sh\n${report.reproduction.command}\n\`\`\`\n\n${say('reproduceNote', language)}`,
    ),
    laidOut(hashTable(report, language), true),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}
