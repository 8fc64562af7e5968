// Which uploads count as text, and what the others are told.
import { describe, expect, it } from 'vitest';
import { parseTextFile } from './text-file.js';

const bytes = (...values: number[]) => Uint8Array.from(values);
const utf8 = (text: string) => new TextEncoder().encode(text);

describe('parseTextFile', () => {
  it('returns UTF-8 text, without a byte order mark', () => {
    expect(parseTextFile(utf8('Où est la gare?\nThe end.\n'))).toBe('Où est la gare?\nThe end.\n');
    expect(parseTextFile(utf8('\ufeffhello'))).toBe('hello');
  });

  it('refuses what is not usable text, saying what was found', () => {
    expect(() => parseTextFile(bytes())).toThrow(/empty/);
    expect(() => parseTextFile(bytes(0x61, 0x00, 0x62))).toThrow(/binary.*0x00 at offset 1/);
    expect(() => parseTextFile(bytes(0x61, 0x1b))).toThrow(/binary/);
    expect(() => parseTextFile(bytes(0xff, 0xfe, 0x61, 0x00))).toThrow(/UTF-16; convert/);
    expect(() => parseTextFile(utf8('123 456\n. !\n'))).toThrow(/no line .* letter/);
  });

  it('names the offset of the first byte that is not UTF-8', () => {
    expect(() => parseTextFile(bytes(0x61, 0xe9, 0x62))).toThrow(/not UTF-8 \(at byte offset 1\)/);
    expect(() => parseTextFile(bytes(0x61, 0x62, 0xc0, 0x80))).toThrow(/offset 2\)/);
    expect(() => parseTextFile(bytes(0xe2, 0x82, 0xac, 0xed, 0xa0, 0x80))).toThrow(/offset 3\)/);
    expect(() => parseTextFile(bytes(0x61, 0xf0, 0x9f, 0x98))).toThrow(/offset 1\)/);
  });
});
