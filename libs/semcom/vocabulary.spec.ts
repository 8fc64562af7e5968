import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SPECIAL_WORDS, tokenize } from './tokens.js';
import {
  formatVocabulary,
  parseVocabulary,
  Vocabulary,
  VocabularyError,
  vocabularyDifferences,
  vocabularyOf,
} from './vocabulary.js';

const { corpus } = JSON.parse(readFileSync(new URL('../../test/golden/preprocess.json', import.meta.url), 'utf8')) as {
  corpus: {
    uniqueSentences: string[];
    tokenCounts: Record<string, number>;
    vocab: { minCount: number; tokenToIdx: Record<string, number> }[];
    encoded: number[][];
    text: { ids: number[]; text: string }[];
  };
};

const counts = new Map(Object.entries(corpus.tokenCounts));

/** vocab.json text of a small vocabulary, with changes. */
function vocabJson(map: string): string {
  return `{"token_to_idx": {${map}}}`;
}
const SPECIALS = '"<PAD>": 0, "<START>": 1, "<END>": 2, "<UNK>": 3';

function faultsOf(json: string): string[] {
  try {
    parseVocabulary(json);
  } catch (error) {
    if (error instanceof VocabularyError) return error.faults;
    throw error;
  }
  return [];
}

describe('Vocabulary', () => {
  it.each(corpus.vocab)('has the reference order and size for minimum count $minCount', ({ minCount, tokenToIdx }) => {
    const vocabulary = vocabularyOf(counts, minCount);
    expect(vocabulary.words).toEqual(Object.keys(tokenToIdx));
    expect(parseVocabulary(JSON.stringify({ token_to_idx: tokenToIdx })).words).toEqual(vocabulary.words);
    for (const [word, id] of Object.entries(tokenToIdx)) expect(vocabulary.id(word)).toBe(id);
  });

  it('encodes and decodes as the reference does', () => {
    const vocabulary = vocabularyOf(counts);
    expect(corpus.uniqueSentences.map((sentence) => vocabulary.encode(sentence))).toEqual(corpus.encoded);
    for (const { ids, text } of corpus.text) expect(vocabulary.decode(ids)).toBe(text);
    expect(vocabulary.decode(Int32Array.from([5, 6, 2, 7]))).toBe('! !great');
  });

  it('gives unknown words UNK and refuses ids beyond the last word', () => {
    const vocabulary = vocabularyOf(new Map([['a', 1]]));
    expect(vocabulary.encode('a zebra .')).toEqual([1, 4, 3, 3, 2]);
    expect(() => vocabulary.decode([5])).toThrow(/id 5 lies outside the vocabulary of 5 words/);
  });

  it('keeps words that are names of every object', () => {
    const words = ['constructor', '__proto__', 'toString', 'hasOwnProperty', '12', '7'];
    const vocabulary = vocabularyOf(new Map(words.map((word) => [word, 1])));
    const again = parseVocabulary(formatVocabulary(vocabulary));
    expect(again.words).toEqual(vocabulary.words);
    for (const word of words) expect(again.word(again.id(word))).toBe(word);
    expect(vocabularyOf(new Map()).has('constructor')).toBe(false);
    expect(vocabularyOf(new Map()).encode('constructor')).toEqual([1, 3, 2]);
  });

  it('sorts by code point, beyond 16 bits too', () => {
    const vocabulary = vocabularyOf(new Map(['\u{1d400}', '\uffe6', 'b', 'ab', 'a'].map((word) => [word, 1])));
    expect(vocabulary.words.slice(4)).toEqual(['a', 'ab', 'b', '\uffe6', '\u{1d400}']);
  });

  it('scores what is left of the text without tags and empty words', () => {
    const vocabulary = vocabularyOf(new Map(['', 'a', 'b'].map((word) => [word, 1])));
    const [empty, a, b] = [vocabulary.id(''), vocabulary.id('a'), vocabulary.id('b')] as const;
    expect(vocabulary.scoredIds([1, a, 0, 3, empty, b, empty, 2, a])).toEqual([a, b]);
    expect(vocabulary.scoredIds([2])).toEqual([]);
    expect(new Vocabulary(['<PAD>', '<START>', '<END>', '<UNK>', 'a']).scoredIds([4, 4])).toEqual([4, 4]);
  });
});

