// A rolling upgrade of a whole fleet of processes in the middle of a training: one after another is stopped and started anew, and
// nothing is lost: same bytes, settled once, the API there again.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { SettledRecord } from '#experiment';
import { findJson, keys } from '#storage';
import { eventually, filesOf, RealFleet } from '../support/real-fleet.js';

const EPOCHS = 40;

const real = RealFleet.forTests();

async function startApi(): Promise<{ child: ChildProcess; url: string }> {
  const child = real.start('api');
  const [line] = (await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data')) as [Buffer];
  return { child, url: /http:\S+/.exec(line.toString())?.[0] ?? '' };
}

async function get(url: string): Promise<{ status: string }> {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${real.config.apiKey}` } });
  expect(answer.status).toBe(200);
  return (await answer.json()) as { status: string };
}

test('API, aggregator and worker replaced while a bundle is trained: it ends as if nothing had been', async () => {
  const undisturbed = await real.undisturbed(EPOCHS);
  const { trialIds, bundleId } = await real.enqueue(EPOCHS);
  let api = await startApi();
  let aggregator = real.start('aggregator');
  const old = real.startWorker();
  const before = await real.storedStep(bundleId, 10);

  expect(await real.end(api.child, 'SIGTERM')).toBe(0);
  api = await startApi();
  expect((await get(`${api.url}/v1/sweeps/sweep`)).status).toBe('running');
  expect(await real.end(aggregator, 'SIGTERM')).toBe(0);
  aggregator = real.start('aggregator');
  const fresh = real.startWorker();
  await eventually(async () => expect(await real.fleet.liveWorkers()).toHaveLength(2));
  const from = performance.now();
  expect(await real.end(old, 'SIGTERM')).toBe(0);
  expect(performance.now() - from).toBeLessThan(10_000);
  const left = await real.storedStep(bundleId, before);

  const results = await real.results(trialIds);
  expect(results.map(filesOf)).toEqual(undisturbed.map(filesOf));
  expect(results[0]?.summary?.resumes?.map(({ step }) => step)).toEqual([left]);
  expect(results[0]?.fence).toMatch(/^2-/);
  const settled = await eventually(
    async () =>
      (await findJson<SettledRecord>(real.store, keys.sweepSettled('sweep'))) ?? expect.fail('not settled yet'),
  );
  expect(settled).toMatchObject({ status: 'completed', counts: { completed: 2, failed: 0, cancelled: 0 } });
  expect((await get(`${api.url}/v1/sweeps/sweep`)).status).toBe('completed');
  for (const child of [fresh, aggregator, api.child]) expect(await real.end(child, 'SIGTERM')).toBe(0);
});
