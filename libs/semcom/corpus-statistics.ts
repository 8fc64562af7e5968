// What token ids tell of a corpus: lengths, unknown words, and sentences that stand in it more than once.
import { UNK } from './tokens.js';

export interface TokenStatistics {
  /** START and END included */
  tokensPerSentence: { min: number; mean: number; max: number };
  /** Share of the tokens that are not UNK. */
  coverage: number;
  /** Ids from 4 up that no training sentence holds. */
  wordsUnseenInTraining: number;
  repeatedInTraining: number;
  testInTraining: number;
}

/** Statistics of two splits; every sentence is START, ids, END. */
export function tokenStatistics(
  splits: { train: readonly number[][]; test: readonly number[][] },
  vocabularySize: number,
): TokenStatistics {
  let [min, max, tokens, unknown, sentences] = [Number.POSITIVE_INFINITY, 0, 0, 0, 0];
  for (const split of [splits.train, splits.test]) {
    for (const ids of split) {
      sentences++;
      tokens += ids.length;
      min = Math.min(min, ids.length);
      max = Math.max(max, ids.length);
      for (const id of ids) if (id === UNK) unknown++;
    }
  }
  const seen = new Uint8Array(vocabularySize);
  const training = new Set<string>();
  for (const ids of splits.train) {
    training.add(ids.join());
    for (const id of ids) seen[id] = 1;
  }
  return {
    tokensPerSentence: { min: sentences > 0 ? min : 0, mean: sentences > 0 ? tokens / sentences : 0, max },
    coverage: tokens > 0 ? 1 - unknown / tokens : 1,
    wordsUnseenInTraining: seen.subarray(UNK + 1).reduce((count, flag) => count + 1 - flag, 0),
    repeatedInTraining: splits.train.length - training.size,
    testInTraining: splits.test.filter((ids) => training.has(ids.join())).length,
  };
}
