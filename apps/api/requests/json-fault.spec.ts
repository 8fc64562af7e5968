import { describe, expect, it } from 'vitest';
import { findJsonFault } from './json-fault.js';

describe('findJsonFault', () => {
  it('finds nothing in JSON', () => {
    for (const text of ['{}', ' [1, -2.5e3, "a\\u00e9\\n", true, null, {"a": [[]]}] ', '"x"', '0']) {
      expect(findJsonFault(text), text).toBeUndefined();
      expect(() => JSON.parse(text)).not.toThrow();
    }
  });

  it.each([
    ['{"a":}', 5, 'a value'],
    ['{"a":1,}', 7, 'a name in double quotes'],
    ['{a:1}', 1, 'a name in double quotes'],
    ['[1 2]', 3, "',' or ']'"],
    ['{"a" 1}', 5, "':'"],
    ['{"a":1', 6, "',' or '}'"],
    ['{} x', 3, 'the end'],
    ['', 0, 'a value'],
    ['["a\nb"]', 1, 'a value'],
    ['[NaN]', 1, 'a value'],
    ['01', 1, 'the end'],
  ])('names offset and want in %j', (text, offset, wanted) => {
    expect(findJsonFault(text)).toEqual({ offset, wanted });
    expect(() => JSON.parse(text)).toThrow();
  });

  it('refuses nesting beyond 32 levels without exhausting the stack', () => {
    expect(findJsonFault('['.repeat(500_000))).toEqual({ offset: 32, wanted: 'at most 32 levels of nesting' });
    expect(findJsonFault('['.repeat(32) + ']'.repeat(32))).toBeUndefined();
  });
});
