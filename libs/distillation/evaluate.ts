// How good trained links are: what greedy decoding gives over SNR. All links of a bundle are measured together, on the same
// sentences and the same draws. The teacher-forced distance to the teacher: measure-divergence.ts.
import * as tf from '@tensorflow/tfjs-core';
import {
  type Batch,
  type ChannelName,
  type ChannelUse,
  collate,
  type DecodedScores,
  decodedScores,
  END,
  greedyDecode,
  longestFirst,
  noiseDeviation,
  type ProfileName,
  RandomStream,
  SENTENCE_SCORES,
  type SentenceEncoder,
  sentenceSimilarities,
  transmit,
} from '#semcom';
import { drawUse } from './draws.js';
import { type Link, linkGroups, remember, sendBatch } from './link.js';

/** BATCH sentences are sent together; the draws depend on it, so it is a constant and not a tuning knob. */
const BATCH = 50;

export interface EvaluationRequest {
  sentences: readonly number[][];
  snrDb: readonly number[];
  channel: ChannelName;
  channelProfile: ProfileName;
  /** Longest sentence in tokens, START and END included: at most this minus one are generated. */
  maxTokens: number;
  /** The ids that BLEU counts: up to END, without specials and the empty word. */
  scoredIds: (ids: ArrayLike<number>) => number[];
  /** Other numbers are other noise and fading; absent: 0, the draws of all evaluations of trials. */
  seed?: number;
  /** Which SNR's sentences are given one by one, by its place; absent: none. */
  headline?: number;
  /** Measures sentence similarity too: the text of ids that were sent or decoded, and the encoder of texts. */
  similarity?: { encode: SentenceEncoder; textOf: (ids: number[]) => string };
  /** Called between batches; false stops the evaluation by throwing EvaluationStopped. */
  goOn?: () => Promise<boolean>;
}

export class EvaluationStopped extends Error {
  override readonly name = 'EvaluationStopped';
}

/** Scores of decoded sentences, one value an SNR. */
export type BleuCurves = { snrDb: number[] } & { [score in keyof DecodedScores]: number[] } & {
  sentenceSimilarity?: number[];
  sentenceSimilarityFloor?: number[];
};

const SCORES = [
  'bleu1',
  'bleu2',
  'bleu3',
  'bleu4',
  'cumulativeBleu2',
  'cumulativeBleu3',
  'cumulativeBleu4',
  'corpusBleu',
  'exactSentences',
  'wordErrorRate',
] as const satisfies (keyof DecodedScores)[];

/** Draws of a batch at one SNR: keyed by seed, SNR position and first sentence, common to every model. `variant` 1 is other noise. */
export function evaluationUse(
  request: EvaluationRequest,
  batch: Batch,
  snr: number,
  from: number,
  variant: 0 | 1,
): ChannelUse {
  const use = {
    channel: request.channel,
    profile: request.channelProfile,
    deviation: noiseDeviation(request.snrDb[snr] as number),
  };
  return drawUse(
    batch,
    use,
    (purpose) => new RandomStream(2 * (request.seed ?? 0) + variant, `evaluation-${purpose}`, snr, from),
  );
}

/** Sentences in batches of like length; positions are those of `order`. */
export function batchesOf(request: EvaluationRequest): { batch: Batch; from: number; indices: Int32Array }[] {
  const lengths = request.sentences.map((row) => row.length);
  const order = longestFirst(
    lengths,
    lengths.map((_, i) => i),
  );
  const out: { batch: Batch; from: number; indices: Int32Array }[] = [];
  for (let from = 0; from < order.length; from += BATCH) {
    const indices = order.subarray(from, from + BATCH);
    out.push({ batch: collate(request.sentences, indices), from, indices });
  }
  return out;
}

export interface DecodedLink {
  curves: BleuCurves;
  /** Of each sentence, mean over SNR, in the order of the request */
  sentences: Record<(typeof SENTENCE_SCORES)[number], number[]>;
  /** Each sentence at the request's headline SNR: the ids decoded, before END, and their scores. */
  headline?: { ids: number[][]; bleu1: number[]; cumulativeBleu4: number[]; wordErrors: number[] };
}

