import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { linearCka, type Matrix } from './cka.js';

const { linearCka: golden } = JSON.parse(
  readFileSync(new URL('../../test/golden/metrics.json', import.meta.url), 'utf8'),
) as {
  linearCka: { matrices: Record<string, number[][]>; pairs: { a: string; b: string; cka: number | 'NaN' }[] };
};

function matrix(name: string): Matrix {
  const rows = golden.matrices[name] ?? [];
  return { values: Float64Array.from(rows.flat()), columns: rows[0]?.length ?? 0 };
}

describe('linearCka', () => {
  it.each(golden.pairs)('of $a and $b is $cka', ({ a, b, cka }) => {
    for (const value of [linearCka(matrix(a), matrix(b)), linearCka(matrix(b), matrix(a))]) {
      if (cka === 'NaN') expect(value).toBeNaN();
      else expect(Math.abs(value - cka)).toBeLessThanOrEqual(1e-9);
    }
  });

  it('is NaN for a constant whose mean is rounded', () => {
    const constant = { values: Float32Array.from({ length: 30 }, () => 0.1), columns: 3 };
    const other = { values: Float32Array.from({ length: 10 }, (_, i) => i * i), columns: 1 };
    expect(linearCka(constant, other)).toBeNaN();
  });

  it('refuses different numbers of rows', () => {
    expect(() => linearCka({ values: [1, 2, 3, 4], columns: 2 }, { values: [1, 2, 3], columns: 1 })).toThrow(
      /compares the same rows/,
    );
  });
});
