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
