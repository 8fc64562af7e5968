// The reference's position table, which is a buffer of its state_dict and no parameter: stored nowhere here, written into
// exports so that load_state_dict(strict=True) finds it, and compared with what imported files hold.

/** pe[t, 2i] = sin(t r_i), pe[t, 2i+1] = cos(t r_i), r_i = exp(-2i ln(10000) / width); one value of it. */
export function positionAt(row: number, column: number, width: number): number {
  const angle = row * Math.exp((-(column - (column % 2)) * Math.log(10_000)) / width);
  return column % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
}

/** [1, rows, width] */
export function positionTable(rows: number, width: number): Float32Array {
  return Float32Array.from({ length: rows * width }, (_, i) => positionAt(Math.floor(i / width), i % width, width));
}
