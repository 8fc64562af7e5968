// One column of a table as lines: CSV and TSV (RFC 4180: quotes, doubled quotes, line breaks inside quotes) and JSON lines.
// Cells become one line each, whatever line breaks they hold.
import { SourceFault } from './decode.js';

/** A cell longer than this is a quote that was never closed. */
const MAX_CELL_CHARACTERS = 4 * 1024 * 1024;

/** Rows of separated text. */
export async function* separatedRows(text: AsyncIterable<string>, separator: ',' | '\t'): AsyncGenerator<string[]> {
  let row: string[] = [];
  let cell = '';
  let state: 'start' | 'bare' | 'quoted' | 'quote' = 'start';
  let afterReturn = false;
  for await (const piece of text) {
    for (const character of piece) {
      const isSecondHalf = afterReturn && character === '\n';
      afterReturn = character === '\r';
      if (state === 'quoted') {
        if (character === '"') state = 'quote';
        else cell += character;
        if (cell.length > MAX_CELL_CHARACTERS) throw new SourceFault('a quote in it is never closed');
      } else if (character === '"' && state === 'start') state = 'quoted';
      else if (character === '"' && state === 'quote') {
        cell += '"';
        state = 'quoted';
      } else if (character === separator) {
        row.push(cell);
        cell = '';
        state = 'start';
      } else if (character === '\n' || character === '\r') {
        if (isSecondHalf) continue;
        if (row.length > 0 || cell !== '' || state !== 'start') yield [...row, cell];
        row = [];
        cell = '';
        state = 'start';
      } else {
        cell += character;
        if (state === 'start') state = 'bare';
        if (cell.length > MAX_CELL_CHARACTERS) throw new SourceFault('a line of it is too long for a table');
      }
    }
  }
  if (state === 'quoted') throw new SourceFault('a quote in it is never closed');
  if (row.length > 0 || cell !== '') yield [...row, cell];
}

/** Cells of one column, named by the first row, or numbered from 1 where there is no such name. */
export async function* columnOfRows(rows: AsyncIterable<string[]>, column: string): AsyncGenerator<string> {
  let index: number | undefined;
  let isFirst = true;
  for await (const row of rows) {
    if (isFirst) {
      isFirst = false;
      const named = row.indexOf(column);
      const numbered = /^[1-9]\d{0,5}$/.test(column) ? Number(column) - 1 : undefined;
      index = named >= 0 ? named : numbered;
      if (index === undefined || index >= row.length) {
        throw new SourceFault(
          `it has no column ${JSON.stringify(column)}; its columns are ${shownNames(row)} (or their numbers, from 1)`,
        );
      }
      if (named >= 0) continue;
    }
    yield oneLine(row[index ?? 0] ?? '');
  }
}

/** One property of every JSON line. */
export async function* columnOfJsonLines(lines: AsyncIterable<string>, column: string): AsyncGenerator<string> {
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw new SourceFault(`line ${number} of it is not JSON`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new SourceFault(`line ${number} of it is no JSON object`);
    }
    const text: unknown = Object.hasOwn(value, column) ? (value as Record<string, unknown>)[column] : undefined;
    if (typeof text !== 'string') {
      throw new SourceFault(
        `line ${number} of it has no text ${JSON.stringify(column)}; it has ${shownNames(Object.keys(value))}`,
      );
    }
    yield oneLine(text);
  }
}

export async function* linesOf(text: AsyncIterable<string>): AsyncGenerator<string> {
  let held = '';
  for await (const piece of text) {
    const lines = (held + piece).split('\n');
    held = lines.pop() ?? '';
    if (held.length > MAX_CELL_CHARACTERS) throw new SourceFault('a line of it is too long');
    yield* lines;
  }
  if (held !== '') yield held;
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ');
}

function shownNames(names: string[]): string {
  const shown = names.slice(0, 12).map((name) => JSON.stringify(name.slice(0, 40)));
  return `${shown.join(', ')}${names.length > 12 ? ` and ${names.length - 12} more` : ''}`;
}
