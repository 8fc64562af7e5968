// Token ids out of a generator, for machines without the peers' data: as many sentences of each length as the peers' Europarl
// training split has, and its vocabulary sizes. Speed depends on these alone, not on which words they are.

/** Sentences of 7, 8, … 31 tokens, START and END included. */
const SENTENCES_BY_LENGTH = [
  1667, 1867, 1811, 1830, 1863, 1886, 1887, 1876, 1917, 1977, 2099, 2148, 2293, 2395, 2547, 2741, 2935, 3119, 3169,
  3457, 3650, 3937, 4093, 4350, 4606,
];
const SHORTEST = 7;

export const VOCABULARY_SIZES = { full: 22_234, small: 4_019 };

/** The length of each sentence, in an order that mixes them as a corpus does. */
export function generatedLengths() {
  const sorted = SENTENCES_BY_LENGTH.flatMap((count, i) => new Array(count).fill(SHORTEST + i));
  // A stride that has no divisor in common with the count visits every place once.
  const stride = 25_867;
  return sorted.map((_, i) => sorted[(i * stride) % sorted.length]);
}

/** Sentences of these lengths: START, words, END. */
export function generatedSentences(vocabularySize) {
  let state = 1;
  const word = () => {
    // Park and Miller's generator: the same words on every machine.
    state = (state * 48_271) % 2_147_483_647;
    return 4 + (state % (vocabularySize - 4));
  };
  return generatedLengths().map((length) => [1, ...Array.from({ length: length - 2 }, word), 2]);
}
