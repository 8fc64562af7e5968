import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildCorpus, CorpusError, type CorpusLimits, REFERENCE_LIMITS, splitSize } from './corpus.js';
import { splitLines } from './normalise.js';
import { UNK } from './tokens.js';

const golden = JSON.parse(readFileSync(new URL('../../test/golden/preprocess.json', import.meta.url), 'utf8')) as {
  corpus: {
    files: { name: string; text: string }[];
    vocab: { minCount: number; tokenToIdx: Record<string, number> }[];
    encoded: number[][];
    split: { train: number[][]; test: number[][] };
  };
  splitSizes: { rows: [number, number, number, number, number][] };
};

const lines = golden.corpus.files.filter((file) => file.name.endsWith('.txt')).flatMap((file) => splitLines(file.text));

describe('buildCorpus', () => {
  it('gives the ids and the split of the reference', () => {
    const corpus = buildCorpus(lines, REFERENCE_LIMITS);
    expect(corpus.vocabulary.words).toEqual(Object.keys(golden.corpus.vocab[0]?.tokenToIdx ?? {}));
    expect(corpus.train).toEqual(golden.corpus.split.train);
    expect(corpus.test).toEqual(golden.corpus.split.test);
    expect(corpus.counts).toEqual({
      lines: 16,
      inLength: 13,
      unique: 11,
      kept: 11,
      trainTokens: golden.corpus.split.train.flat().length,
      testTokens: 8,
      maxTokens: 13,
      unknownTokens: 0,
    });
  });

  it('turns rare words into UNK', () => {
    const corpus = buildCorpus(lines, { ...REFERENCE_LIMITS, minCount: 3 });
    expect(corpus.vocabulary.words).toEqual(Object.keys(golden.corpus.vocab[2]?.tokenToIdx ?? {}));
    const unknown = [...corpus.train, ...corpus.test].flat().filter((id) => id === UNK).length;
    expect(unknown).toBeGreaterThan(0);
    expect(corpus.counts.unknownTokens).toBe(unknown);
  });

  it('keeps only sentences wholly inside the commonest words, ties by code point', () => {
    const text = ['a a a a b', 'b b b c d', 'a b c a b', 'a b d a b', 'b a b a a', 'e a b a b'];
    const limits: CorpusLimits = { minWords: 5, maxWords: 5, minCount: 1, topWords: 3, trainShare: 0.5 };
    const corpus = buildCorpus(text, limits);
    // c and d both occur twice: c comes first
    expect(corpus.vocabulary.words.slice(4)).toEqual(['a', 'b', 'c']);
    expect([...corpus.train, ...corpus.test].map((ids) => corpus.vocabulary.decode(ids.slice(1)))).toEqual([
      'a a a a b',
      'a b c a b',
      'b a b a a',
    ]);
    expect(corpus.counts).toMatchObject({ lines: 6, unique: 6, kept: 3, unknownTokens: 0 });
    expect(corpus.train).toHaveLength(2);
  });

  it('never has an UNK with topWords, even where a kept word becomes rare', () => {
    const text = ['x a a a a', 'x q a a a', 'x r a a a', 'b a a a a', 'b b a a a'];
    const corpus = buildCorpus(text, { minWords: 5, maxWords: 5, minCount: 3, topWords: 10, trainShare: 0.5 });
    expect(corpus.vocabulary.words.slice(4)).toEqual(['a', 'b', 'x']);
    expect(corpus.counts).toMatchObject({ kept: 3, unknownTokens: 0 });
  });

  it('is safe against words that every object has', () => {
    const corpus = buildCorpus(['constructor proto constructor toString a', 'a b c d constructor'], {
      ...REFERENCE_LIMITS,
      trainShare: 0.5,
    });
    expect(corpus.vocabulary.words.slice(4)).toEqual(['a', 'b', 'c', 'constructor', 'd', 'proto', 'tostring']);
  });

  it('says what was found and asked when there is too little', () => {
    expect(() => buildCorpus([], REFERENCE_LIMITS)).toThrow(
      '0 lines gave 0 sentences of 5 to 29 words, 0 of them different: too few to give training (share 0.9) and test a sentence each. ' +
        'Give more text, one sentence a line, or widen the limits.',
    );
    expect(() => buildCorpus(['a b c d e', 'a b c d e', 'a b'], REFERENCE_LIMITS)).toThrow(CorpusError);
    expect(() => buildCorpus(lines, { ...REFERENCE_LIMITS, topWords: 2 })).toThrow(
      /16 lines gave 13 sentences .* 11 of them different and 0 inside the commonest 2 words: too few/,
    );
  });
});

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
