// A trainer process that is killed goes on from its last checkpoint to the same bytes; what is no use as a checkpoint is seen.
import { readdir, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '#semcom';
import type { TrainerCommand, TrainerJob } from '../../apps/worker/trainer-protocol.js';
import { hashes, type Run, TrainerBench, told } from '../support/trainer-process.js';

/** 12 epochs of 3 steps: the best model changes on the way, and the tenth epoch leaves a model of its own. */
const STEPS = 36;
const ALWAYS = { SEMDISTILL_CHECKPOINT_SECONDS: '0' };

let bench: TrainerBench;

beforeAll(async () => {
  bench = await TrainerBench.open();
});
afterAll(() => bench.close());

const jobOf = (over: Parameters<TrainerBench['bundle']>[0]) => bench.bundle({ epochs: 12, ...over }, [1, 8]);

/** Runs in `work` (or a new folder) until a checkpoint of `step` or later is said, then kill -9. */
async function killedAt(job: TrainerJob, step: number, work?: string): Promise<Run> {
  const run = await bench.run(
    job,
    (message, child) => {
      if (message.type === 'checkpoint' && message.step >= step) child.kill('SIGKILL');
    },
    ALWAYS,
    work,
  );
  expect(told(run, 'done')).toEqual([]);
  expect(run.code, run.output).toBeNull();
  return run;
}

async function newestStep(work: string): Promise<number> {
  return Math.max(...(await savedSteps(work)));
}

/** Steps of the checkpoints in a work folder, newest first. */
async function savedSteps(work: string): Promise<number[]> {
  const names = await readdir(join(work, 'checkpoints'));
  const steps = names.flatMap((name) => /^step-(\d+)\.json$/.exec(name)?.[1] ?? []).map(Number);
  return steps.sort((a, b) => b - a);
}

async function expectSameFiles(run: Run, whole: Run): Promise<void> {
  expect(run.code, run.output).toBe(0);
  for (const trialId of ['trial-0', 'trial-1'])
    expect(await hashes(run.work, trialId)).toEqual(await hashes(whole.work, trialId));
}

describe('a trainer killed with SIGKILL', () => {
  it.each(['full', 'encoder', 'decoder'] as const)(
    'at 5 random steps, part %s: the last one ends with the bytes of an undisturbed run',
    async (distillPart) => {
      const job = jobOf({ distillPart, freezeKeptSide: distillPart !== 'full' });
      const whole = await bench.run(job);
      const stream = new RandomStream(11, `kill-points-${distillPart}`);
      // Late enough before the end that the checkpoint is still written and heard of in time.
      const points = Array.from({ length: 5 }, () => 1 + stream.integer(STEPS - 12)).sort((a, b) => a - b);
      let work: string | undefined;
      for (const point of points) ({ work } = await killedAt(job, point, work));
      const last = await bench.run(job, undefined, ALWAYS, work);
      await expectSameFiles(last, whole);

      const { summary } = told(last, 'trial-completed')[0] ?? expect.fail(last.output);
      const alone = told(whole, 'trial-completed')[0]?.summary;
      const bare = (epochs: typeof summary.epochs) =>
        epochs.map(({ seconds: _, tokensPerSecond: __, ...rest }) => rest);
      expect(bare(summary.epochs)).toEqual(bare(alone?.epochs ?? []));
      expect(summary).toMatchObject({ bestLoss: alone?.bestLoss, bestEpoch: alone?.bestEpoch, steps: STEPS });
      expect(alone?.resumes).toBeUndefined();
      expect(summary.resumes).toHaveLength(5);
      expect(summary.resumes?.every(({ hasOtherNumerics }) => !hasOtherNumerics)).toBe(true);
      summary.resumes?.forEach(({ step }, i) => {
        expect(step).toBeGreaterThanOrEqual(points[i] as number);
      });
      expect(last.output).toMatch(/resumed at step \d+/);
    },
  );
});

describe('a checkpoint', () => {
  it('that is torn is passed over for the one before it, and one of another job is not used', async () => {
    const job = jobOf({});
    const whole = await bench.run(job);
    const { work } = await killedAt(job, 12);
    const folder = join(work, 'checkpoints');
    const steps = await savedSteps(work);
    expect(steps).toHaveLength(2);
    await truncate(join(folder, `step-${steps[0]}.safetensors`), 1000);
    const resumed = await bench.run(job, undefined, {}, work);
    expect(resumed.output).toContain(`checkpoint step-${steps[0]}.json is not used`);
    expect(resumed.output).toContain(`resumed at step ${steps[1]}`);
    await expectSameFiles(resumed, whole);

    const other = await bench.run(jobOf({ learningRate: 2e-3, epochs: 1 }), undefined, {}, work);
    expect(other.output).toContain('it is of another job');
    expect(told(other, 'trial-completed')[0]?.summary.resumes).toBeUndefined();
    expect(told(other, 'epoch')).toHaveLength(2);
  });

  it('damaged in the middle, or half written, counts for nothing', async () => {
    const job = jobOf({});
    const { work } = await killedAt(job, 2);
    const folder = join(work, 'checkpoints');
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (name.endsWith('.json')) await writeFile(path, (await readFile(path, 'utf8')).slice(0, -30));
      else if (/^step/.test(name)) await rename(path, `${path}.part`);
    }
    const run = await bench.run(job, undefined, {}, work);
    expect(run.code, run.output).toBe(0);
    expect(run.output).toContain('its manifest is damaged');
    expect(told(run, 'epoch')).toHaveLength(24);
  });

  it('of other numerics is used, which log and record say', async () => {
    const job = jobOf({});
    const { work } = await killedAt(job, 2);
    const run = await bench.run(job, undefined, { SEMDISTILL_BACKEND: 'wasm' }, work);
    expect(run.code, run.output).toBe(0);
    expect(run.output).toMatch(/the steps before were computed by tensorflow, .*the last bits may differ/);
    const [resume] = told(run, 'trial-completed')[0]?.summary.resumes ?? [];
    expect(resume).toMatchObject({ hasOtherNumerics: true, numerics: { backend: 'tensorflow' } });
  });

  it('is written when the trainer is told to stop, and training goes on from just there', async () => {
    const job = jobOf({ epochs: 1000 });
    const stopped = await bench.run(job, (message, child) => {
      if (message.type === 'epoch' && message.metrics.epoch === 3)
        child.send({ type: 'stop' } satisfies TrainerCommand);
    });
    expect(stopped.code, stopped.output).toBe(0);
    const [written] = told(stopped, 'checkpoint');
    expect(await newestStep(stopped.work)).toBe(written?.step);
    const again = await bench.run(
      job,
      (message, child) => {
        // A second signal would end it at once.
        if (message.type === 'epoch' && message.trialId === 'trial-0' && !child.killed) child.kill('SIGTERM');
      },
      {},
      stopped.work,
    );
    expect(again.output).toContain(`resumed at step ${written?.step}`);
    expect(told(again, 'epoch')[0]?.metrics.epoch).toBe(Math.floor((written?.step as number) / 3) + 1);
    // Ended by a signal, it does the same; the message may be lost with the process, the files are there.
    expect(await newestStep(again.work)).toBeGreaterThan(written?.step as number);
  });
});
