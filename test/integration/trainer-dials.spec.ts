// The trainer process with dials turned, for real, on the tiny golden teacher and text: files, configuration, slices, repeatability.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '#checkpoint';
import type { Hyperparameters } from '#experiment';
import type { TrainerCommand, TrainerJob } from '../../apps/worker/trainer-protocol.js';
import { hashes, TrainerBench, told } from '../support/trainer-process.js';

let bench: TrainerBench;

beforeAll(async () => {
  bench = await TrainerBench.open();
});
afterAll(() => bench.close());

const QUICK: Partial<Hyperparameters> = { epochs: 3, distillPart: 'full', freezeKeptSide: false, createHybrid: false };

/** A bundle whose trials differ in these. */
function bundleOf(each: Partial<Hyperparameters>[], common: Partial<Hyperparameters> = QUICK): TrainerJob {
  const job = bench.bundle(
    common,
    each.map(() => 4),
  ) as Extract<TrainerJob, { kind: 'bundle' }>;
  const trials = job.trials.map((trial, k) => ({
    ...trial,
    spec: { ...trial.spec, hyperparameters: { ...trial.spec.hyperparameters, ...each[k] } },
  }));
  return { ...job, trials };
}

async function configOf(work: string, trial: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(work, trial, 'distillation_config.json'), 'utf8')) as Record<string, unknown>;
}

describe('the trainer process', () => {
  it('trains students that turn different dials side by side, each to the bytes it gets alone, and writes them down', async () => {
    const each: Partial<Hyperparameters>[] = [
      { distillLoss: 'jsd' },
      { distillLoss: 'mse', temperature: 1, weightSchedule: 'linear', finalWeight: 0 },
      { labelSmoothing: 0.1, hardWeight: 1 },
    ];
    const run = await bench.run(bundleOf(each));
    expect(run.code, run.output).toBe(0);
    expect(run.output).toMatch(/T 4 a 0\.7 jsd, T 1 a 0\.7 mse linear to 0, T 4 a 0\.7 smoothing 0\.1 hard 1/);
    expect(told(run, 'trial-completed')).toHaveLength(3);
    const alone = await bench.run(bundleOf([each[1] as Partial<Hyperparameters>]));
    const name = 'final_student_model.safetensors';
    const weights = async (work: string, trial: string) => {
      const bytes = await readFile(join(work, trial, name));
      return bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
    };
    expect((await weights(run.work, 'trial-1')).equals(await weights(alone.work, 'trial-0'))).toBe(true);
    expect((await weights(run.work, 'trial-0')).equals(await weights(run.work, 'trial-2'))).toBe(false);
    expect(await configOf(run.work, 'trial-1')).toMatchObject({
      distill_loss: 'mse',
      label_smoothing: 0,
      weight_schedule: 'linear',
      final_weight: 0,
      hard_weight: null,
    });
    expect(await configOf(run.work, 'trial-2')).toMatchObject({
      distill_loss: 'kl',
      label_smoothing: 0.1,
      weight_schedule: 'constant',
      final_weight: 0.7,
      hard_weight: 1,
    });
  });

  it('matches hidden states through a map that learns: taken up from a checkpoint to the same bytes, and in no file', async () => {
    const narrow: Partial<Hyperparameters> = {
      ...QUICK,
      epochs: 10,
      studentDModel: 16,
      studentDff: 32,
      sentencesPerEpoch: 160,
    };
    const job = bundleOf([{ featureWeight: 1 }, { featureWeight: 0.1, temperature: 2 }], narrow);
    const whole = await bench.run(job);
    expect(whole.code, whole.output).toBe(0);
    expect(whole.output).toMatch(/T 4 a 0\.7 features 1 \(both\), T 2 a 0\.7 features 0\.1 \(both\)/);
    const stopped = await bench.run(job, (message, child) => {
      if (message.type === 'epoch' && message.metrics.epoch === 2)
        child.send({ type: 'stop' } satisfies TrainerCommand);
    });
    expect(told(stopped, 'trial-completed')).toEqual([]);
    const resumed = await bench.run(job, undefined, {}, stopped.work);
    expect(resumed.output).toMatch(/resumed at step \d+/);
    for (const trial of ['trial-0', 'trial-1']) {
      const wanted = await hashes(whole.work, trial);
      expect(await hashes(resumed.work, trial)).toEqual(wanted);
      const model = readSafetensors(await readFile(join(whole.work, trial, 'final_student_model.safetensors')));
      expect([...model.tensors.keys()].filter((name) => name.startsWith('feature'))).toEqual([]);
    }
    expect(await configOf(whole.work, 'trial-0')).toMatchObject({
      feature_weight: 1,
      feature_taps: 'both',
      d_model: 16,
    });
  });

  it('shows a student its slice alone; what it is measured and validated on stays', async () => {
    const whole = { ...QUICK, epochs: 1, sentencesPerEpoch: 1000 };
    const slices: Partial<Hyperparameters>[] = [{}, { trainShare: 0.5 }, { trainWords: [4, 7] }, { trainTopWords: 30 }];
    const runs = [];
    for (const slice of slices) runs.push(await bench.run(bundleOf([{}], { ...whole, ...slice })));
    const sizes = await Promise.all(runs.map(async ({ work }) => (await configOf(work, 'trial-0')).train_sentences));
    expect(sizes[0]).toBe(bench.corpus.sentences.train);
    for (const size of sizes.slice(1)) {
      expect(size).toBeGreaterThan(0);
      expect(size).toBeLessThan(bench.corpus.sentences.train);
    }
    const steps = runs.map((run) => told(run, 'trial-completed')[0]?.summary.steps);
    expect(steps).toEqual(sizes.map((size) => Math.ceil((size as number) / 16)));
    // The teacher's distance to itself depends on the measured sentences and on nothing that was learned.
    const floors = runs.map((run) => told(run, 'trial-completed')[0]?.summary.evaluation.floor);
    for (const floor of floors) expect(floor).toEqual(floors[0]);
    const again = await bench.run(bundleOf([{}], { ...whole, trainShare: 0.5 }));
    expect(await hashes(again.work, 'trial-0')).toEqual(await hashes(runs[1]?.work as string, 'trial-0'));
  });

  it('says in one sentence that a slice is empty', async () => {
    const run = await bench.run(bundleOf([{}], { ...QUICK, trainWords: [900, 1000] }));
    expect(run.code).toBe(0);
    expect(told(run, 'impossible')[0]?.reason).toMatch(
      /^None of the \d+ training sentences lies in the slice \(trainWords 900 to 1000\): there is nothing to learn from; choose a larger one\.$/,
    );
  });
});
