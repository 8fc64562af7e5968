// Early stopping for real: a trainer that holds at a rung and goes on without those that are stopped, and workers that decide by the
// record, once and for all.
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { bundleIdOf, type RungDecision, type RungValue, type SweepRecord, type TrialResult } from '#experiment';
import { findJson, getJson, keys, putJson } from '#storage';
import type { TrainerCommand, TrainerJob, TrainerMessage } from '../../apps/worker/trainer-protocol.js';
import { eventually, RealFleet } from '../support/real-fleet.js';
import { hashes, TrainerBench, told } from '../support/trainer-process.js';

let bench: TrainerBench;

beforeAll(async () => {
  bench = await TrainerBench.open();
});
afterAll(() => bench.close());

const IDS = ['trial-0', 'trial-1', 'trial-2'];

function jobWith(rungs: object): TrainerJob {
  return { ...bench.bundle({ epochs: 12 }, [1, 4, 8]), rungs: { measure: 'validationLoss', ...rungs } } as TrainerJob;
}

const answering =
  (stopped: string[]) => (message: TrainerMessage, child: { send(command: TrainerCommand): unknown }) => {
    if (message.type === 'rung') child.send({ type: 'rung-decided', epoch: message.epoch, stopped });
  };

describe('a trainer at a rung', () => {
  it('stops who is to be stopped, with what he has, and the others end with the bytes they would have had', async () => {
    const whole = await bench.run(bench.bundle({ epochs: 12 }, [1, 4, 8]));
    const run = await bench.run(jobWith({ epochs: [3, 10], trialIds: IDS }), answering(['trial-1']));
    expect(run.code, run.output).toBe(0);
    const rungs = told(run, 'rung');
    expect(rungs.map(({ epoch, values }) => [epoch, Object.keys(values)])).toEqual([
      [3, IDS],
      [10, ['trial-0', 'trial-2']],
    ]);
    const losses = (trialId: string) =>
      told(whole, 'epoch')
        .filter((one) => one.trialId === trialId)
        .map(({ metrics }) => metrics.validationLoss);
    for (const trialId of IDS) expect(rungs[0]?.values[trialId]).toBe(losses(trialId)[2]);
    const [pruned, ...others] = told(run, 'trial-pruned');
    expect(others).toEqual([]);
    expect(pruned).toMatchObject({ trialId: 'trial-1', had: { step: 9 } });
    expect(pruned?.had.epochs.map(({ validationLoss }) => validationLoss)).toEqual(losses('trial-1').slice(0, 3));
    expect(Object.keys(await hashes(run.work, 'trial-1'))).toEqual([
      'best_student_model.safetensors',
      'final_student_model.safetensors',
    ]);
    expect(told(run, 'trial-completed').map(({ trialId }) => trialId)).toEqual(['trial-0', 'trial-2']);
    for (const trialId of ['trial-0', 'trial-2']) {
      const file = 'final_student_model.safetensors';
      expect((await hashes(run.work, trialId))[file]).toBe((await hashes(whole.work, trialId))[file]);
    }
  });

  it('measures the distance to the teacher where that is what counts, and ends when all are stopped', async () => {
    const run = await bench.run(jobWith({ measure: 'divergence', epochs: [3], trialIds: IDS }), answering(IDS));
    expect(run.code, run.output).toBe(0);
    const values = Object.values(told(run, 'rung')[0]?.values ?? {});
    expect(values).toHaveLength(3);
    for (const value of values) expect(value).toBeGreaterThan(0);
    for (const value of values) expect(value).toBeLessThan(Math.LN2);
    expect(told(run, 'trial-pruned')).toHaveLength(3);
    expect(told(run, 'trial-completed')).toEqual([]);
    expect(run.messages.at(-1)).toEqual({ type: 'done' });
  });

  it('killed before it was told, it comes back to the same rung and says the same', async () => {
    const always = { SEMDISTILL_CHECKPOINT_SECONDS: '0' };
    const job = jobWith({ epochs: [3], trialIds: IDS });
    let isAtRung = false;
    const killed = await bench.run(
      job,
      (message, child) => {
        isAtRung ||= message.type === 'rung';
        if (isAtRung && message.type === 'busy') child.kill('SIGKILL');
      },
      always,
    );
    const again = await bench.run(job, answering(['trial-2']), always, killed.work);
    expect(again.code, again.output).toBe(0);
    expect(told(again, 'rung')).toEqual(told(killed, 'rung'));
    expect(told(again, 'trial-pruned').map(({ trialId }) => trialId)).toEqual(['trial-2']);
    expect(told(again, 'trial-completed').map(({ trialId }) => trialId)).toEqual(['trial-0', 'trial-1']);
  });
});

const real = RealFleet.forTests();
const SWEEP = 'sweep';
const RUNG = { sweepId: SWEEP, seed: 5, epoch: 3 };

/** The tiny sweep of two students, with early stopping: of the two one goes on. */
async function enqueue(): Promise<string[]> {
  const { trialIds } = await real.enqueue(12, { hasRules: true });
  const sweep = await getJson<SweepRecord>(real.store, keys.sweep(SWEEP));
  const earlyStopping = { measure: 'validationLoss', reduction: 2, graceEpochs: 3 };
  await putJson(real.store, keys.sweep(SWEEP), { ...sweep, request: { earlyStopping } });
  return trialIds;
}

