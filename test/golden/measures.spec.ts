// What is measured of links, on the tiny models: likeness at the taps against PyTorch's, distances and likelihood against double
// precision, values of sentences against the means, and that a teacher is no way from itself.
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type EvaluationRequest,
  type Link,
  Likeness,
  measureDecoding,
  measureDivergence,
  plainDistances,
  rowOutcomes,
  type SentenceDistances,
  TAPS,
  tapsOf,
} from '#distillation';
import { startEngine } from '#engine';
import { type Batch, type ChannelName, decodedScores, disposeWeights, divergences, initialArrays, meanDivergences, RandomStream, SENTENCE_SCORES, shiftTargets, type Weights, weightsFromArrays } from '#semcom';
import { golden, tinyModel } from './tiny-models.js';

const engine = await startEngine({ backend: 'auto' });

const made: Weights[] = [];
afterAll(() => {
  for (const weights of made) disposeWeights(weights);
});

function linkOf(name: string): Link {
  const { shape, arrays } = tinyModel(name);
  const weights = weightsFromArrays(shape, arrays);
  made.push(weights);
  const side = { shape, weights };
  return { transmitter: side, receiver: side };
}

interface Tiny {
  klPerToken: number;
  jsdOverLn2: number;
  top1Agreement: number;
  cka: Record<'encOut' | 'tx' | 'memory' | 'decOut', number>;
}

const { tinyModels } = golden<{ tinyModels: Record<string, Tiny> }>('metrics.json');
const forward = golden<{
  ids: number[][];
  noise: { unit: number[] };
  cases: { model: string; profile: string; channel: ChannelName; sigma?: number }[];
}>('tiny/forward.json');

const teacher = linkOf('teacher');
const student = linkOf('student');

/** A text of sorts: the golden rows without their pads, and others of other lengths. */
const sentences = [...forward.ids, ...forward.ids.map((row) => [...row.filter((id) => id !== 0).slice(0, 6), 2])].map((row) =>
  row.filter((id) => id !== 0),
);

const request: EvaluationRequest = {
  sentences,
  snrDb: [0, 9],
  channel: 'awgn',
  channelProfile: 'exact',
  maxTokens: Math.max(...sentences.map((row) => row.length)),
  scoredIds: (ids) => [...Array.from(ids)].filter((id) => id > 3),
};

