// The real sentence encoder on this machine's engine. Skipped, and said, where its package is neither cached nor to be fetched.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cacheFolder } from '#config';
import { startEngine } from '#engine';
import type { TrialEvaluation } from '#experiment';
import { type SentenceEncoder, SentencePieces, sentenceSimilarities } from '#semcom';
import { writeSentenceEncoder } from '../../apps/worker/sentence-encoder.js';
import { loadSentenceEncoder } from '../../apps/worker/trainer/sentence-encoder.js';
import type { TrainerJob } from '../../apps/worker/trainer-protocol.js';
import { TrainerBench } from '../support/trainer-process.js';

const folder = mkdtempSync(join(tmpdir(), 'semdistill-encoder-'));
const missing = await writeSentenceEncoder(cacheFolder(), folder).then(
  () => undefined,
  (error: Error) => error.message,
);
if (missing) console.warn(`sentence encoder tests skipped: ${missing}`);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(missing !== undefined)('the sentence encoder', () => {
  let encoder: { encode: SentenceEncoder; dispose: () => void };
  let before = 0;

  beforeAll(async () => {
    await startEngine({ backend: 'auto' });
    before = tf.memory().numTensors;
    encoder = await loadSentenceEncoder(folder);
  });

  it('cuts text into the pieces its makers publish as an example', () => {
    const pieces = new SentencePieces(JSON.parse(readFileSync(join(folder, 'vocab.json'), 'utf8')));
    // README of @tensorflow-models/universal-sentence-encoder 1.3.3
    expect(pieces.encode('Hello, how are you?')).toEqual([341, 4125, 8, 140, 31, 19, 54]);
  });

  it('finds meaning rather than words', async () => {
    const [age, years, feeling] = await encoder.encode(['How old are you?', 'What is your age?', 'How are you?']);
    const dot = (a: Float32Array = new Float32Array(), b?: Float32Array) =>
      a.reduce((sum, x, i) => sum + x * (b?.[i] ?? 0), 0);
    expect(age?.length).toBe(512);
    expect(dot(age, age)).toBeCloseTo(1, 5);
    expect(dot(age, years)).toBeGreaterThan(0.8);
    expect(dot(age, feeling)).toBeLessThan(0.5);
  });

  it('gives a sentence the same vector alone and among many, and keeps nothing', async () => {
    const texts = Array.from(
      { length: 70 },
      (_, i) => `we have ${i} great tasks ${'and duties '.repeat(i % 5)}before us`,
    );
    const held = tf.memory().numTensors;
    const all = await encoder.encode(texts);
    const [alone] = await encoder.encode([texts[33] as string]);
    expect(Math.max(...Array.from(alone as Float32Array, (x, i) => Math.abs(x - (all[33]?.[i] ?? 9))))).toBeLessThan(
      1e-5,
    );
    expect(tf.memory().numTensors).toBe(held);
  });

  it('rates what arrived above the shuffled floor', async () => {
    const sent = [
      'the congress shall have power',
      'our economy is growing again',
      'peace with all nations',
      'taxes must fall',
    ];
    const worse = ['the congress shall have', 'our economy is again', 'peace with all', 'taxes must'];
    const [same, cut] = await sentenceSimilarities(encoder.encode, sent, [sent, worse]);
    expect(same?.similarity).toBeCloseTo(1, 5);
    expect(cut?.similarity).toBeLessThan(0.99);
    expect(cut?.similarity).toBeGreaterThan((cut?.floor ?? 1) + 0.3);
  });

  it('measures the students of a bundle and their teacher, each beside its floor', async () => {
    const bench = await TrainerBench.open();
    try {
      const job = bench.bundle({ epochs: 3 }, [4]) as Extract<TrainerJob, { kind: 'bundle' }>;
      const run = await bench.run({ ...job, encoderFolder: folder });
      expect(run.code, run.output).toBe(0);
      const evaluation = JSON.parse(
        readFileSync(join(run.work, 'trial-0', 'evaluation.json'), 'utf8'),
      ) as TrialEvaluation;
      for (const curve of [evaluation.student, evaluation.teacher]) {
        expect(curve.sentenceSimilarity).toHaveLength(curve.snrDb.length);
        for (const [at, similarity] of (curve.sentenceSimilarity ?? []).entries()) {
          expect(similarity).toBeLessThanOrEqual(1 + 1e-6);
          expect(curve.sentenceSimilarityFloor?.[at]).toBeLessThan(1);
        }
      }
      // The teacher was trained: what it receives is nearer to what was sent than to something else.
      const last = evaluation.teacher.snrDb.length - 1;
      const [own, floor] = [evaluation.teacher.sentenceSimilarity, evaluation.teacher.sentenceSimilarityFloor];
      expect(own?.[last]).toBeGreaterThan((floor?.[last] ?? 1) + 0.05);
    } finally {
      await bench.close();
    }
  });

  it('gives everything back', () => {
    encoder.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
