// Lines of text to a corpus: kept sentences, vocabulary, token ids, and the cut into training and test. The same lines and
// limits give the same corpus.
import { sentenceOf } from './normalise.js';
import { tokenize, UNK } from './tokens.js';
import { byCodePoint, type Vocabulary, vocabularyOf } from './vocabulary.js';

export interface CorpusLimits {
  /** Fewest and most words of a sentence, both inclusive; '.', '!' and '?' count as words. */
  minWords: number;
  maxWords: number;
  /** Words seen less often become UNK; with `topWords` sentences that hold them are left out. */
  minCount: number;
  /** When set, only sentences wholly inside the commonest `topWords` words (tokens) are kept, so none has an UNK. */
  topWords?: number;
  /** Share of the sentences, in the order of the lines, that go to training. */
  trainShare: number;
}

/** The reference's own limits. */
export const REFERENCE_LIMITS: CorpusLimits = { minWords: 5, maxWords: 29, minCount: 1, trainShare: 0.9 };

export interface CorpusCounts {
  lines: number;
  /** lines whose length in words is right, repetitions included */
  inLength: number;
  /** different sentences among them */
  unique: number;
  /** those wholly inside the commonest words; equal to `unique` without `topWords` */
  kept: number;
  /** tokens, START and END included */
  trainTokens: number;
  testTokens: number;
  /** longest sentence in tokens, START and END included */
  maxTokens: number;
  /** tokens that became UNK */
  unknownTokens: number;
}

export interface Corpus {
  vocabulary: Vocabulary;
  /** ids of each sentence, START and END included, in the order of the lines */
  train: number[][];
  test: number[][];
  counts: CorpusCounts;
}

/** Text from which no corpus can be made; the message says what was found and what was asked. */
export class CorpusError extends Error {
  override readonly name = 'CorpusError';
}

/** More sentences than this fit neither a set nor the trainer's memory. */
const MAX_SENTENCES = 4_000_000;

/**
 * The reference's pipeline over raw lines: normalise, keep by length, drop repetitions, count words, encode, split in order.
 * Throws CorpusError when training or test would be empty.
 */
export function buildCorpus(lines: Iterable<string>, limits: CorpusLimits): Corpus {
  const builder = new CorpusBuilder(limits);
  for (const line of lines) builder.add(line);
  return builder.finish();
}

/** `buildCorpus` line by line, for a text that does not fit memory; what is held are the different sentences. */
export class CorpusBuilder {
  private readonly unique = new Set<string>();
  private readonly counts: CorpusCounts = {
    lines: 0,
    inLength: 0,
    unique: 0,
    kept: 0,
    trainTokens: 0,
    testTokens: 0,
    maxTokens: 0,
    unknownTokens: 0,
  };

  constructor(private readonly limits: CorpusLimits) {}

  /** Throws CorpusError when there are more sentences than can be trained on. */
  add(line: string): void {
    this.counts.lines++;
    const sentence = sentenceOf(line, this.limits);
    if (sentence === undefined) return;
    this.counts.inLength++;
    this.unique.add(sentence);
    if (this.unique.size > MAX_SENTENCES) {
      throw new CorpusError(
        `The text has more than ${MAX_SENTENCES} different sentences after ${this.counts.lines} lines: send a part of it, or narrow minWords and maxWords.`,
      );
    }
  }

  /** The corpus of all lines so far. Throws CorpusError when training or test would be empty. */
  finish(): Corpus {
    const { counts, limits } = this;
    counts.unique = this.unique.size;
    let sentences = [...this.unique];
    let wordCounts = countWords(sentences);
    if (limits.topWords !== undefined) {
      const common = commonestWords(wordCounts, limits.topWords, limits.minCount);
      sentences = sentences.filter((sentence) => tokenize(sentence).every((word) => common.has(word)));
      wordCounts = countWords(sentences);
    }
    counts.kept = sentences.length;
    const trainSize = splitSize(sentences.length, limits.trainShare);
    if (trainSize === 0 || trainSize === sentences.length) throw new CorpusError(tooFew(counts, limits));

    // With topWords every remaining word is common in the whole text, however rare it is among the sentences kept.
    const vocabulary = vocabularyOf(wordCounts, limits.topWords === undefined ? limits.minCount : 1);
    const encoded = sentences.map((sentence) => vocabulary.encode(sentence));
    encoded.forEach((ids, i) => {
      if (i < trainSize) counts.trainTokens += ids.length;
      else counts.testTokens += ids.length;
      counts.maxTokens = Math.max(counts.maxTokens, ids.length);
      for (const id of ids) if (id === UNK) counts.unknownTokens++;
    });
    return { vocabulary, train: encoded.slice(0, trainSize), test: encoded.slice(trainSize), counts };
  }
}

/** How many of `sentences` go to training: Python's round(sentences * share), halves to the even neighbour. */
export function splitSize(sentences: number, share: number): number {
  const exact = sentences * share;
  const floor = Math.floor(exact);
  const rest = exact - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function countWords(sentences: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const sentence of sentences)
    for (const word of tokenize(sentence)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** The commonest words, ties by code point. */
function commonestWords(counts: ReadonlyMap<string, number>, size: number, minCount: number): Set<string> {
  const eligible = [...counts].filter(([, count]) => count >= minCount);
  eligible.sort(([wordA, a], [wordB, b]) => b - a || byCodePoint(wordA, wordB));
  return new Set(eligible.slice(0, size).map(([word]) => word));
}

function tooFew(counts: CorpusCounts, limits: CorpusLimits): string {
  const found =
    `${counts.lines} lines gave ${counts.inLength} sentences of ${limits.minWords} to ${limits.maxWords} words, ` +
    `${counts.unique} of them different`;
  const inside =
    limits.topWords === undefined ? '' : ` and ${counts.kept} inside the commonest ${limits.topWords} words`;
  return (
    `${found}${inside}: too few to give training (share ${limits.trainShare}) and test a sentence each. ` +
    'Give more text, one sentence a line, or widen the limits.'
  );
}
