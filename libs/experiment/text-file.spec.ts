// Which uploads count as text, and what the others are told; the same whatever the pieces they come in.
import { describe, expect, it } from 'vitest';
import { TextFileCheck } from './text-file.js';

const bytes = (...values: number[]) => Uint8Array.from(values);
const utf8 = (text: string) => new TextEncoder().encode(text);

describe.each([1, 2, 3, 1000])('TextFileCheck, in pieces of %i bytes', (length) => {
  const check = (all: Uint8Array) => {
    const text = new TextFileCheck();
    for (let at = 0; at < all.length; at += length) text.push(all.subarray(at, at + length));
    text.finish();
  };

  it('takes UTF-8 text, with and without a byte order mark', () => {
    expect(() => check(utf8('Où est la gare?\nThe end. € 😀\n'))).not.toThrow();
    expect(() => check(utf8('\ufeffhello'))).not.toThrow();
    expect(() => check(utf8('ÀŽ'))).not.toThrow();
  });

  it('refuses what is not usable text, saying what was found', () => {
    expect(() => check(bytes())).toThrow(/empty/);
    expect(() => check(bytes(0x61, 0x00, 0x62))).toThrow(/binary.*0x00 at offset 1/);
    expect(() => check(bytes(0x61, 0x1b))).toThrow(/binary/);
    expect(() => check(utf8('123 456\n. ! €\n'))).toThrow(/no line .* letter/);
  });

  it('names the offset of the first byte that is not UTF-8', () => {
    expect(() => check(bytes(0x61, 0xe9, 0x62))).toThrow(/not UTF-8 \(at byte offset 1\)/);
    expect(() => check(bytes(0x61, 0x62, 0xc0, 0x80))).toThrow(/offset 2\)/);
    expect(() => check(bytes(0xe2, 0x82, 0xac, 0xed, 0xa0, 0x80))).toThrow(/offset 3\)/);
    expect(() => check(bytes(0x61, 0xf0, 0x9f, 0x98))).toThrow(/offset 1\)/);
  });
});

it('UTF-16 is recognised by its mark', () => {
  expect(() => new TextFileCheck().push(bytes(0xff, 0xfe, 0x61, 0x00))).toThrow(/UTF-16; convert/);
});
