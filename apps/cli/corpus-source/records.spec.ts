import { describe, expect, it } from 'vitest';
import { textOf } from './decode.js';
import { columnOfJsonLines, columnOfRows, linesOf, separatedRows } from './records.js';

async function* pieces(text: string, length: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += length) yield text.slice(at, at + length);
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

describe.each([1, 2, 5, 1000])('in pieces of %i characters', (length) => {
  it('CSV keeps quotes, separators and line breaks inside quotes', async () => {
    const text = 'id,text\r\n1,"a ""b"", c"\r\n2,"two\r\nlines"\n3,plain\n\n4,\n5,"last"';
    const rows = await all(separatedRows(pieces(text, length), ','));
    expect(rows).toEqual([
      ['id', 'text'],
      ['1', 'a "b", c'],
      ['2', 'two\r\nlines'],
      ['3', 'plain'],
      ['4', ''],
      ['5', 'last'],
    ]);
    const cells = await all(columnOfRows(separatedRows(pieces(text, length), ','), 'text'));
    expect(cells).toEqual(['a "b", c', 'two lines', 'plain', '', 'last']);
  });

  it('TSV columns may be numbers, and then the first row counts', async () => {
    expect(await all(columnOfRows(separatedRows(pieces('x\ty,z\nu\tv\n', length), '\t'), '2'))).toEqual(['y,z', 'v']);
  });

  it('JSON lines give the named text', async () => {
    const lines = linesOf(pieces('{"text":"a\\nb"}\n\n{"text":"c"}', length));
    expect(await all(columnOfJsonLines(lines, 'text'))).toEqual(['a b', 'c']);
  });
});

it.each([
  ['a column that is not there', 'a,b\n1,2', 'c', /no column "c"; its columns are "a", "b"/],
  ['a quote that stays open', 'a\n"x', 'a', /never closed/],
])('CSV with %s is refused', async (_, text, column, sentence) => {
  await expect(all(columnOfRows(separatedRows(pieces(text, 3), ','), column))).rejects.toThrow(sentence);
});

it.each([
  ['{"a":1}', /line 1 of it has no text "text"; it has "a"/],
  ['{"text":"x"}\n{', /line 2 of it is not JSON/],
  ['[1]', /no JSON object/],
])('the JSON line %s is refused', async (text, sentence) => {
  await expect(all(columnOfJsonLines(linesOf(pieces(text, 3)), 'text'))).rejects.toThrow(sentence);
});

describe('textOf', () => {
  async function* bytes(...parts: Buffer[]): AsyncGenerator<Buffer> {
    yield* parts;
  }
  const utf16be = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16();

  it('takes the encoding a mark tells, and drops the mark', async () => {
    expect((await all(textOf(bytes(Buffer.from('\ufeffdéjà')), undefined))).join('')).toBe('déjà');
    expect((await all(textOf(bytes(Buffer.from('\ufeffdéjà', 'utf16le')), undefined))).join('')).toBe('déjà');
    expect((await all(textOf(bytes(utf16be('déjà')), undefined))).join('')).toBe('déjà');
  });

  it('takes a named encoding, and cuts no character in two', async () => {
    const euro = Buffer.from('a€b');
    expect((await all(textOf(bytes(euro.subarray(0, 2), euro.subarray(2)), undefined))).join('')).toBe('a€b');
    expect((await all(textOf(bytes(Buffer.from('déjà', 'latin1')), 'latin1'))).join('')).toBe('déjà');
  });

  it('says that bytes are not of the encoding', async () => {
    const latin = Buffer.from('déjà', 'latin1');
    await expect(all(textOf(bytes(latin), undefined))).rejects.toThrow(/it is not utf-8; name its encoding/);
  });
});