/** Decodes every sentence at every SNR and scores each of the link's models. All SNRs of a batch are decoded at once. */
export async function measureDecoding(link: Link, request: EvaluationRequest): Promise<DecodedLink[]> {
  const groups = linkGroups(link);
  const points = request.snrDb.length;
  const hypotheses: number[][][] = Array.from({ length: groups * points }, () => []);
  const atHeadline: number[][][] = Array.from({ length: groups }, () => []);
  const references: number[][] = [];
  const order: number[] = [];
  for (const { batch, from, indices } of batchesOf(request)) {
    if ((await request.goOn?.()) === false) throw new EvaluationStopped('stopped');
    order.push(...indices);
    for (const index of indices) references.push(request.scoredIds(request.sentences[index] as number[]));
    const ids = decodeAtAllSnrs(link, request, batch, from);
    for (let g = 0; g < groups; g++)
      for (let s = 0; s < points; s++)
        for (let b = 0; b < batch.size; b++) {
          const row = ids.row((g * points + s) * batch.size + b);
          hypotheses[g * points + s]?.push(request.scoredIds(row));
          if (s === request.headline) atHeadline[g]?.push(beforeEnd(row));
        }
  }
  const inOrder = <Value>(values: ArrayLike<Value>) => {
    const out = new Array<Value>(order.length);
    for (const [place, sentence] of order.entries()) out[sentence] = values[place] as Value;
    return out;
  };
  const similar = await similarities(request, references, hypotheses);
  return Array.from({ length: groups }, (_, g) => {
    const curves: BleuCurves = { snrDb: [...request.snrDb], ...noCurves() };
    if (similar) {
      const own = similar.slice(g * points, (g + 1) * points);
      curves.sentenceSimilarity = own.map(({ similarity }) => similarity);
      curves.sentenceSimilarityFloor = own.map(({ floor }) => floor);
    }
    const sums = Object.fromEntries(SENTENCE_SCORES.map((score) => [score, new Float64Array(order.length)]));
    let headline: DecodedLink['headline'];
    for (let s = 0; s < points; s++) {
      const { scores, sentences } = decodedScores(references, hypotheses[g * points + s] as number[][]);
      for (const score of SCORES) curves[score].push(scores[score]);
      for (const score of SENTENCE_SCORES) {
        const sum = sums[score] as Float64Array;
        for (const [place, value] of sentences[score].entries()) sum[place] = (sum[place] as number) + value / points;
      }
      if (s !== request.headline) continue;
      const [bleu1, cumulativeBleu4] = [inOrder(sentences.bleu1), inOrder(sentences.cumulativeBleu4)];
      headline = {
        ids: inOrder(atHeadline[g] as number[][]),
        bleu1,
        cumulativeBleu4,
        wordErrors: inOrder(sentences.wordErrors),
      };
    }
    const sentences = Object.fromEntries(
      SENTENCE_SCORES.map((score) => [score, inOrder(sums[score] as Float64Array)]),
    ) as DecodedLink['sentences'];
    return { curves, sentences, ...(headline ? { headline } : {}) };
  });
}

/** Of each model at each SNR; undefined where it was not asked for. */
async function similarities(request: EvaluationRequest, references: number[][], hypotheses: number[][][]) {
  if (!request.similarity) return;
  const { encode, textOf } = request.similarity;
  return sentenceSimilarities(
    async (texts) => {
      if ((await request.goOn?.()) === false) throw new EvaluationStopped('stopped');
      return encode(texts);
    },
    references.map(textOf),
    hypotheses.map((list) => list.map(textOf)),
  );
}

/** A copy of the ids up to END. */
function beforeEnd(ids: Int32Array): number[] {
  const end = ids.indexOf(END);
  return [...(end < 0 ? ids : ids.subarray(0, end))];
}

/** The scores of measureDecoding alone. */
export async function measureBleu(link: Link, request: EvaluationRequest): Promise<BleuCurves[]> {
  return (await measureDecoding(link, request)).map(({ curves }) => curves);
}

/** Sends and decodes one sentence by itself at the first SNR, as a receiver in use would. For its time, not its result. */
export function decodeAlone(link: Link, request: EvaluationRequest, sentence: number): void {
  const batch = collate(request.sentences, [sentence]);
  decodeAtAllSnrs(link, { ...request, snrDb: request.snrDb.slice(0, 1) }, batch, sentence);
}

function noCurves(): Omit<BleuCurves, 'snrDb'> {
  return Object.fromEntries(SCORES.map((score) => [score, [] as number[]])) as Omit<BleuCurves, 'snrDb'>;
}

/** Rows of the result: group-major, then SNR, then sentence. */
function decodeAtAllSnrs(link: Link, request: EvaluationRequest, batch: Batch, from: number) {
  const maxTokens = request.maxTokens - 1;
  const points = request.snrDb.length;
  const source = repeatBatch(batch, points);
  const use = combinedUse(request, batch, from);
  const ids = tf.tidy(() => {
    const { tx } = sendBatch(link.transmitter, batch, request.channelProfile);
    const rx = transmit(tf.tile(tx, [1, points, 1]), use, source.size, source.tokens);
    const { memory, fold } = remember(link.receiver, rx);
    const { weights, shape } = link.receiver;
    return greedyDecode(weights, shape, memory, repeatBatch(source, fold), { maxTokens });
  });
  return { row: (row: number) => ids.subarray(row * maxTokens, (row + 1) * maxTokens) };
}

function repeatBatch(batch: Batch, times: number): Batch {
  const ids = new Int32Array(batch.ids.length * times);
  for (let i = 0; i < times; i++) ids.set(batch.ids, i * batch.ids.length);
  return { ids, size: batch.size * times, tokens: batch.tokens };
}

/** The draws of all SNRs, one below the other, with each sentence's deviation. */
function combinedUse(request: EvaluationRequest, batch: Batch, from: number): ChannelUse {
  const uses = request.snrDb.map((_, s) => evaluationUse(request, batch, s, from, 0));
  const concat = (parts: Float32Array[]) => {
    const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  };
  const first = uses[0] as ChannelUse;
  const perSentence = (use: ChannelUse) => {
    const pair = use.fading as Float32Array;
    if (pair.length === 2 * batch.size) return pair;
    return Float32Array.from({ length: 2 * batch.size }, (_, i) => pair[i % 2] as number);
  };
  return {
    channel: first.channel,
    profile: first.profile,
    deviation: concat(uses.map((use) => new Float32Array(batch.size).fill(use.deviation as number))),
    noise: concat(uses.map((use) => use.noise)),
    // One fading block a batch and SNR becomes the same block for each of its sentences.
    ...(first.fading ? { fading: concat(uses.map(perSentence)), fadingBlock: 'sentence' as const } : {}),
  };
}
