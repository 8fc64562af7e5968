import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  corpusBleu,
  cumulativeWeights,
  individualWeights,
  sentenceBleu,
  sentenceBleus,
  ZERO_PRECISION,
} from './bleu.js';
import { decodedScores } from './decoded-scores.js';
import { RandomStream } from './philox.js';

type Scores = Record<string, number>;
type Smoothing = 'none' | 'method1';

interface GoldenPair {
  hypothesis: string;
  scores: Record<Smoothing, Scores>;
}

interface Golden {
  bleuWeights: Record<string, number[]>;
  sentenceBleu: (GoldenPair & { reference: string; deepscOrder1: number })[];
  sentenceBleuMultiReference: (GoldenPair & { references: string[] })[];
  corpusBleu: { name: string; count: number; none: Scores; method1: Scores; meanSentence: Scores }[];
}

const golden = JSON.parse(readFileSync(new URL('../../test/golden/metrics.json', import.meta.url), 'utf8')) as Golden;

/** As the evaluation takes it: the individual scores alone. */
function meanBleu(references: number[][], hypotheses: number[][]): [number, number, number, number] {
  const { bleu1, bleu2, bleu3, bleu4 } = decodedScores(references, hypotheses).scores;
  return [bleu1, bleu2, bleu3, bleu4];
}

const words = (text: string) => text.split(/\s+/).filter((word) => word !== '');
const SMOOTHINGS: Smoothing[] = ['none', 'method1'];

/** Scores of nltk have 12 digits; those under 1e-60 stand for zero. */
function expectScore(actual: number, expected: number, what: string): void {
  expect(Math.abs(actual - expected), `${what}: ${actual} for ${expected}`).toBeLessThanOrEqual(1e-9);
}

const single = golden.sentenceBleu.map((pair) => ({
  references: [words(pair.reference)],
  hypothesis: words(pair.hypothesis),
  scores: pair.scores,
}));
const multi = golden.sentenceBleuMultiReference.map((pair) => ({
  references: pair.references.map(words),
  hypothesis: words(pair.hypothesis),
  scores: pair.scores,
}));

