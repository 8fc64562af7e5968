// Every transmitter with every receiver, by the trainer for real: on the diagonal stands what the trials measured of themselves, and sides
// that are the same give the same.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Architecture } from '#experiment';
import type { TrainerJob } from '../../apps/worker/trainer-protocol.js';
import { TINY, TrainerBench, teacher, told } from '../support/trainer-process.js';

let bench: TrainerBench;

beforeAll(async () => {
  bench = await TrainerBench.open();
});
afterAll(() => bench.close());

interface Joined {
  path: string;
  architecture: Architecture;
}

function cross(models: Joined[], snrDb = 12): TrainerJob {
  return {
    kind: 'cross-decode',
    models,
    channel: 'awgn',
    channelProfile: 'exact',
    snrDb,
    sentences: 20,
    corpus: bench.corpus,
    corpusFolder: bench.corpusFolder,
  };
}

const ofTeacher: Joined = { path: join(TINY, 'teacher.safetensors'), architecture: teacher.architecture };

async function trained(part: 'decoder' | 'full', epochs: number) {
  const run = await bench.run(bench.bundle({ distillPart: part, freezeKeptSide: part !== 'full', epochs }, [1, 8]));
  expect(run.code, run.output).toBe(0);
  const layers = { encoderLayers: part === 'decoder' ? 4 : 2, decoderLayers: 2 };
  const models = [0, 1].map((k): Joined => {
    const path = join(run.work, `trial-${k}`, 'final_student_model.safetensors');
    return { path, architecture: { ...teacher.architecture, ...layers } };
  });
  const evaluations = told(run, 'trial-completed').map(({ summary }) => summary.evaluation);
  return { models, evaluations };
}

it('students behind the teacher’s frozen transmitter understand it, and all send alike', async () => {
  const { models, evaluations } = await trained('decoder', 3);
  const run = await bench.run(cross([ofTeacher, ...models]));
  expect(run.code, run.output).toBe(0);
  const [joined] = told(run, 'cross-decoded');
  const bleu1 = joined?.bleu1 ?? [];
  expect(bleu1).toHaveLength(3);
  // One transmitter in three models: three equal rows.
  expect(bleu1[1]).toEqual(bleu1[0]);
  expect(bleu1[2]).toEqual(bleu1[0]);
  expect(bleu1[0]?.[0]).toBeGreaterThan(0.9);
  const snr = evaluations[0]?.student.snrDb.indexOf(12) ?? -1;
  for (const [k, evaluation] of evaluations.entries()) {
    // The tiny models' likeliest words are far from the second: the same words are decoded however the draws are stacked, but for the
    // draws themselves, which are keyed by the place of the SNR in its list.
    expect(Math.abs((bleu1[0]?.[k + 1] as number) - (evaluation.student.bleu1[snr] as number))).toBeLessThan(0.15);
  }
});

it('students trained whole are pairs of their own: the teacher understands none of them', async () => {
  const { models, evaluations } = await trained('full', 10);
  const job = cross([ofTeacher, ...models], 3);
  const run = await bench.run(job);
  const bleu1 = told(run, 'cross-decoded')[0]?.bleu1 ?? [];
  // The first SNR of the trials: the same draws, so the same scores.
  for (const [k, evaluation] of evaluations.entries()) {
    expect(bleu1[k + 1]?.[k + 1]).toBeCloseTo(evaluation.student.bleu1[0] as number, 9);
    expect(bleu1[k + 1]?.[0]).toBeLessThan(bleu1[0]?.[0] as number);
  }
  expect(bleu1[0]?.[0]).toBeCloseTo(evaluations[0]?.teacher.bleu1[0] as number, 9);
  const again = told(await bench.run(job), 'cross-decoded')[0]?.bleu1;
  expect(again).toEqual(bleu1);
});
