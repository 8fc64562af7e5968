import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildCorpus, CorpusError, type CorpusLimits, REFERENCE_LIMITS } from './corpus.js';
import { tokenStatistics } from './corpus-statistics.js';
import { splitLines } from './normalise.js';
import { UNK } from './tokens.js';

const golden = JSON.parse(readFileSync(new URL('../../test/golden/preprocess.json', import.meta.url), 'utf8')) as {
  corpus: {
    files: { name: string; text: string }[];
    vocab: { minCount: number; tokenToIdx: Record<string, number> }[];
    encoded: number[][];
    split: { train: number[][]; test: number[][] };
  };
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

describe('split by hash', () => {
  const words = ['we', 'send', 'words', 'through', 'noise', 'and', 'they', 'arrive', 'most', 'days'];
  const sentence = (n: number) => Array.from({ length: 6 }, (_, i) => words[Math.floor(n / 10 ** i) % 10]).join(' ');
  const text = Array.from({ length: 2000 }, (_, i) => sentence((i * 7919) % 1_000_000));
  const byHash: CorpusLimits = { ...REFERENCE_LIMITS, split: 'hash' };
  const said = (limits: CorpusLimits, lines: string[]) => {
    const { train, test, vocabulary, counts } = buildCorpus(lines, limits);
    const inWords = (split: number[][]) => split.map((ids) => vocabulary.decode(ids.slice(1)));
    return {
      train: inWords(train),
      test: inWords(test),
      counts,
      statistics: tokenStatistics({ train, test }, vocabulary.size),
    };
  };

  it('more text, in any order, moves no sentence; the order of the lines stays', () => {
    const all = said(byHash, text);
    const some = said(byHash, text.slice(0, 700));
    expect(all.train.slice(0, some.train.length)).toEqual(some.train);
    expect(all.test.slice(0, some.test.length)).toEqual(some.test);
    const turned = said(byHash, [...text].reverse());
    expect(new Set(turned.test)).toEqual(new Set(all.test));
    expect(all.train.length + all.test.length).toBe(new Set(text).size);
    expect(all.train.length / all.counts.kept).toBeGreaterThan(0.87);
    expect(all.train.length / all.counts.kept).toBeLessThan(0.93);
  });

  it('what gives equal tokens stands on one side, where order puts it on both', () => {
    const twice = [...text.map((line) => `${line} .`), ...text.map((line) => `${line} ?`)];
    expect(said(byHash, twice).statistics).toMatchObject({ testInTraining: 0 });
    expect(said(byHash, twice).counts.testLeftOut).toBe(0);
    expect(said(REFERENCE_LIMITS, twice).statistics.testInTraining).toBeGreaterThan(100);
  });

  it('test sentences that training has but for unknown words are left out and counted', () => {
    const names = Array.from({ length: 500 }, (_, i) => String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26)));
    const rare = names.map((name) => `mister ${name}zq has the floor`);
    const { statistics, counts, train, test } = said({ ...byHash, minCount: 2 }, [...rare, ...text]);
    expect(statistics).toMatchObject({ testInTraining: 0 });
    expect(counts.testLeftOut).toBeGreaterThan(20);
    expect(train.length + test.length).toBe(counts.kept - (counts.testLeftOut ?? 0));
  });

  it('says that a split by order is left when the hash leaves a side empty', () => {
    expect(() => buildCorpus(['a b c d e'], byHash)).toThrow(/widen the limits, or split by order\.$/);
  });
});