const prunedOf = (trialId: string) => findJson<TrialResult>(real.store, keys.trialPruned(trialId, SWEEP));

test('a worker stops the one that is behind; values and decisions are in the record', async () => {
  const trialIds = await enqueue();
  real.startWorker();
  const [value0, value1] = await eventually(() =>
    Promise.all(trialIds.map((trialId) => getJson<RungValue>(real.store, keys.rungValue(RUNG, trialId)))),
  );
  const behind = (value0?.value ?? 0) > (value1?.value ?? 0) ? 0 : 1;
  const [stopped, goesOn] = [trialIds[behind] as string, trialIds[1 - behind] as string];
  const pruned = await eventually(async () => (await prunedOf(stopped)) ?? expect.fail('not yet'));
  expect(pruned).toMatchObject({
    status: 'pruned',
    pruned: { cause: 'early-stopping', decision: { rank: 2, reached: 2, isStopped: true, epoch: 3 } },
  });
  expect(pruned.pruned?.reason).toMatch(/^Stopped early after 3 epochs: .* number 2 of the 2 .* the best 1 go on\.$/);
  expect(pruned.pruned?.epochs).toHaveLength(3);
  expect(pruned.artifacts.map(({ name }) => name)).toContain('final_student_model.safetensors');
  for (const file of pruned.artifacts) expect(await real.store.head(file.key)).toMatchObject({ sha256: file.sha256 });
  const [result] = await real.results([goesOn]);
  expect(result?.status).toBe('completed');
  expect(await prunedOf(goesOn)).toBeUndefined();
  expect(await findJson(real.store, keys.trialResult(stopped))).toBeUndefined();
  await real.nothingLeft();
});

test('what was decided before stands, whatever the values would say now', async () => {
  const trialIds = await enqueue();
  for (const [at, trialId] of trialIds.entries()) {
    const decision: RungDecision = {
      trialId,
      measure: 'validationLoss',
      epoch: 3,
      value: 1,
      rank: 1,
      reached: 7,
      isStopped: at === 0,
    };
    await putJson(real.store, keys.rungDecision(RUNG, trialId), decision);
  }
  real.startWorker();
  const [first, second] = trialIds as [string, string];
  await eventually(async () => expect(await prunedOf(first)).toBeDefined());
  const [result] = await real.results([second]);
  expect(result?.status).toBe('completed');
  await real.nothingLeft();
});

test('a sweep that does not stop early trains what another one has stopped', async () => {
  const trialIds = await enqueue();
  const worker = real.startWorker();
  const stopped = await eventually(async () => {
    for (const trialId of trialIds) if (await prunedOf(trialId)) return trialId;
    return expect.fail('not yet');
  });
  await real.nothingLeft();
  await real.end(worker, 'SIGTERM');
  const sweep = await getJson<SweepRecord>(real.store, keys.sweep(SWEEP));
  await putJson(real.store, keys.sweep('other'), { ...sweep, sweepId: 'other', request: {} });
  const bundleId = bundleIdOf(sweep.bundles[0] ?? []);
  await real.fleet.enqueue([{ kind: 'bundle', bundleId, sweepId: 'other', owner: 'me', trialIds }]);
  real.startWorker();
  const [result] = await real.results([stopped]);
  expect(result?.status).toBe('completed');
  expect(result?.summary?.epochs).toHaveLength(12);
  expect(await prunedOf(stopped)).toBeDefined();
});

test('a worker begins nothing that its sweep cannot pay for', async () => {
  const { trialIds } = await real.enqueue(12, { hasRules: true });
  const sweep = await getJson<SweepRecord>(real.store, keys.sweep(SWEEP));
  const trials = [...sweep.trials, { trialId: 'done', role: 'requested' as const }];
  const bundles = [...sweep.bundles, ['done']];
  await putJson(real.store, keys.sweep(SWEEP), { ...sweep, trials, bundles, request: { budget: 4 } });
  const summary = { trainingSeconds: 3, evaluationSeconds: 2 };
  const finishedAt = new Date().toISOString();
  await putJson(real.store, keys.trial('done'), {});
  await putJson(real.store, keys.trialResult('done'), { trialId: 'done', status: 'completed', summary, finishedAt });
  real.startWorker();
  for (const trialId of trialIds) {
    const pruned = await eventually(async () => (await prunedOf(trialId)) ?? expect.fail('not yet'));
    expect(pruned.pruned).toMatchObject({
      cause: 'budget',
      reason: expect.stringContaining('spent 5 of its budget of 4'),
    });
  }
  await eventually(async () => expect(await real.fleet.counts()).toEqual({ waiting: 0, active: 0 }));
  expect(real.logs[0]).toContain('is not begun: the budget of its sweep is spent');
  expect(real.logs[0]).not.toContain('attempt 1\n');
  for (const trialId of trialIds) expect(await findJson(real.store, keys.trialResult(trialId))).toBeUndefined();
});
