import { expect, it } from 'vitest';
import { LineSplitter } from './line-splitter.js';

const TEXT = 'one\r\ntwo\n\rthree\r\r\nfour\n\nfive';
const LINES = ['one', 'two', '', 'three', '', 'four', '', 'five'];

it.each([1, 2, 3, 100])('gives the same lines in pieces of %i characters', (length) => {
  const splitter = new LineSplitter();
  const lines: string[] = [];
  for (let at = 0; at < TEXT.length; at += length) lines.push(...splitter.push(TEXT.slice(at, at + length)));
  lines.push(...splitter.finish());
  expect(lines).toEqual(LINES);
});

it('a line without end costs bounded memory', () => {
  const splitter = new LineSplitter();
  const piece = 'word '.repeat(200_000);
  for (let i = 0; i < 100; i++) expect([...splitter.push(piece)]).toEqual([]);
  const [line] = splitter.push('\n');
  expect(line?.length).toBeLessThan(6_000_000);
});
