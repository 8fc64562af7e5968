import { describe, expect, it } from 'vitest';
import { SentencePieces, sentenceSimilarities } from './index.js';

const RESERVED = ['<unk>', '<s>', '</s>', 'a1', 'a2', 'a3'].map((piece) => [piece, 0] as [string, number]);

describe('pieces of a text', () => {
  const pieces = new SentencePieces([
    ...RESERVED,
    ['▁the', -1], // 6
    ['▁', -3], // 7
    ['t', -4], // 8
    ['h', -4], // 9
    ['e', -4], // 10
    ['▁th', -2.5], // 11
    ['re', -2], // 12
    ['r', -4], // 13
  ]);

  it('are those whose log probabilities sum highest', () => {
    expect(pieces.encode('the')).toEqual([6]);
    // -1 (▁the) - 4 (r) - 4 (e) = -9 against -1 - 2 (re) = -3
    expect(pieces.encode('there')).toEqual([6, 12]);
    expect(pieces.encode('the re')).toEqual([6, 7, 12]);
    expect(pieces.encode('  the   the ')).toEqual([6, 6]);
  });

  it('are one unknown piece where several characters are not known, and none for nothing', () => {
    expect(pieces.encode('theξζr')).toEqual([6, 0, 13]);
    expect(pieces.encode('   ')).toEqual([]);
    expect(pieces.encode('<s>')).toEqual([7, 0]);
  });

  it('need a vocabulary', () => {
    expect(() => new SentencePieces(RESERVED)).toThrow('the vocabulary of pieces is empty');
    expect(() => new SentencePieces([['x', Number.NaN]])).toThrow('entry 0 of the vocabulary of pieces');
  });
});

describe('sentence similarity', () => {
  const vectors: Record<string, number[]> = { a: [1, 0], b: [0, 2], c: [1, 1], d: [-3, 0] };
  const calls: string[][] = [];
  const encode = async (texts: readonly string[]) => {
    calls.push([...texts]);
    return texts.map((text) => Float32Array.from(vectors[text] as number[]));
  };

  it('is the mean cosine, beside that of sentences half a list apart', async () => {
    const [same, other] = await sentenceSimilarities(
      encode,
      ['a', 'b'],
      [
        ['a', 'b'],
        ['c', ''],
      ],
    );
    expect(same).toEqual({ similarity: 1, floor: 0 });
    // cos(a, c) = cos(b, c) = 1/√2; what arrived empty counts 0
    expect(other?.similarity).toBeCloseTo(Math.SQRT1_2 / 2, 6);
    expect(other?.floor).toBeCloseTo(Math.SQRT1_2 / 2, 6);
    expect(calls).toEqual([['a', 'b', 'c']]);
    const [opposite] = await sentenceSimilarities(encode, ['a', 'd'], [['d', 'a']]);
    expect(opposite).toEqual({ similarity: -1, floor: 1 });
  });

  it('refuses lists that do not go together', async () => {
    await expect(sentenceSimilarities(encode, ['a'], [['a']])).rejects.toThrow('two or more sentences');
    await expect(sentenceSimilarities(encode, ['a', 'b'], [['a']])).rejects.toThrow('as many received as sent');
  });
});
