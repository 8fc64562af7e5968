import { describe, expect, it } from 'vitest';
import { assertKey, assertPrefix, InvalidKey, isKey } from './key-rules.js';

describe('keys', () => {
  it.each(['a', 'trials/x/result.json', 'a.b-c_D/9..x', 'k'.repeat(200), `${'a/'.repeat(399)}b`])('allow %s', (key) => {
    assertKey(key);
    expect(isKey(key)).toBe(true);
  });

  it.each([
    ['', 'is empty'],
    ['a//b', 'empty segment'],
    ['/a', 'empty segment'],
    ['a/', 'empty segment'],
    ['a/../b', 'begins with a dot'],
    ['.meta/a', 'begins with a dot'],
    ['a b', 'characters other than'],
    ['ä', 'characters other than'],
    ['a\n', 'characters other than'],
    ['k'.repeat(201), 'segment of more than 200'],
    [`${'k/'.repeat(400)}k`, 'more than 800'],
  ])('refuse %j because it %s', (key, reason) => {
    expect(() => assertKey(key)).toThrow(InvalidKey);
    expect(() => assertKey(key)).toThrow(reason);
    expect(isKey(key)).toBe(false);
  });
});

describe('prefixes', () => {
  it.each(['', 'a', 'a/', 'trials/ab'])('allow %j', (prefix) => assertPrefix(prefix));
  it.each(['/', 'a//', '../', '.meta/', 'a/.', 'a b', '%'])('refuse %j', (prefix) => {
    expect(() => assertPrefix(prefix)).toThrow(InvalidKey);
  });
});
