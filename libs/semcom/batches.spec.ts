import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { collate, longestFirst, planEpoch } from './batches.js';
import { RandomStream } from './philox.js';

const { corpus } = JSON.parse(readFileSync(new URL('../../test/golden/preprocess.json', import.meta.url), 'utf8')) as {
  corpus: { encoded: number[][]; collated: number[][] };
};

/** Lengths like those of sentences: 7 to 31. */
function someLengths(n: number): Int32Array {
  const stream = new RandomStream(1, 'lengths');
  return Int32Array.from({ length: n }, () => 7 + stream.integer(25));
}

function padShare(lengths: Int32Array, batches: Int32Array[]): number {
  let [cells, tokens] = [0, 0];
  for (const batch of batches) {
    const sizes = [...batch].map((i) => lengths[i] as number);
    cells += Math.max(...sizes) * sizes.length;
    tokens += sizes.reduce((sum, size) => sum + size, 0);
  }
  return 1 - tokens / cells;
}

describe('planEpoch', () => {
  const lengths = someLengths(10_007);
  const plan = (seed: number, options: { sentences?: number; buckets: boolean; batchSize?: number }) =>
    planEpoch({ lengths, batchSize: 64, stream: new RandomStream(seed, 'order'), ...options });

  it.each([true, false])('holds each sentence exactly once (buckets: %s)', (buckets) => {
    const batches = plan(1, { buckets });
    const all = batches.flatMap((batch) => [...batch]);
    expect(all.sort((a, b) => a - b)).toEqual(Array.from(lengths, (_, i) => i));
    expect(batches).toHaveLength(157);
    expect(batches.filter((batch) => batch.length !== 64).map((batch) => batch.length)).toEqual([10_007 % 64]);
  });

  it.each([true, false])('takes the first of one shuffled order (buckets: %s)', (buckets) => {
    const order = new RandomStream(1, 'order').shuffle(lengths.length);
    const taken = plan(1, { buckets, sentences: 1000 }).flatMap((batch) => [...batch]);
    expect(new Set(taken)).toEqual(new Set(order.subarray(0, 1000)));
    expect(taken).toHaveLength(1000);
  });

  it('is a pure function of the stream', () => {
    expect(plan(7, { buckets: true })).toEqual(plan(7, { buckets: true }));
    expect(plan(7, { buckets: true })).not.toEqual(plan(8, { buckets: true }));
  });

  it('pads little with buckets, and much without', () => {
    expect(padShare(lengths, plan(1, { buckets: true }))).toBeLessThan(0.03);
    expect(padShare(lengths, plan(1, { buckets: false }))).toBeGreaterThan(0.3);
  });

  it('does not run through the lengths in order', () => {
    const firsts = plan(1, { buckets: true }).map((batch) => lengths[batch[0] as number] as number);
    const rising = firsts.filter((length, i) => i > 0 && length >= (firsts[i - 1] as number)).length;
    expect(rising / firsts.length).toBeGreaterThan(0.35);
    expect(rising / firsts.length).toBeLessThan(0.7);
  });

  it('copes with fewer sentences than a batch, than asked, and with none', () => {
    expect(plan(1, { buckets: true, sentences: 5 }).map((batch) => batch.length)).toEqual([5]);
    expect(
      planEpoch({ lengths: [3, 4], batchSize: 1, sentences: 9, stream: new RandomStream(1, 'x'), buckets: true }),
    ).toHaveLength(2);
    expect(planEpoch({ lengths: [], batchSize: 4, stream: new RandomStream(1, 'x'), buckets: true })).toEqual([]);
    expect(() => plan(1, { buckets: true, batchSize: 0 })).toThrow(/at least 1 sentence/);
  });

  it('gives the short batch no fixed length of sentence', () => {
    const small = someLengths(70);
    const meanOfShort = Array.from({ length: 40 }, (_, seed) => {
      const batches = planEpoch({ lengths: small, batchSize: 8, stream: new RandomStream(seed, 'x'), buckets: true });
      const short = batches.find((batch) => batch.length === 6) ?? new Int32Array();
      return [...short].reduce((sum, i) => sum + (small[i] as number), 0) / short.length;
    });
    expect(Math.min(...meanOfShort)).toBeLessThan(12);
    expect(Math.max(...meanOfShort)).toBeGreaterThan(26);
  });
});

describe('collate', () => {
  it('equals the reference with the longest first', () => {
    const lengths = corpus.encoded.map((row) => row.length);
    const order = longestFirst(lengths, [...lengths.keys()]);
    const batch = collate(corpus.encoded, order);
    expect([batch.size, batch.tokens]).toEqual([11, 13]);
    expect([...batch.ids]).toEqual(corpus.collated.flat());
  });

  it('keeps the order asked for, and pads to the least length with the id asked for', () => {
    const batch = collate([[1, 2], [3], [4, 5, 6]], [1, 0], { pad: 9, minLength: 3 });
    expect(batch).toEqual({ ids: Int32Array.from([3, 9, 9, 1, 2, 9]), size: 2, tokens: 3 });
    expect(() => collate([[1]], [1])).toThrow(/Sentence 1 lies outside the corpus of 1/);
  });
});
