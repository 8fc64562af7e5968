import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ckaOfSums, linearCka, type Matrix, noCkaSums } from './cka.js';

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

describe('ckaOfSums', () => {
  /** Sums of rows that come in two batches, as a measurement adds them. */
  function summed(x: Matrix, y: Matrix) {
    const sums = noCkaSums(x.columns, y.columns);
    const rows = x.values.length / x.columns;
    for (let row = 0; row < rows; row++) {
      sums.rows += 1;
      for (let i = 0; i < x.columns; i++) {
        const own = x.values[row * x.columns + i] as number;
        sums.x[i] = (sums.x[i] as number) + own;
        for (let j = 0; j < x.columns; j++)
          sums.xx[i * x.columns + j] =
            (sums.xx[i * x.columns + j] as number) + own * (x.values[row * x.columns + j] as number);
        for (let j = 0; j < y.columns; j++)
          sums.xy[i * y.columns + j] =
            (sums.xy[i * y.columns + j] as number) + own * (y.values[row * y.columns + j] as number);
      }
      for (let i = 0; i < y.columns; i++) {
        const own = y.values[row * y.columns + i] as number;
        sums.y[i] = (sums.y[i] as number) + own;
        for (let j = 0; j < y.columns; j++)
          sums.yy[i * y.columns + j] =
            (sums.yy[i * y.columns + j] as number) + own * (y.values[row * y.columns + j] as number);
      }
    }
    return ckaOfSums(sums);
  }

  it.each(golden.pairs)('of $a and $b is $cka', ({ a, b, cka }) => {
    const value = summed(matrix(a), matrix(b));
    if (cka === 'NaN') expect(value).toBeNaN();
    else expect(Math.abs(value - cka)).toBeLessThanOrEqual(1e-9);
  });
});
