// How good trained links are: BLEU over SNR by greedy decoding, and the teacher-forced distance to the teacher. All links of a
// bundle are measured together, on the same sentences and the same draws.
import * as tf from '@tensorflow/tfjs-core';
import {
  type Batch,
  type ChannelName,
  type ChannelUse,
  collate,
  greedyDecode,
  longestFirst,
  meanBleu,
  noiseDeviation,
  type ProfileName,
  RandomStream,
  shiftTargets,
  transmit,
} from '#semcom';
import { MEASURES, type Output, rowDistances } from './distances.js';
import { drawUse } from './draws.js';
import { type Link, linkGroups, passThrough, remember, type Sided, sendBatch } from './link.js';
import { throughKernel } from './loss.js';

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
  /** Called between batches; false stops the evaluation by throwing EvaluationStopped. */
  goOn?: () => Promise<boolean>;
}

export class EvaluationStopped extends Error {
  override readonly name = 'EvaluationStopped';
}

/** Mean over sentences of sentence BLEU of order n alone, one value an SNR. */
export interface BleuCurves {
  snrDb: number[];
  bleu1: number[];
  bleu2: number[];
  bleu3: number[];
  bleu4: number[];
}

/** Distances to the teacher, means over real tokens, one value an SNR. */
export interface DivergenceCurves {
  snrDb: number[];
  kl: number[];
  reverseKl: number[];
  jsd: number[];
  top1Agreement: number[];
  top5Overlap: number[];
}

/** Draws of a batch at one SNR: keyed by SNR position and first sentence, common to every model. `variant` 1 is other noise. */
function evaluationUse(
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
  return drawUse(batch, use, (purpose) => new RandomStream(variant, `evaluation-${purpose}`, snr, from));
}

/** Sentences in batches of like length; positions are those of `order`. */
function batchesOf(request: EvaluationRequest): { batch: Batch; from: number; indices: Int32Array }[] {
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

/** Decodes every sentence at every SNR; BLEU-1..4 of each of the link's models. All SNRs of a batch are decoded at once. */
export async function measureBleu(link: Link, request: EvaluationRequest): Promise<BleuCurves[]> {
  const groups = linkGroups(link);
  const points = request.snrDb.length;
  const hypotheses: number[][][] = Array.from({ length: groups * points }, () => []);
  const references: number[][] = [];
  for (const { batch, from, indices } of batchesOf(request)) {
    if ((await request.goOn?.()) === false) throw new EvaluationStopped('stopped');
    for (const index of indices) references.push(request.scoredIds(request.sentences[index] as number[]));
    const ids = decodeAtAllSnrs(link, request, batch, from);
    for (let g = 0; g < groups; g++)
      for (let s = 0; s < points; s++)
        for (let b = 0; b < batch.size; b++)
          hypotheses[g * points + s]?.push(request.scoredIds(ids.row((g * points + s) * batch.size + b)));
  }
  return Array.from({ length: groups }, (_, g) => {
    const curve: BleuCurves = { snrDb: [...request.snrDb], bleu1: [], bleu2: [], bleu3: [], bleu4: [] };
    for (let s = 0; s < points; s++) {
      const [one, two, three, four] = meanBleu(references, hypotheses[g * points + s] as number[][]);
      curve.bleu1.push(one);
      curve.bleu2.push(two);
      curve.bleu3.push(three);
      curve.bleu4.push(four);
    }
    return curve;
  });
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

/**
 * Distance of each of the link's models to the teacher: output distributions p (teacher) and q over the same inputs and, with
 * `otherNoise` false, the same draws. KL(p||q), KL(q||p), JSD in nats a token; top-1 agreement; top-5 overlap |A and B| / 5.
 */
export async function measureDivergence(
  teacher: Link,
  link: Link,
  request: EvaluationRequest,
  otherNoise = false,
): Promise<DivergenceCurves[]> {
  const groups = linkGroups(link);
  const curves = Array.from(
    { length: groups },
    (): DivergenceCurves => ({
      snrDb: [...request.snrDb],
      kl: [],
      reverseKl: [],
      jsd: [],
      top1Agreement: [],
      top5Overlap: [],
    }),
  );
  for (let s = 0; s < request.snrDb.length; s++) {
    const sums = Array.from({ length: groups }, () => new Float64Array(MEASURES.length));
    let tokens = 0;
    for (const { batch, from } of batchesOf(request)) {
      if ((await request.goOn?.()) === false) throw new EvaluationStopped('stopped');
      const use = evaluationUse(request, batch, s, from, 0);
      const heard = otherNoise ? evaluationUse(request, batch, s, from, 1) : use;
      tokens += addDistances(sums, teacher, link, batch, { teacher: use, student: heard });
    }
    for (const [g, curve] of curves.entries())
      for (const measure of ['kl', 'reverseKl', 'jsd', 'top1Agreement', 'top5Overlap'] as const)
        curve[measure].push((sums[g]?.[MEASURES.indexOf(measure)] as number) / tokens);
  }
  return curves;
}

/** Adds the batch's sums of the measures for each model; returns its real tokens. */
function addDistances(
  sums: Float64Array[],
  teacher: Link,
  link: Link,
  batch: Batch,
  uses: { teacher: ChannelUse; student: ChannelUse },
): number {
  const { input, targets } = shiftTargets(batch);
  const rows = Int32Array.from(targets.keys()).filter((i) => targets[i] !== 0);
  const groups = linkGroups(link);
  const vocabularySize = teacher.receiver.shape.vocabularySize;
  const chunk = Math.max(16, Math.floor(8e6 / (groups * vocabularySize)));
  tf.tidy(() => {
    const p = passThrough(teacher, { source: batch, input, use: uses.teacher }).decOut;
    const q = passThrough(link, { source: batch, input, use: uses.student }).decOut;
    for (let from = 0; from < rows.length; from += chunk) {
      const index = tf.tensor1d(rows.subarray(from, from + chunk), 'int32');
      const measures = tf.tidy(() =>
        rowDistances(outputOf(link.receiver, q, index), outputOf(teacher.receiver, p, index)),
      );
      const values = measures.dataSync();
      tf.dispose([measures, index]);
      const perGroup = values.length / groups;
      for (let at = 0; at < values.length; at++) {
        const sum = sums[Math.floor(at / perGroup)] as Float64Array;
        const measure = at % MEASURES.length;
        sum[measure] = (sum[measure] as number) + (values[at] as number);
      }
    }
  });
  return rows.length;
}

/** Logits without bias of the chosen rows of decOut. */
function outputOf({ weights }: Sided, decOut: tf.Tensor3D, rows: tf.Tensor1D): Output {
  return {
    logits: throughKernel(tf.gather(decOut, rows, 1), weights.get('dense.weight') as tf.Tensor3D),
    bias: weights.get('dense.bias') as tf.Tensor,
  };
}
