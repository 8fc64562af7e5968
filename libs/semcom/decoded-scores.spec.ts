import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Calibration } from './calibration.js';
import { decodedScores, SENTENCE_SCORES } from './decoded-scores.js';
import { wordErrors } from './word-errors.js';

// Scores of decoded sentences against nltk, and what nltk does not have by hand.

type Scores = Record<string, number>;
const golden = JSON.parse(readFileSync(new URL('../../test/golden/metrics.json', import.meta.url), 'utf8')) as {
  sentenceBleu: { reference: string; hypothesis: string; scores: { none: Scores } }[];
  corpusBleu: { name: string; count: number; none: Scores; meanSentence: Scores }[];
};

const numbers = new Map<string, number>();
const ids = (text: string) =>
  text
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => {
      if (!numbers.has(word)) numbers.set(word, numbers.size);
      return numbers.get(word) as number;
    });
const pairs = golden.sentenceBleu.map(({ reference, hypothesis, scores }) => ({
  reference: ids(reference),
  hypothesis: ids(hypothesis),
  scores: scores.none,
}));

describe('decodedScores', () => {
  it('gives nltk’s individual and cumulative BLEU of every golden sentence', () => {
    for (const { reference, hypothesis, scores: wanted } of pairs) {
      const { scores, sentences } = decodedScores([reference], [hypothesis]);
      for (const order of [2, 3, 4] as const) {
        expect(Math.abs(scores[`bleu${order}`] - (wanted[`individual${order}`] as number))).toBeLessThan(1e-9);
        expect(Math.abs(scores[`cumulativeBleu${order}`] - (wanted[`cumulative${order}`] as number))).toBeLessThan(
          1e-9,
        );
      }
      expect(Math.abs(scores.bleu1 - (wanted.individual1 as number))).toBeLessThan(1e-9);
      expect(Math.abs(scores.corpusBleu - (wanted.cumulative4 as number))).toBeLessThan(1e-9);
      for (const score of SENTENCE_SCORES) if (score !== 'wordErrors') expect(sentences[score][0]).toBe(scores[score]);
      expect(sentences.wordErrors[0]).toBe(wordErrors(reference, hypothesis));
    }
  });

  it('gives nltk’s corpus BLEU and mean of sentences over all of them', () => {
    const all = golden.corpusBleu.find(({ count }) => count === pairs.length);
    expect(all).toBeDefined();
    const { scores } = decodedScores(
      pairs.map(({ reference }) => reference),
      pairs.map(({ hypothesis }) => hypothesis),
    );
    expect(Math.abs(scores.corpusBleu - (all?.none.cumulative4 as number))).toBeLessThan(1e-9);
    expect(Math.abs(scores.cumulativeBleu3 - (all?.meanSentence.cumulative3 as number))).toBeLessThan(1e-9);
    expect(Math.abs(scores.bleu2 - (all?.meanSentence.individual2 as number))).toBeLessThan(1e-9);
  });

  it('counts sentences that arrive word for word and words that do not: 1 of 2, and 2 of 7', () => {
    const sent = [
      [1, 2, 3],
      [4, 5, 6, 7],
    ];
    const { scores } = decodedScores(sent, [
      [1, 2, 3],
      [4, 9, 6],
    ]);
    expect(scores.exactSentences).toBe(0.5);
    expect(scores.wordErrorRate).toBeCloseTo(2 / 7, 12);
  });
});

describe('wordErrors', () => {
  it.each([
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
    ['abc', '', 3],
    ['abcd', 'bcd', 1],
    ['flaw', 'lawn', 2],
    ['same', 'same', 0],
  ])('from %s to %s takes %i', (a, b, edits) => {
    expect(wordErrors([...a], [...b])).toBe(edits);
    expect(wordErrors([...b], [...a])).toBe(edits);
  });
});

describe('Calibration', () => {
  it('is hand-computed: two bins with gaps 0.1 and 0.4 of three tokens', () => {
    const calibration = new Calibration();
    calibration.add(0.95, true);
    calibration.add(0.95, true);
    calibration.add(0.4, false);
    // The bin of 0.95 holds two tokens, confidence 0.95, accuracy 1; that of 0.4 one token, confidence 0.4, accuracy 0.
    expect(calibration.error()).toBeCloseTo((2 / 3) * 0.05 + (1 / 3) * 0.4, 12);
  });

  it('is 0 where confidence is met, takes the edges, and is NaN of nothing', () => {
    const calibration = new Calibration();
    for (let i = 0; i < 4; i++) calibration.add(0.5, i % 2 === 0);
    expect(calibration.error()).toBeCloseTo(0, 12);
    const edges = new Calibration();
    edges.add(1, true);
    edges.add(0, false);
    expect(edges.error()).toBe(0);
    expect(new Calibration().error()).toBeNaN();
  });
});
