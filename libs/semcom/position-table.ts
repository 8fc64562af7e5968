// The reference's position table: a buffer of its state_dict and no parameter, so it is computed wherever it is needed.

/** pe[t, 2i] = sin(t r_i), pe[t, 2i+1] = cos(t r_i), r_i = exp(-2i ln(10000) / d); [tokens, d], as the reference. */
export function positionTable(tokens: number, dModel: number): Float32Array {
  const table = new Float32Array(tokens * dModel);
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < dModel; i += 2) {
      const angle = t * Math.exp(-i * (Math.log(10000) / dModel));
      table[t * dModel + i] = Math.sin(angle);
      if (i + 1 < dModel) table[t * dModel + i + 1] = Math.cos(angle);
    }
  }
  return table;
}
