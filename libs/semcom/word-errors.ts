// How many words of a sentence did not arrive as they were sent.

/** Levenshtein distance on tokens: the fewest substitutions, insertions and deletions that turn one into the other. */
export function wordErrors(reference: ArrayLike<number | string>, hypothesis: ArrayLike<number | string>): number {
  let above = Int32Array.from({ length: hypothesis.length + 1 }, (_, j) => j);
  let row = new Int32Array(hypothesis.length + 1);
  for (let i = 1; i <= reference.length; i++) {
    row[0] = i;
    for (let j = 1; j <= hypothesis.length; j++) {
      const substituted = (above[j - 1] as number) + (reference[i - 1] === hypothesis[j - 1] ? 0 : 1);
      row[j] = Math.min(substituted, (above[j] as number) + 1, (row[j - 1] as number) + 1);
    }
    [above, row] = [row, above];
  }
  return above[hypothesis.length] as number;
}