describe(`measures of links on ${engine.numerics.backend}`, () => {
  it.each(['ideal', 'awgn'] as const)('likeness at the four taps over %s equals PyTorch', (channel) => {
    const tokens = Math.max(...forward.ids.map((row) => row.length));
    const ids = new Int32Array(forward.ids.length * tokens);
    for (const [b, row] of forward.ids.entries()) ids.set(row, b * tokens);
    const source: Batch = { ids, size: forward.ids.length, tokens };
    const { sigma = 0 } = forward.cases.find((one) => one.profile === 'deepsc-pytorch' && one.channel === channel) ?? {};
    const use = { channel, profile: 'deepsc-pytorch' as const, deviation: sigma, noise: Float32Array.from(forward.noise.unit) };
    const { input, targets } = shiftTargets(source);
    tf.tidy(() => {
      const [p, q] = [tapsOf(teacher, { source, input, use }), tapsOf(student, { source, input, use })];
      for (const tap of TAPS) {
        const kept = tap === 'decOut' ? targets : ids;
        const rows = Int32Array.from(kept.keys()).filter((i) => kept[i] !== 0);
        const likeness = new Likeness();
        // In two parts, as batches come.
        likeness.add(q[tap], p[tap], tf.tensor1d(rows.subarray(0, 20), 'int32'));
        likeness.add(q[tap], p[tap], tf.tensor1d(rows.subarray(20), 'int32'));
        const wanted = tinyModels[channel]?.cka[tap === 'chEncOut' ? 'tx' : tap] as number;
        expect(Math.abs((likeness.of(0) as number) - wanted), tap).toBeLessThan(1e-4 * wanted);
      }
    });
  });

  it('a teacher is no way from itself on common noise, and some way under other noise', async () => {
    const [same] = await measureDivergence(teacher, teacher, request);
    const [other] = await measureDivergence(teacher, teacher, request, true);
    for (const s of request.snrDb.keys()) {
      expect(same?.divergence.jsd[s]).toBeCloseTo(0, 6);
      expect(same?.divergence.top1Agreement[s]).toBe(1);
      expect(same?.divergence.entropyGap[s]).toBeCloseTo(0, 6);
      expect(same?.divergence.ckaDecOut[s]).toBeCloseTo(1, 6);
      expect(same?.likelihood.crossEntropy[s]).toBeCloseTo(same?.teacher.crossEntropy[s] as number, 6);
      expect(other?.divergence.jsd[s]).toBeGreaterThan(1e-4);
      expect(other?.divergence.ckaEncOut[s]).toBeCloseTo(1, 6);
      expect(other?.divergence.ckaMemory[s]).toBeLessThan(0.9999);
    }
  });

  it('the values of sentences make up the means, whatever the order of the batches', async () => {
    const [measured] = await measureDivergence(teacher, student, request);
    const values = measured?.sentences as SentenceDistances;
    const { tokens } = values;
    expect(tokens).toEqual(sentences.map((row) => row.length - 1));
    const total = tokens.reduce((sum, n) => sum + n, 0);
    const overTokens = (own: number[]) => tokens.reduce((sum, n, i) => sum + n * (own[i] as number), 0) / total;
    const overSnr = (curve: number[] = []) => ((curve[0] as number) + (curve[1] as number)) / 2;
    expect(overTokens(values.jsd)).toBeCloseTo(overSnr(measured?.divergence.jsd), 9);
    for (const name of ['crossEntropy', 'tokenAccuracy'] as const) {
      expect(overTokens(values[name])).toBeCloseTo(overSnr(measured?.likelihood[name]), 9);
      const ofTeacher = name === 'crossEntropy' ? values.teacherCrossEntropy : values.teacherTokenAccuracy;
      expect(overTokens(ofTeacher)).toBeCloseTo(overSnr(measured?.teacher[name]), 9);
    }
    const [decoded] = await measureDecoding(teacher, request);
    const words = sentences.map((row) => request.scoredIds(row).length).reduce((sum, n) => sum + n, 0);
    const sum = (own: number[] = []) => own.reduce((all, value) => all + value, 0);
    for (const score of SENTENCE_SCORES) {
      const own = sum(decoded?.sentences[score]);
      if (score === 'wordErrors') expect(own / words).toBeCloseTo(overSnr(decoded?.curves.wordErrorRate), 9);
      else expect(own / sentences.length).toBeCloseTo(overSnr(decoded?.curves[score]), 9);
    }
    expect(decoded?.curves.exactSentences[1]).toBeGreaterThan(0);
    expect(decoded?.curves.wordErrorRate[1]).toBeLessThan(decoded?.curves.wordErrorRate[0] as number);
  });

  it('sentences at one SNR are those behind its means, and another seed is other noise', async () => {
    const scoredIds = (row: ArrayLike<number>) => [...Array.from(row), 2].slice(0, [...Array.from(row), 2].indexOf(2)).filter((id) => id > 3);
    const asked = { ...request, scoredIds, headline: 1 };
    const [measured] = await measureDivergence(teacher, student, asked);
    const { tokens, headlineJsd = [] } = measured?.sentences as SentenceDistances;
    const total = tokens.reduce((sum, n) => sum + n, 0);
    const mean = tokens.reduce((sum, n, i) => sum + n * (headlineJsd[i] as number), 0) / total;
    expect(mean).toBeCloseTo(measured?.divergence.jsd[1] as number, 9);
    const [decoded] = await measureDecoding(teacher, asked);
    const { ids = [], bleu1 = [] } = decoded?.headline ?? {};
    expect(bleu1.reduce((sum, value) => sum + value, 0) / bleu1.length).toBeCloseTo(
      decoded?.curves.bleu1[1] as number,
      9,
    );
    for (const [i, row] of sentences.entries()) {
      const { scores } = decodedScores([scoredIds(row)], [scoredIds(ids[i] as number[])]);
      expect(bleu1[i]).toBe(scores.bleu1);
    }
    const [again] = await measureDecoding(teacher, { ...asked, seed: 0 });
    const [other] = await measureDecoding(teacher, { ...asked, seed: 1 });
    expect(again?.curves).toEqual(decoded?.curves);
    expect(other?.curves).not.toEqual(decoded?.curves);
  });

  it('a model in a stack gets the numbers it would get alone, to the last digit', async () => {
    const shape = { vocabularySize: 300, dModel: 32, dff: 64, heads: 4, encoderLayers: 1, decoderLayers: 1 };
    const many = Array.from({ length: 150 }, (_, i) => [1, ...Array.from({ length: 4 + (i % 17) }, (_, j) => 4 + ((i * 31 + j * 17) % 296)), 2]);
    const asked: EvaluationRequest = { ...request, sentences: many, snrDb: [0, 12], maxTokens: 24 };
    const arraysOf = (name: string) => initialArrays(shape, (purpose) => new RandomStream(5, `${name} ${purpose}`));
    const linkOf = (weights: Weights): Link => {
      made.push(weights);
      const side = { shape, weights };
      return { transmitter: side, receiver: side };
    };
    const names = ['a', 'b', 'c'];
    const single = names.map((name) => linkOf(weightsFromArrays(shape, arraysOf(name))));
    const stackedWeights = new Map(
      [...(single[0] as Link).receiver.weights.keys()].map((name) => [name, tf.concat(single.map(({ receiver }) => receiver.weights.get(name) as tf.Tensor))]),
    );
    const together = linkOf(stackedWeights);
    const known = linkOf(weightsFromArrays(shape, arraysOf('teacher')));
    const [distances, decoded] = [await measureDivergence(known, together, asked), await measureDecoding(together, asked)];
    for (const [k, one] of single.entries()) {
      expect(distances[k]).toEqual((await measureDivergence(known, one, asked))[0]);
      expect(decoded[k]).toEqual((await measureDecoding(one, asked))[0]);
    }
  });

  it('rows of outcomes and of distances agree with double precision', () => {
    const [rows, words] = [7, 60];
    const draw = (salt: number) => Float32Array.from({ length: rows * words }, (_, i) => 3 * Math.sin(salt + i * i * 0.37));
    const [p, q] = [draw(1), draw(2)];
    const targets = Int32Array.from({ length: rows }, (_, i) => (i * 11) % words);
    const output = (values: Float32Array) => ({ logits: tf.tensor3d(values, [1, rows, words]), bias: tf.zeros([1, words]) });
    const wanted = divergences({ teacher: p, student: q, classes: words, kind: 'logits' });
    tf.tidy(() => {
      const outcomes = rowOutcomes(output(q), targets).dataSync();
      for (let row = 0; row < rows; row++) {
        const logits = [...q.subarray(row * words, (row + 1) * words)];
        const shift = Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0));
        expect(outcomes[3 * row]).toBeCloseTo((logits[targets[row] as number] as number) - shift, 4);
        expect(outcomes[3 * row + 1]).toBeCloseTo(Math.max(...logits) - shift, 4);
        expect(outcomes[3 * row + 2]).toBe(logits.indexOf(Math.max(...logits)));
      }
      const distances = plainDistances(output(q), output(p)).dataSync();
      expect(distances[2]).toBeCloseTo(wanted.jsd[0] as number, 5);
    });
    expect(meanDivergences(wanted).jsd).toBeGreaterThan(0);
  });

  it('agreement where the teacher is right and where it is wrong add up to all of it', async () => {
    const [measured] = await measureDivergence(teacher, student, request);
    for (const s of request.snrDb.keys()) {
      const right = measured?.teacher.tokenAccuracy[s] as number;
      const { agreementTeacherRight, agreementTeacherWrong, top1Agreement } = measured?.divergence ?? {};
      const whole = right * (agreementTeacherRight?.[s] ?? 0) + (1 - right) * (agreementTeacherWrong?.[s] ?? 0);
      expect(whole).toBeCloseTo(top1Agreement?.[s] as number, 6);
      expect(measured?.likelihood.calibrationError[s]).toBeLessThanOrEqual(1);
      expect(measured?.likelihood.crossEntropy[s]).toBeGreaterThan(measured?.teacher.crossEntropy[s] as number);
    }
  });
});
