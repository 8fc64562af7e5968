import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hash32, isTrainedOn, splitOf, splitSize } from './split.js';

const golden = JSON.parse(readFileSync(new URL('../../test/golden/preprocess.json', import.meta.url), 'utf8')) as {
  splitSizes: { rows: [number, number, number, number, number][] };
};

describe('splitSize', () => {
  it('rounds as Python does, halves to the even neighbour', () => {
    for (const [sentences, train, test, ofTrain, rest] of golden.splitSizes.rows) {
      expect([sentences, splitSize(sentences, 0.9)]).toEqual([sentences, train]);
      expect(sentences - splitSize(sentences, 0.9)).toBe(test);
      expect(splitSize(train, 0.8)).toBe(ofTrain);
      expect(train - splitSize(train, 0.8)).toBe(rest);
    }
    expect([1, 3, 5, 7].map((n) => splitSize(n, 0.5))).toEqual([0, 2, 2, 4]);
  });
});

describe('splitOf', () => {
  it('by order the first ones train', () => {
    expect(splitOf(['a', 'b', 'c', 'd'], 'order', 0.5)).toEqual([true, true, false, false]);
  });

  it('by hash the tokens decide: what they leave out changes nothing', () => {
    for (const sentence of ['we meet today', 'the floor is yours', 'thank you'])
      expect(isTrainedOn(`${sentence} .`, 0.5)).toBe(isTrainedOn(`${sentence} ?`, 0.5));
  });

  it('by hash a larger share only moves sentences into training, and shares are met', () => {
    const sentences = Array.from({ length: 20_000 }, (_, i) => `sentence ${i.toString(36)}`);
    const [half, most] = [splitOf(sentences, 'hash', 0.5), splitOf(sentences, 'hash', 0.9)];
    expect(half.every((trains, i) => !trains || most[i])).toBe(true);
    // four standard deviations
    expect(Math.abs(half.filter(Boolean).length - 10_000)).toBeLessThan(4 * Math.sqrt(5_000));
    expect(Math.abs(most.filter(Boolean).length - 18_000)).toBeLessThan(4 * Math.sqrt(1_800));
  });
});

// Numbers of another implementation; stored corpora were split by them.
it('the hash is what it always was', () => {
  expect(['', 'a', 'we send words'].map(hash32)).toEqual([2_872_998_923, 444_641_715, 3_120_070_104]);
});
