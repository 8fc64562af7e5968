// Words for "there is no such" sentences.

/** Distinct names in quotes, or 'none yet'. */
export function namesOrNone(names: string[]): string {
  const distinct = [...new Set(names)].sort();
  return distinct.length === 0 ? 'none yet' : distinct.map((name) => JSON.stringify(name)).join(', ');
}