/** Individual BLEU by counting n-grams in maps. */
function individualByCounting(reference: number[], hypothesis: number[], order: number): number {
  const count = (ids: number[], n: number) => {
    const counts = new Map<string, number>();
    for (let i = 0; i + n <= ids.length; i++) {
      const key = ids.slice(i, i + n).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  };
  const matches = (n: number) => {
    const inReference = count(reference, n);
    return [...count(hypothesis, n)].reduce((sum, [key, c]) => sum + Math.min(c, inReference.get(key) ?? 0), 0);
  };
  if (matches(1) === 0) return 0;
  const penalty = hypothesis.length > reference.length ? 1 : Math.exp(1 - reference.length / hypothesis.length);
  return (
    (penalty * (matches(order) || ZERO_PRECISION)) / (matches(order) ? Math.max(1, hypothesis.length - order + 1) : 1)
  );
}

describe('BLEU equals nltk', () => {
  it('has the weights by name', () => {
    for (const n of [1, 2, 3, 4]) {
      expect(cumulativeWeights(n)).toEqual(golden.bleuWeights[`cumulative${n}`]);
      expect(individualWeights(n)).toEqual(golden.bleuWeights[`individual${n}`]?.slice(0, n));
    }
  });

  it.each([...single, ...multi])('for a sentence, all weights and smoothings: $hypothesis', (pair) => {
    for (const smoothing of SMOOTHINGS)
      for (const [name, weights] of Object.entries(golden.bleuWeights)) {
        const score = sentenceBleu(pair.references, pair.hypothesis, { weights, smoothing });
        expectScore(score, pair.scores[smoothing][name] as number, `${smoothing} ${name}`);
      }
  });

  it('with reference and hypothesis swapped, as the original calls it', () => {
    for (const { reference, hypothesis, deepscOrder1 } of golden.sentenceBleu)
      expectScore(sentenceBleu([words(hypothesis)], words(reference), { weights: [1] }), deepscOrder1, reference);
  });

  it.each([
    [golden.corpusBleu[0], single],
    [golden.corpusBleu[1], single.slice(0, 15)],
    [golden.corpusBleu[2], single.slice(20, 30)],
    [golden.corpusBleu[3], multi],
    [golden.corpusBleu[4], single.slice(1, 2)],
  ])('for a corpus', (expected, pairs) => {
    expect(pairs).toHaveLength(expected?.count ?? Number.NaN);
    for (const [name, weights] of Object.entries(golden.bleuWeights)) {
      for (const smoothing of SMOOTHINGS)
        expectScore(corpusBleu(pairs, { weights, smoothing }), expected?.[smoothing][name] as number, name);
      const scores = pairs.map((pair) => sentenceBleu(pair.references, pair.hypothesis, { weights }));
      const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
      expectScore(mean, expected?.meanSentence[name] as number, `mean ${name}`);
    }
  });

  it('keeps 2.2e-308 for a zero precision, and 0 for no common word and for nothing', () => {
    const options = { weights: individualWeights(4) };
    expect(sentenceBleu([words('a b c d')], words('a x c y'), options)).toBeCloseTo(0, 300);
    expect(sentenceBleu([words('a b c d')], words('a x c y'), options)).toBeGreaterThan(0);
    expect(sentenceBleu([words('a b c d')], words('x y'), options)).toBe(0);
    expect(sentenceBleu([words('a b c d')], [], options)).toBe(0);
  });

  it('takes words that every object has', () => {
    const text = words('constructor toString __proto__ constructor');
    expect(sentenceBleu([text], text, { weights: cumulativeWeights(4) })).toBe(1);
  });

  it('refuses no references, no weights and too many', () => {
    expect(() => sentenceBleu([], ['a'], { weights: [1] })).toThrow(/at least one reference/);
    expect(() => sentenceBleu([['a']], ['a'], { weights: [] })).toThrow(/1 to 31 weights/);
    const long = Array.from({ length: 40 }, (_, i) => i % 7);
    expect(sentenceBleu([long], long, { weights: cumulativeWeights(31) })).toBeCloseTo(1, 12);
    expect(() => sentenceBleu([long], long, { weights: cumulativeWeights(32) })).toThrow(/1 to 31 weights/);
  });
});

describe('meanBleu', () => {
  it('equals the golden mean of sentences on ids', () => {
    const ids = new Map<string, number>();
    const idsOf = (text: string) =>
      words(text).map((word) => {
        ids.set(word, ids.get(word) ?? ids.size);
        return ids.get(word) as number;
      });
    const references = golden.sentenceBleu.map((pair) => idsOf(pair.reference));
    const hypotheses = golden.sentenceBleu.map((pair) => idsOf(pair.hypothesis));
    const mean = meanBleu(references, hypotheses);
    const expected = golden.corpusBleu[0]?.meanSentence;
    for (const [i, score] of mean.entries())
      expectScore(score, expected?.[`individual${i + 1}`] as number, `order ${i + 1}`);
  });

  it('equals counting n-grams on thousands of pairs, long and repetitive ones too', () => {
    const stream = new RandomStream(3, 'sentences');
    const sentence = () => Array.from({ length: stream.integer(90) }, () => stream.integer(1 + stream.integer(12)));
    const references = Array.from({ length: 2000 }, sentence);
    const hypotheses = references.map((reference, i) =>
      i % 2 ? sentence() : reference.map((id) => (stream.integer(5) === 0 ? 99 : id)),
    );
    let i = 0;
    for (const scores of sentenceBleus(references, hypotheses)) {
      for (let n = 1; n <= 4; n++)
        expectScore(
          scores[n - 1] as number,
          individualByCounting(references[i] as number[], hypotheses[i] as number[], n),
          `pair ${i}, order ${n}`,
        );
      i++;
    }
    expect(i).toBe(2000);
  });

  it('refuses lists that do not pair, and has no mean of nothing', () => {
    expect(() => meanBleu([[1]], [])).toThrow(/1 references do not pair with 0 hypotheses/);
    expect(meanBleu([], [])).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
  });
});
