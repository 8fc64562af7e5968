// Lines of text to a corpus: kept sentences, vocabulary, token ids, and the cut into training and test. The same lines and
// limits give the same corpus.
import { sentenceOf } from './normalise.js';
import { type Split, splitOf } from './split.js';
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
  /** Share of the sentences that go to training. */
  trainShare: number;
  /** Which ones; absent: by order, the reference's own rule. */
  split?: Split;
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
  /** Split by hash: test sentences left out because a training sentence differs from them in UNK words only. */
  testLeftOut?: number;
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
 * The reference's pipeline over raw lines: normalise, keep by length, drop repetitions, count words, encode, split.
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

  /** The corpus of all lines; to be called once, for the text is let go on the way. Throws CorpusError when training or test would be empty. */
  finish(): Corpus {
    const { counts, limits } = this;
    counts.unique = this.unique.size;
    let sentences = [...this.unique];
    this.unique.clear();
    let wordCounts = countWords(sentences);
    if (limits.topWords !== undefined) {
      const common = commonestWords(wordCounts, limits.topWords, limits.minCount);
      sentences = sentences.filter((sentence) => tokenize(sentence).every((word) => common.has(word)));
      wordCounts = countWords(sentences);
    }
    counts.kept = sentences.length;
    const trains = splitOf(sentences, limits.split ?? 'order', limits.trainShare);
    if (!trains.includes(true) || !trains.includes(false)) throw new CorpusError(tooFew(counts, limits));

    // With topWords every remaining word is common in the whole text, however rare it is among the sentences kept.
    const vocabulary = vocabularyOf(wordCounts, limits.topWords === undefined ? limits.minCount : 1);
    const train: number[][] = [];
    let test: number[][] = [];
    sentences.forEach((sentence, place) => {
      (trains[place] ? train : test).push(vocabulary.encode(sentence));
      // Millions of sentences as text and as ids are not needed at once.
      sentences[place] = '';
    });
    if (limits.split === 'hash') {
      const whole = test.length;
      test = withoutThoseOf(train, test);
      if (test.length === 0) throw new CorpusError(tooFew(counts, limits));
      counts.testLeftOut = whole - test.length;
    }
    counts.trainTokens = train.reduce((sum, ids) => sum + ids.length, 0);
    counts.testTokens = test.reduce((sum, ids) => sum + ids.length, 0);
    for (const split of [train, test]) {
      for (const ids of split) {
        counts.maxTokens = Math.max(counts.maxTokens, ids.length);
        for (const id of ids) if (id === UNK) counts.unknownTokens++;
      }
    }
    return { vocabulary, train, test, counts };
  }
}

/** Test sentences whose ids no training sentence has; the hash keeps equal words apart, so only UNK makes two alike. */
function withoutThoseOf(train: readonly number[][], test: number[][]): number[][] {
  const suspects = new Set(test.filter((ids) => ids.includes(UNK)).map((ids) => ids.join()));
  if (suspects.size === 0) return test;
  const shared = new Set(
    train
      .filter((ids) => ids.includes(UNK))
      .map((ids) => ids.join())
      .filter((ids) => suspects.has(ids)),
  );
  return test.filter((ids) => !shared.has(ids.join()));
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
  const advice = limits.split === 'hash' ? 'widen the limits, or split by order' : 'or widen the limits';
  return (
    `${found}${inside}: too few to give training (share ${limits.trainShare}) and test a sentence each. ` +
    `Give more text, one sentence a line, ${advice}.`
  );
}
