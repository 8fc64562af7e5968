import { expect, it } from 'vitest';
import { tokenStatistics } from './corpus-statistics.js';

it('counts lengths, unknown words, unseen words and repetitions of a hand-made corpus', () => {
  const train = [
    [1, 4, 5, 2],
    [1, 4, 5, 2],
    [1, 3, 2],
  ];
  const test = [
    [1, 4, 5, 2],
    [1, 6, 4, 4, 2],
  ];
  expect(tokenStatistics({ train, test }, 8)).toEqual({
    tokensPerSentence: { min: 3, mean: 4, max: 5 },
    coverage: 0.95,
    wordsUnseenInTraining: 2,
    repeatedInTraining: 1,
    testInTraining: 1,
  });
});
