// Every score of decoded sentences against those that were sent, one reference each, on ids.
import { corpusBleu, cumulativeWeights, sentenceBleus } from './bleu.js';
import { wordErrors } from './word-errors.js';

export interface DecodedScores {
  /** Mean over sentences of sentence BLEU, order n alone (weight 1 on n-grams), no smoothing */
  bleu1: number;
  bleu2: number;
  bleu3: number;
  bleu4: number;
  /** Mean over sentences of sentence BLEU with weight 1/n on each order up to n, no smoothing; that of order 1 is bleu1. */
  cumulativeBleu2: number;
  cumulativeBleu3: number;
  cumulativeBleu4: number;
  /** Cumulative BLEU-4 with matches, n-grams and lengths summed over the corpus first, no smoothing */
  corpusBleu: number;
  /** Share of the sentences that arrived word for word */
  exactSentences: number;
  /** Word edits over words sent, all sentences together; may exceed 1 */
  wordErrorRate: number;
}

/** What is scored sentence by sentence; BLEU as in DecodedScores. */
export const SENTENCE_SCORES = [
  'bleu1',
  'bleu2',
  'bleu3',
  'bleu4',
  'cumulativeBleu2',
  'cumulativeBleu3',
  'cumulativeBleu4',
  'exactSentences',
  'wordErrors',
] as const;

/** Of each sentence, in the order given: its BLEU, 1 where it arrived word for word, and how many word edits it takes. */
export type SentenceScores = Record<(typeof SENTENCE_SCORES)[number], Float64Array>;

/** Scores of all sentences together, and of each. Throws RangeError when the lists differ in length. */
export function decodedScores(
  references: readonly (readonly number[])[],
  hypotheses: readonly (readonly number[])[],
): { scores: DecodedScores; sentences: SentenceScores } {
  const individual = [0, 0, 0, 0];
  const cumulative = [0, 0, 0, 0];
  const sentences = Object.fromEntries(
    SENTENCE_SCORES.map((score) => [score, new Float64Array(references.length)]),
  ) as SentenceScores;
  const own = [sentences.bleu1, sentences.bleu2, sentences.bleu3, sentences.bleu4];
  const upTo = [undefined, sentences.cumulativeBleu2, sentences.cumulativeBleu3, sentences.cumulativeBleu4];
  let [place, exact, errors, words] = [0, 0, 0, 0];
  for (const scores of sentenceBleus(references, hypotheses)) {
    // Each score is the brevity penalty times a precision, so the geometric mean of the first n is cumulative BLEU-n.
    let logarithm = 0;
    for (let n = 0; n < 4; n++) {
      logarithm += Math.log(scores[n] as number);
      const geometric = Math.exp(logarithm / (n + 1));
      individual[n] = (individual[n] as number) + (scores[n] as number);
      cumulative[n] = (cumulative[n] as number) + geometric;
      (own[n] as Float64Array)[place] = scores[n] as number;
      const cumulated = upTo[n];
      if (cumulated) cumulated[place] = geometric;
    }
    const [reference, hypothesis] = [references[place] as readonly number[], hypotheses[place] as readonly number[]];
    const wrong = wordErrors(reference, hypothesis);
    exact += wrong === 0 ? 1 : 0;
    errors += wrong;
    words += reference.length;
    sentences.exactSentences[place] = wrong === 0 ? 1 : 0;
    sentences.wordErrors[place++] = wrong;
  }
  const mean = (sums: number[], n: number) => (sums[n - 1] as number) / references.length;
  const pairs = references.map((reference, i) => ({
    references: [reference],
    hypothesis: hypotheses[i] as readonly number[],
  }));
  const scores: DecodedScores = {
    bleu1: mean(individual, 1),
    bleu2: mean(individual, 2),
    bleu3: mean(individual, 3),
    bleu4: mean(individual, 4),
    cumulativeBleu2: mean(cumulative, 2),
    cumulativeBleu3: mean(cumulative, 3),
    cumulativeBleu4: mean(cumulative, 4),
    corpusBleu: corpusBleu(pairs, { weights: cumulativeWeights(4) }),
    exactSentences: exact / references.length,
    wordErrorRate: errors / words,
  };
  return { scores, sentences };
}
