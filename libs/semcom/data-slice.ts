// The part of the training sentences that a student sees: a pure function of the sentences and the slice. Knows nothing of validation
// and test sentences, which no slice touches, so that students of different slices are measured alike.
import { hash32 } from './split.js';
import { UNK } from './tokens.js';

/** What a sentence must be to stay; each absent rule keeps all. */
export interface DataSlice {
  /** Share of the sentences, by a hash of their ids. A larger share holds every sentence of a smaller one. */
  share?: number | undefined;
  /** All words among so many commonest of all training sentences (of equal counts the lower id); no unknown word. */
  topWords?: number | undefined;
  /** Words between START and END, both ends included. */
  words?: readonly [number, number] | undefined;
}

/** The sentences of the slice, in their order. Sentences are ids with START and END around them. */
export function sliceOf(sentences: readonly number[][], { share = 1, topWords, words }: DataSlice): number[][] {
  const known = topWords === undefined ? null : commonest(sentences, topWords);
  const [fewest, most] = words ?? [0, Number.POSITIVE_INFINITY];
  return sentences.filter((ids) => {
    const count = ids.length - 2;
    if (count < fewest || count > most) return false;
    if (known && !ids.slice(1, -1).every((id) => known.has(id))) return false;
    // Not the hash that parts training from test: below its share all training sentences lie anyway.
    return share === 1 || hash32(`slice ${ids.join(' ')}`) < share * 2 ** 32;
  });
}

function commonest(sentences: readonly number[][], most: number): Set<number> {
  const counts = new Map<number, number>();
  for (const ids of sentences)
    for (const id of ids.slice(1, -1)) if (id !== UNK) counts.set(id, (counts.get(id) ?? 0) + 1);
  const ranked = [...counts].sort(([a, m], [b, n]) => n - m || a - b);
  return new Set(ranked.slice(0, most).map(([id]) => id));
}
