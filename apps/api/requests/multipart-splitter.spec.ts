import { randomBytes, randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MultipartError, type MultipartEvent, MultipartSplitter } from './multipart-splitter.js';

const BOUNDARY = '----x-boundary';
const LINE = '\r\n';

function bodyOf(parts: { head: string; bytes: Buffer }[]): Buffer {
  const pieces = parts.flatMap(({ head, bytes }) => [
    Buffer.from(`--${BOUNDARY}${LINE}Content-Disposition: form-data; ${head}${LINE}${LINE}`),
    bytes,
    Buffer.from(LINE),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--${LINE}`)]);
}

function split(body: Buffer, pieceOf: () => number) {
  const splitter = new MultipartSplitter(BOUNDARY);
  const parts: { name: string; fileName?: string | undefined; bytes: Buffer }[] = [];
  const take = (event: MultipartEvent) => {
    if (event.type === 'part') parts.push({ name: event.name, fileName: event.fileName, bytes: Buffer.alloc(0) });
    const latest = parts.at(-1);
    if (event.type === 'data' && latest) latest.bytes = Buffer.concat([latest.bytes, event.bytes]);
  };
  for (let at = 0; at < body.length; ) {
    const length = pieceOf();
    for (const event of splitter.push(body.subarray(at, at + length))) take(event);
    at += length;
  }
  return { parts, isAtEnd: splitter.isAtEnd };
}

describe('MultipartSplitter', () => {
  it('gives the same parts whatever the pieces, even where the bytes nearly hold a boundary', () => {
    const tricky = Buffer.concat([
      Buffer.from(`\r\n--${BOUNDARY.slice(0, -1)}?\r\n\r\n--`),
      randomBytes(300),
      Buffer.from('\r'),
    ]);
    const sent = [
      { head: 'name="model"; filename="a \\"b\\".pth"', bytes: tricky },
      { head: 'name="heads"', bytes: Buffer.from('8') },
      { head: 'name="empty"; filename=""', bytes: Buffer.alloc(0) },
    ];
    const body = bodyOf(sent);
    const pieces = [() => body.length, () => 1, ...Array.from({ length: 50 }, () => () => randomInt(1, 40))];
    for (const pieceOf of pieces) {
      const { parts, isAtEnd } = split(body, pieceOf);
      expect(isAtEnd).toBe(true);
      expect(parts.map(({ name, fileName }) => [name, fileName])).toEqual([
        ['model', 'a "b".pth'],
        ['heads', undefined],
        ['empty', ''],
      ]);
      parts.forEach(({ bytes }, i) => {
        expect(bytes).toEqual(sent[i]?.bytes);
      });
    }
  });

  it('a body cut short has no end', () => {
    const body = bodyOf([{ head: 'name="a"', bytes: Buffer.from('text') }]);
    expect(split(body.subarray(0, body.length - 4), () => 7).isAtEnd).toBe(false);
  });

  it.each([
    ['headers that never end', `--${BOUNDARY}${LINE}${'x'.repeat(10_000)}`],
    ['a part without a name', `--${BOUNDARY}${LINE}Content-Type: text/plain${LINE}${LINE}x`],
    ['a boundary with a tail', `--${BOUNDARY}tail${LINE}${LINE}`],
  ])('refuses %s', (_, text) => {
    expect(() => split(Buffer.from(text), () => 5)).toThrow(MultipartError);
  });

  it('reads the boundary of the Content-Type', () => {
    expect(MultipartSplitter.boundaryOf('multipart/form-data; boundary="a b"')).toBe('a b');
    expect(MultipartSplitter.boundaryOf('multipart/form-data; charset=utf-8; boundary=ab')).toBe('ab');
    expect(() => MultipartSplitter.boundaryOf('multipart/form-data')).toThrow(MultipartError);
  });
});
