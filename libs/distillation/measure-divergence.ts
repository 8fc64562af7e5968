// How far links are from their teacher, teacher-forced: distances of the output distributions, what each says of the right words, and
// how alike the representations are. One pass over the sentences an SNR, on the draws that evaluate.ts decodes with.
import * as tf from '@tensorflow/tfjs-core';
import { type Batch, Calibration, type ChannelUse, shiftTargets } from '#semcom';
import { MEASURES, type Output, rowDistances } from './distances.js';
import { batchesOf, type EvaluationRequest, EvaluationStopped, evaluationUse } from './evaluate.js';
import { type Link, linkGroups, type Sided } from './link.js';
import { throughKernel } from './loss.js';
import { OUTCOMES, rowOutcomes } from './outcomes.js';
import { Likeness, RECEIVED_TAPS, TAPS, type Tap, type Taps, tapsOf } from './representations.js';

/** Distances to the teacher, means over real tokens, one value an SNR. */
export interface DivergenceCurves {
  snrDb: number[];
  kl: number[];
  reverseKl: number[];
  jsd: number[];
  top1Agreement: number[];
  top5Overlap: number[];
  /** null where the teacher is never right (wrong) */
  agreementTeacherRight: (number | null)[];
  agreementTeacherWrong: (number | null)[];
  entropyGap: number[];
  /** null where a representation is constant */
  ckaEncOut: (number | null)[];
  ckaChEncOut: (number | null)[];
  ckaMemory: (number | null)[];
  ckaDecOut: (number | null)[];
}

/** What a model says of the words sent, means over real tokens, one value an SNR. */
export interface LikelihoodCurves {
  snrDb: number[];
  crossEntropy: number[];
  tokenAccuracy: number[];
  calibrationError: number[];
}

export interface MeasuredDivergence {
  divergence: DivergenceCurves;
  /** of the link's model */
  likelihood: LikelihoodCurves;
  teacher: LikelihoodCurves;
  sentences: SentenceDistances;
}

/** Of each sentence, in the order of the request: its real tokens; the rest a token, mean over SNR. */
export interface SentenceDistances {
  tokens: number[];
  jsd: number[];
  /** nats, and share of the tokens whose word is the likeliest: of the link's model and of the teacher */
  crossEntropy: number[];
  tokenAccuracy: number[];
  teacherCrossEntropy: number[];
  teacherTokenAccuracy: number[];
  /** At the request's headline SNR alone. */
  headlineJsd?: number[];
}

const SENTENCE_MEANS = ['jsd', 'crossEntropy', 'tokenAccuracy', 'teacherCrossEntropy', 'teacherTokenAccuracy'] as const;
type SentenceSums = Record<(typeof SENTENCE_MEANS)[number], Float64Array>;

const MEANS = ['kl', 'reverseKl', 'jsd', 'top1Agreement', 'top5Overlap'] as const;
const CKA_OF = { encOut: 'ckaEncOut', chEncOut: 'ckaChEncOut', memory: 'ckaMemory', decOut: 'ckaDecOut' } as const;

/**
 * Distance of each of the link's models to the teacher: output distributions p (teacher) and q over the same inputs and, with
 * `otherNoise` false, the same draws. KL(p||q), KL(q||p), JSD in nats a token; top-1 agreement; top-5 overlap |A and B| / 5;
 * H(p) - H(q); linear CKA at the four taps; cross-entropy, accuracy and calibration of both.
 */
export async function measureDivergence(
  teacher: Link,
  link: Link,
  request: EvaluationRequest,
  otherNoise = false,
): Promise<MeasuredDivergence[]> {
  const groups = linkGroups(link);
  const measured = Array.from({ length: groups }, () => nothingYet(request));
  const sent = { encOut: new Likeness(), chEncOut: new Likeness() };
  for (const [s] of request.snrDb.entries()) {
    const sums = new SnrSums(groups, request.sentences.length, sent, s === 0 ? TAPS : RECEIVED_TAPS);
    for (const { batch, from, indices } of batchesOf(request)) {
      if ((await request.goOn?.()) === false) throw new EvaluationStopped('stopped');
      const use = evaluationUse(request, batch, s, from, 0);
      const heard = otherNoise ? evaluationUse(request, batch, s, from, 1) : use;
      addBatch(sums, { teacher, link }, { batch, indices }, { teacher: use, student: heard });
    }
    for (const [g, one] of measured.entries()) {
      sums.write(g, one, request.snrDb.length);
      if (s === request.headline) one.sentences.headlineJsd = sums.jsdOfSentences(g);
    }
  }
  return measured;
}

