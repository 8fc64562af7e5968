// BLEU as nltk computes it, on words or ids: of a sentence, of a corpus, and the mean of sentences in one fast pass.
// Source: Papineni et al., "BLEU", ACL 2002; nltk.translate.bleu_score for what the paper leaves open.

export type Token = string | number;

export interface BleuOptions {
  /** Weight of each n-gram precision, from n = 1. `individualWeights` and `cumulativeWeights` make the usual ones. */
  weights: readonly number[];
  /** 'none': a zero precision of order 2 and more counts as 2.2e-308; 'method1': a zero count counts as 0.1. */
  smoothing?: 'none' | 'method1';
}

/** The smallest normal double, Python's sys.float_info.min: what nltk puts for a zero precision. */
export const ZERO_PRECISION = 2.2250738585072014e-308;
const METHOD1_COUNT = 0.1;
/** Each order is a bit of an integer. */
const MAX_ORDER = 31;

/** All weight on n-grams of one length (the "n-gram" curves of DeepSC papers): [0, ..., 0, 1]. */
export function individualWeights(order: number): number[] {
  return Array.from({ length: order }, (_, i) => (i === order - 1 ? 1 : 0));
}

/** Equal weights on 1- to n-grams (BLEU-n in translation): [1/n, ..., 1/n]. */
export function cumulativeWeights(order: number): number[] {
  return new Array<number>(order).fill(1 / order);
}

/**
 * BLEU = BP exp(sum_n w_n ln p_n), p_n = clipped n-gram matches / n-grams of the hypothesis (at least 1),
 * BP = exp(min(0, 1 - r/h)) with r the reference length closest to h (the shorter on a tie). 0 without a common word.
 */
export function sentenceBleu(
  references: readonly (readonly Token[])[],
  hypothesis: readonly Token[],
  options: BleuOptions,
): number {
  return corpusBleu([{ references, hypothesis }], options);
}

/** BLEU with matches, n-grams and lengths summed over all sentences first (not the mean of sentence scores). */
export function corpusBleu(
  sentences: readonly { references: readonly (readonly Token[])[]; hypothesis: readonly Token[] }[],
  { weights, smoothing = 'none' }: BleuOptions,
): number {
  const orders = weights.length;
  if (orders < 1 || orders > MAX_ORDER) throw new RangeError(`BLEU takes 1 to ${MAX_ORDER} weights, not ${orders}.`);
  const matches = new Array<number>(orders).fill(0);
  const ngrams = new Array<number>(orders).fill(0);
  let referenceLength = 0;
  let hypothesisLength = 0;
  for (const { references, hypothesis } of sentences) {
    if (references.length === 0) throw new RangeError('BLEU needs at least one reference for each hypothesis.');
    const matched = new Int32Array(hypothesis.length);
    // A clipped count is the largest number of matches that one reference allows: the first so many places of the
    // hypothesis are marked for each reference, so joining the marks gives the maximum.
    for (const reference of references) markMatches(reference, hypothesis, orders, matched);
    for (let n = 0; n < orders; n++) {
      for (const mask of matched) matches[n] = (matches[n] as number) + ((mask >>> n) & 1);
      ngrams[n] = (ngrams[n] as number) + Math.max(1, hypothesis.length - n);
    }
    hypothesisLength += hypothesis.length;
    referenceLength += closestLength(references, hypothesis.length);
  }
  if (matches[0] === 0) return 0;
  let logarithm = 0;
  for (let n = 0; n < orders; n++) {
    const count = matches[n] as number;
    const zero = smoothing === 'none' ? ZERO_PRECISION : METHOD1_COUNT / (ngrams[n] as number);
    const weight = weights[n] as number;
    if (weight !== 0) logarithm += weight * Math.log(count === 0 ? zero : count / (ngrams[n] as number));
  }
  return brevityPenalty(referenceLength, hypothesisLength) * Math.exp(logarithm);
}

/**
 * Individual BLEU-1 to -4 of each sentence (weight 1 on n-grams alone), one reference each, no smoothing, on ids. The array handed out is
 * used again for the next one. Throws RangeError when the lists differ in length.
 */
export function* sentenceBleus(
  references: readonly (readonly number[])[],
  hypotheses: readonly (readonly number[])[],
): Generator<Float64Array> {
  if (references.length !== hypotheses.length)
    throw new RangeError(`${references.length} references do not pair with ${hypotheses.length} hypotheses.`);
  const scores = new Float64Array(4);
  let matched = new Int32Array(64);
  for (const [i, reference] of references.entries()) {
    const hypothesis = hypotheses[i] as readonly number[];
    const length = hypothesis.length;
    if (matched.length < length) matched = new Int32Array(2 * length);
    matched.fill(0, 0, length);
    markMatches(reference, hypothesis, 4, matched);
    const penalty = brevityPenalty(reference.length, length);
    let isAnyMatched = false;
    for (let n = 0; n < 4; n++) {
      let count = 0;
      for (let at = 0; at < length; at++) count += ((matched[at] as number) >>> n) & 1;
      if (n === 0) isAnyMatched = count > 0;
      const precision = count === 0 ? ZERO_PRECISION : count / Math.max(1, length - n);
      scores[n] = isAnyMatched ? penalty * precision : 0;
    }
    yield scores;
  }
}

function brevityPenalty(referenceLength: number, hypothesisLength: number): number {
  if (hypothesisLength > referenceLength) return 1;
  return hypothesisLength === 0 ? 0 : Math.exp(1 - referenceLength / hypothesisLength);
}

function closestLength(references: readonly (readonly Token[])[], length: number): number {
  let closest = Number.POSITIVE_INFINITY;
  for (const reference of references) {
    const nearer = Math.abs(reference.length - length) - Math.abs(closest - length);
    if (nearer < 0 || (nearer === 0 && reference.length < closest)) closest = reference.length;
  }
  return closest;
}

let runs = new Int32Array(128);
let taken = new Int32Array(128);

/**
 * Sets bit n - 1 of matched[i] when the n-gram that ends at place i of the hypothesis finds a partner among the reference's,
 * each of which serves once. Equality of n-grams is transitive, so taking the first free partner loses none.
 * Linear in the product of the lengths; sentences are short.
 */
function markMatches<T extends Token>(
  reference: readonly T[],
  hypothesis: readonly T[],
  orders: number,
  matched: Int32Array,
): void {
  const length = reference.length;
  if (runs.length <= length) {
    runs = new Int32Array(2 * length + 1);
    taken = new Int32Array(2 * length + 1);
  }
  runs.fill(0, 0, length + 1);
  taken.fill(0, 0, length + 1);
  for (let i = 0; i < hypothesis.length; i++) {
    const token = hypothesis[i];
    let found = 0;
    // runs[j + 1]: how many tokens before and at (i, j) are equal; from the right, so that runs[j] is still row i - 1.
    for (let j = length - 1; j >= 0; j--) {
      if (reference[j] !== token) {
        runs[j + 1] = 0;
        continue;
      }
      const run = Math.min(orders, (runs[j] as number) + 1);
      runs[j + 1] = run;
      const free = (run === 31 ? 0x7fffffff : (1 << run) - 1) & ~found & ~(taken[j] as number);
      taken[j] = (taken[j] as number) | free;
      found |= free;
    }
    matched[i] = (matched[i] as number) | found;
  }
}
