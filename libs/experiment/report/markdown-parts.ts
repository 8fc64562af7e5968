// Sections, lists and tables in Markdown, of text that comes from outside.
import type { Table } from './tables.js';

export function section(title: string, body: string): string {
  return `## ${title}\n\n${body}`;
}

export function list(lines: string[]): string {
  return lines.map((line) => `- ${escaped(line)}`).join('\n');
}

export function laidOut(table: Table, isTitled: boolean): string {
  const isText = (index: number) => index === 0 || table.textColumns?.includes(index);
  const row = (cells: string[]) => `| ${cells.map(escaped).join(' | ')} |`;
  const rule = `|${table.columns.map((_, index) => (isText(index) ? ' --- ' : ' ---: ')).join('|')}|`;
  const body = [row(table.columns), rule, ...table.rows.map(row)].join('\n');
  return isTitled ? section(escaped(table.caption), body) : body;
}

/** Text from outside (names, reasons) stays one line, one cell, and no markup. */
export function escaped(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*_[\]<>|#]/g, '\\$&');
}