function nothingYet({ snrDb, sentences }: EvaluationRequest): MeasuredDivergence {
  const likelihood = () => ({ snrDb: [...snrDb], crossEntropy: [], tokenAccuracy: [], calibrationError: [] });
  return {
    divergence: {
      snrDb: [...snrDb],
      kl: [],
      reverseKl: [],
      jsd: [],
      top1Agreement: [],
      top5Overlap: [],
      agreementTeacherRight: [],
      agreementTeacherWrong: [],
      entropyGap: [],
      ckaEncOut: [],
      ckaChEncOut: [],
      ckaMemory: [],
      ckaDecOut: [],
    },
    likelihood: likelihood(),
    teacher: likelihood(),
    sentences: {
      tokens: sentences.map(() => 0),
      jsd: sentences.map(() => 0),
      crossEntropy: sentences.map(() => 0),
      tokenAccuracy: sentences.map(() => 0),
      teacherCrossEntropy: sentences.map(() => 0),
      teacherTokenAccuracy: sentences.map(() => 0),
    },
  };
}

/** What is summed of one model's outcomes at one SNR. */
class OutcomeSums {
  private loss = 0;
  private right = 0;
  private tokens = 0;
  private readonly calibration = new Calibration();

  /** Whether the likeliest word is the target. */
  add(targetLogProbability: number, bestLogProbability: number, isRight: boolean): void {
    this.loss -= targetLogProbability;
    this.right += isRight ? 1 : 0;
    this.tokens += 1;
    this.calibration.add(Math.exp(bestLogProbability), isRight);
  }

  write(curve: LikelihoodCurves): void {
    curve.crossEntropy.push(this.loss / this.tokens);
    curve.tokenAccuracy.push(this.right / this.tokens);
    curve.calibrationError.push(this.calibration.error());
  }
}

/** All sums of one SNR. */
class SnrSums {
  readonly measures: Float64Array[];
  readonly outcomes: OutcomeSums[];
  readonly teacherOutcomes = new OutcomeSums();
  /** Agreements where the teacher is right and where it is wrong, and how many tokens those are. */
  readonly agreed: { right: number; wrong: number }[];
  readonly counts = { right: 0, wrong: 0 };
  readonly likeness: Record<Tap, Likeness>;
  readonly sentenceTokens: Float64Array;
  readonly sentences: SentenceSums[];
  tokens = 0;

  /** What is sent knows no SNR: `sent` is filled at the first one and serves all. */
  constructor(
    groups: number,
    sentences: number,
    sent: Record<'encOut' | 'chEncOut', Likeness>,
    readonly taps: readonly Tap[],
  ) {
    this.likeness = { ...sent, memory: new Likeness(), decOut: new Likeness() };
    const each = <Value>(make: () => Value) => Array.from({ length: groups }, make);
    this.measures = each(() => new Float64Array(MEASURES.length));
    this.outcomes = each(() => new OutcomeSums());
    this.agreed = each(() => ({ right: 0, wrong: 0 }));
    this.sentenceTokens = new Float64Array(sentences);
    this.sentences = each(
      () => Object.fromEntries(SENTENCE_MEANS.map((name) => [name, new Float64Array(sentences)])) as SentenceSums,
    );
  }

  write(g: number, { divergence, likelihood, teacher, sentences }: MeasuredDivergence, points: number): void {
    const mean = (measure: (typeof MEASURES)[number]) =>
      (this.measures[g]?.[MEASURES.indexOf(measure)] as number) / this.tokens;
    for (const measure of MEANS) divergence[measure].push(mean(measure));
    divergence.entropyGap.push(mean('teacherEntropy') - mean('studentEntropy'));
    const { right, wrong } = this.counts;
    const agreed = this.agreed[g] as { right: number; wrong: number };
    divergence.agreementTeacherRight.push(right > 0 ? agreed.right / right : null);
    divergence.agreementTeacherWrong.push(wrong > 0 ? agreed.wrong / wrong : null);
    for (const tap of TAPS) divergence[CKA_OF[tap]].push(this.likeness[tap].of(g));
    this.outcomes[g]?.write(likelihood);
    this.teacherOutcomes.write(teacher);
    for (const [i, tokens] of this.sentenceTokens.entries()) {
      sentences.tokens[i] = tokens;
      for (const name of SENTENCE_MEANS) {
        const value = (this.sentences[g]?.[name][i] as number) / tokens;
        sentences[name][i] = (sentences[name][i] as number) + value / points;
      }
    }
  }

  jsdOfSentences(g: number): number[] {
    return Array.from(this.sentenceTokens, (tokens, i) => (this.sentences[g]?.jsd[i] as number) / tokens);
  }
}

/** Logits of one model at a time. */
const CHUNK_LOGITS = 1e6;

