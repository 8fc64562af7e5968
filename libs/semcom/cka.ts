// Linear centred kernel alignment: how alike two representations of the same tokens are, whatever their rotation and scale.

/** A row-major matrix: one row a token, one column a feature. */
export interface Matrix {
  /** [rows * columns] */
  values: ArrayLike<number>;
  columns: number;
}

/**
 * Linear CKA = |Y'X|^2 / (|X'X| |Y'Y|), Frobenius norms, columns centred (Kornblith et al., ICML 2019, equation 6); in [0, 1],
 * in double precision, NaN when one matrix is constant. Biased upwards unless there are many more rows than columns.
 * Throws RangeError when the two have different numbers of rows.
 */
export function linearCka(x: Matrix, y: Matrix): number {
  const rows = x.values.length / x.columns;
  if (!Number.isInteger(rows) || y.values.length !== rows * y.columns)
    throw new RangeError(
      `CKA compares the same rows: ${x.values.length} numbers in ${x.columns} columns and ${y.values.length} in ${y.columns} do not match.`,
    );
  const centredX = centred(x, rows);
  const centredY = centred(y, rows);
  const scale = Math.sqrt(crossSquare(centredX, centredX) * crossSquare(centredY, centredY));
  return scale === 0 ? Number.NaN : crossSquare(centredX, centredY) / scale;
}

/** Sums over rows that linear CKA needs, so that the rows themselves need not be kept; flat, row-major. */
export interface CkaSums {
  rows: number;
  /** [a], [b]: sums of the columns */
  x: Float64Array;
  y: Float64Array;
  /** [a * a], [b * b], [a * b]: X'X, Y'Y, X'Y, not centred */
  xx: Float64Array;
  yy: Float64Array;
  xy: Float64Array;
}

/** Sums of no rows yet, of representations with a and b columns. */
export function noCkaSums(a: number, b: number): CkaSums {
  return {
    rows: 0,
    x: new Float64Array(a),
    y: new Float64Array(b),
    xx: new Float64Array(a * a),
    yy: new Float64Array(b * b),
    xy: new Float64Array(a * b),
  };
}

/** linearCka of the rows that were summed; NaN when one side is constant up to rounding. */
export function ckaOfSums({ rows, x, y, xx, yy, xy }: CkaSums): number {
  const own = Math.sqrt(centredSquare(xx, x, x, rows) * centredSquare(yy, y, y, rows));
  return own === 0 ? Number.NaN : centredSquare(xy, x, y, rows) / own;
}

/** |A'B - a b' / n|^2, Frobenius; 0 where nothing but rounding is left of the product. */
function centredSquare(product: Float64Array, a: Float64Array, b: Float64Array, rows: number): number {
  let [square, whole] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      const value = product[i * b.length + j] as number;
      square += (value - ((a[i] as number) * (b[j] as number)) / rows) ** 2;
      whole += value ** 2;
    }
  }
  return square < 1e-12 * whole ? 0 : square;
}

/** The columns one after the other, each less its mean: [columns * rows]. */
function centred({ values, columns }: Matrix, rows: number): Float64Array[] {
  return Array.from({ length: columns }, (_, column) => {
    const result = new Float64Array(rows);
    let sum = 0;
    let isConstant = true;
    for (let row = 0; row < rows; row++) {
      const value = values[row * columns + column] as number;
      result[row] = value;
      sum += value;
      isConstant &&= value === values[column];
    }
    // The mean of equal numbers is rounded; what would be left must not pass for a feature.
    if (isConstant) return result.fill(0);
    const mean = sum / rows;
    return result.map((value) => value - mean);
  });
}

/** |A'B|^2, Frobenius. */
function crossSquare(a: Float64Array[], b: Float64Array[]): number {
  let square = 0;
  for (const columnA of a) {
    for (const columnB of b) {
      let product = 0;
      for (let row = 0; row < columnA.length; row++) product += (columnA[row] as number) * (columnB[row] as number);
      square += product * product;
    }
  }
  return square;
}