describe('vocab.json', () => {
  it('is written as the reference writes it', () => {
    expect(
      formatVocabulary(
        vocabularyOf(
          new Map([
            ['', 2],
            ['a"b', 1],
          ]),
        ),
      ),
    ).toBe('{"token_to_idx": {"<PAD>": 0, "<START>": 1, "<END>": 2, "<UNK>": 3, "": 4, "a\\"b": 5}}');
  });

  it('may list words in any order and have other keys beside the words', () => {
    const json = `{"note": {"a": {"token_to_idx": 0}}, "token_to_idx": {"a": 5, "token_to_idx": 4, ${SPECIALS}}, "more": [{"a": 1}]}`;
    expect(parseVocabulary(json).words.slice(4)).toEqual(['token_to_idx', 'a']);
  });

  it('reports all faults at once', () => {
    const faults = faultsOf(
      vocabJson('"<PAD>": 0, "<START>": 2, "<END>": 1, "a": 4, "b": 4, "c": 99, "d": -1, "e": 1.5, "f": "7", "a": 4'),
    );
    expect(faults).toEqual([
      'words listed more than once: "a"',
      'ids given to two words: 4 ("a", "b")',
      'ids beyond the 9 words listed: "c": 99',
      'ids that are no whole number from 0: "d": -1, "e": 1.5, "f": "7"',
      'special words with another id: <START> must be 1, not 2, <END> must be 2, not 1',
      'special words that are missing: <UNK>',
      'ids without a word: 3, 5, 6, 7, 8',
    ]);
  });

  it('names at most five examples of a fault', () => {
    const many = Array.from({ length: 20 }, (_, i) => `"w${i}": 4`).join(', ');
    expect(faultsOf(vocabJson(`${SPECIALS}, ${many}`))[0]).toMatch(/^ids given to two words: (.*, ){5}.* and 14 more$/);
  });

  it('refuses what is no vocabulary in one sentence', () => {
    expect(() => parseVocabulary('{"token_to_idx": ')).toThrow(/it is not JSON/);
    for (const json of ['[]', 'null', '{}', '{"token_to_idx": [1]}', '{"words": {}}', '3'])
      expect(() => parseVocabulary(json)).toThrow(/it has no object "token_to_idx"/);
    expect(faultsOf(vocabJson(''))).toEqual(['special words that are missing: <PAD>, <START>, <END>, <UNK>']);
  });

  it('does not take __proto__ for the map', () => {
    expect(() => parseVocabulary('{"__proto__": {"token_to_idx": {}}}')).toThrow(/it has no object/);
  });
});

describe('tokenize', () => {
  it('leaves an empty word for a full stop and a space before commas', () => {
    expect(tokenize('why ? because .')).toEqual(['why', '', 'because', '']);
    expect(tokenize('a, b;')).toEqual(['a', ',', 'b', ';']);
  });
});

describe('vocabularyDifferences', () => {
  const names = { file: 'vocab.json', corpus: "corpus 'tiny'" };
  const of = (...words: string[]) => new Vocabulary([...SPECIAL_WORDS, ...words]);

  it('equal vocabularies have none', () => {
    expect(vocabularyDifferences(of('a', 'b'), of('a', 'b'), names)).toEqual([]);
  });

  it('shows sizes and the first ids that differ', () => {
    expect(vocabularyDifferences(of('a', 'c'), of('a', 'b', 'c'), names)).toEqual([
      "vocab.json has 6 words, corpus 'tiny' has 7",
      'id 5 is "c" in vocab.json, "b" in corpus \'tiny\'',
      'id 6 is nothing in vocab.json, "c" in corpus \'tiny\'',
    ]);
  });
});