/** Adds a batch to the sums. */
function addBatch(
  sums: SnrSums,
  { teacher, link }: { teacher: Link; link: Link },
  { batch, indices }: { batch: Batch; indices: Int32Array },
  uses: { teacher: ChannelUse; student: ChannelUse },
): void {
  const { input, targets } = shiftTargets(batch);
  const rows = Int32Array.from(targets.keys()).filter((i) => targets[i] !== 0);
  // Whatever the number of models, so that each gets the digits it would get alone.
  const chunk = Math.max(16, Math.floor(CHUNK_LOGITS / teacher.receiver.shape.vocabularySize));
  tf.tidy(() => {
    const p = tapsOf(teacher, { source: batch, input, use: uses.teacher });
    const q = tapsOf(link, { source: batch, input, use: uses.student });
    addLikeness(sums, p, q, batch, rows);
    for (let from = 0; from < rows.length; from += chunk) {
      const some = rows.subarray(from, from + chunk);
      const wanted = some.map((row) => targets[row] as number);
      tf.tidy(() => {
        const index = tf.tensor1d(some, 'int32');
        const known = outputOf(teacher.receiver, p.decOut, index);
        const student = outputOf(link.receiver, q.decOut, index);
        const distances = rowDistances(student, known).dataSync();
        const [theirs, ours] = [rowOutcomes(known, wanted).dataSync(), rowOutcomes(student, wanted).dataSync()];
        const sentenceOf = (at: number) => indices[Math.floor((some[at] as number) / input.tokens)] as number;
        addDistances(sums, distances, some.length, sentenceOf);
        addOutcomes(sums, theirs, ours, { targets: wanted, sentenceOf });
      });
    }
  });
  sums.tokens += rows.length;
  for (const row of rows) {
    const sentence = indices[Math.floor(row / input.tokens)] as number;
    sums.sentenceTokens[sentence] = (sums.sentenceTokens[sentence] as number) + 1;
  }
}

function addLikeness(sums: SnrSums, p: Taps, q: Taps, batch: Batch, decoded: Int32Array): void {
  const sent = Int32Array.from(batch.ids.keys()).filter((i) => batch.ids[i] !== 0);
  for (const tap of sums.taps)
    tf.tidy(() => {
      const rows = tf.tensor1d(tap === 'decOut' ? decoded : sent, 'int32');
      sums.likeness[tap].add(q[tap], p[tap], rows);
    });
}

function addDistances(
  sums: SnrSums,
  values: ArrayLike<number>,
  rows: number,
  sentenceOf: (at: number) => number,
): void {
  const jsd = MEASURES.indexOf('jsd');
  for (const [g, sum] of sums.measures.entries()) {
    const { jsd: ofSentence } = sums.sentences[g] as SentenceSums;
    for (let row = 0; row < rows; row++) {
      const at = (g * rows + row) * MEASURES.length;
      for (let m = 0; m < MEASURES.length; m++) sum[m] = (sum[m] as number) + (values[at + m] as number);
      const sentence = sentenceOf(row);
      ofSentence[sentence] = (ofSentence[sentence] as number) + (values[at + jsd] as number);
    }
  }
}

function addOutcomes(
  sums: SnrSums,
  theirs: ArrayLike<number>,
  ours: ArrayLike<number>,
  { targets, sentenceOf }: { targets: Int32Array; sentenceOf: (at: number) => number },
): void {
  const width = OUTCOMES.length;
  const add = (to: Float64Array, sentence: number, value: number) => {
    to[sentence] = (to[sentence] as number) + value;
  };
  for (let row = 0; row < targets.length; row++) {
    const known = row * width;
    const sentence = sentenceOf(row);
    const isTeacherRight = theirs[known + 2] === targets[row];
    sums.teacherOutcomes.add(theirs[known] as number, theirs[known + 1] as number, isTeacherRight);
    sums.counts[isTeacherRight ? 'right' : 'wrong'] += 1;
    for (const [g, outcomes] of sums.outcomes.entries()) {
      const at = (g * targets.length + row) * width;
      const isRight = ours[at + 2] === targets[row];
      outcomes.add(ours[at] as number, ours[at + 1] as number, isRight);
      const own = sums.sentences[g] as SentenceSums;
      add(own.crossEntropy, sentence, -(ours[at] as number));
      add(own.teacherCrossEntropy, sentence, -(theirs[known] as number));
      if (isRight) add(own.tokenAccuracy, sentence, 1);
      if (isTeacherRight) add(own.teacherTokenAccuracy, sentence, 1);
      const agreed = sums.agreed[g] as { right: number; wrong: number };
      if (ours[at + 2] === theirs[known + 2]) agreed[isTeacherRight ? 'right' : 'wrong'] += 1;
    }
  }
}

/** Logits without bias of the chosen rows of decOut. */
function outputOf({ weights }: Sided, decOut: tf.Tensor3D, rows: tf.Tensor1D): Output {
  return {
    logits: throughKernel(tf.gather(decOut, rows, 1), weights.get('dense.weight') as tf.Tensor3D),
    bias: weights.get('dense.bias') as tf.Tensor,
  };
}
