// Which sentences a slice keeps: by hash, by common words, by length.
import { describe, expect, it } from 'vitest';
import { sliceOf } from './data-slice.js';
import { RandomStream } from './philox.js';
import { isTrainedOn } from './split.js';

const stream = new RandomStream(1, 'sentences');
const many = Array.from({ length: 4000 }, () => [
  1,
  ...Array.from({ length: 3 + stream.integer(8) }, () => 4 + stream.integer(40)),
  2,
]);

describe('sliceOf', () => {
  it('without a rule keeps every sentence, in its order', () => {
    expect(sliceOf(many, {})).toEqual(many);
    expect(sliceOf(many, { share: 1 })).toEqual(many);
  });

  it('by share keeps about so many, and a larger share all of a smaller one', () => {
    let inside = new Set<number[]>();
    for (const share of [0.05, 0.25, 0.5, 0.9]) {
      const kept = new Set(sliceOf(many, { share }));
      expect(Math.abs(kept.size / many.length - share)).toBeLessThan(0.025);
      for (const sentence of inside) expect(kept.has(sentence)).toBe(true);
      inside = kept;
    }
  });

  it('by share depends on what a sentence says alone: other sentences and their order change nothing', () => {
    const backward = [...many].reverse();
    expect(new Set(sliceOf(backward, { share: 0.3 }))).toEqual(new Set(sliceOf(many, { share: 0.3 })));
    const some = many.slice(0, 100);
    expect(sliceOf(some, { share: 0.3 })).toEqual(sliceOf(many, { share: 0.3 }).filter((one) => some.includes(one)));
  });

  it('by share is even over a training part that was itself chosen by a hash of the words', () => {
    const trained = many.filter((ids) => isTrainedOn(ids.join(' '), 0.5));
    expect(sliceOf(trained, { share: 0.5 }).length / trained.length).toBeCloseTo(0.5, 1);
  });

  it('by words keeps sentences wholly inside the commonest, unknown words left out, equal counts by id', () => {
    const sentences = [
      [1, 5, 5, 6, 2],
      [1, 5, 6, 7, 2],
      [1, 7, 5, 2],
      [1, 5, 3, 2],
    ];
    // 5 stands five times, 6 and 7 twice each.
    expect(sliceOf(sentences, { topWords: 1 })).toEqual([]);
    expect(sliceOf(sentences, { topWords: 2 })).toEqual([[1, 5, 5, 6, 2]]);
    expect(sliceOf(sentences, { topWords: 3 })).toEqual(sentences.slice(0, 3));
  });

  it('by length counts the words between START and END, both ends included', () => {
    const sentences = [3, 4, 5, 6].map((words) => [1, ...new Array<number>(words).fill(9), 2]);
    expect(sliceOf(sentences, { words: [4, 5] })).toEqual(sentences.slice(1, 3));
  });

  it('takes the commonest words of all sentences, whatever the other rules leave', () => {
    const sentences = [
      [1, 8, 8, 8, 8, 2],
      [1, 9, 2],
      [1, 8, 2],
    ];
    expect(sliceOf(sentences, { topWords: 1, words: [1, 2] })).toEqual([[1, 8, 2]]);
  });
});
