// What a sweep kept of a trial that it stopped early is no leftover when another sweep has had the trial trained to the end.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from '#config';
import type { TrialResult } from '#experiment';
import { keys, type ObjectStore, openStore, putJson } from '#storage';
import { findDispensable } from '../../apps/cli/retention.js';
import { putResult, putSweep, putTeacherAndCorpus } from '../support/fleet-records.js';

let folder: string;
let store: ObjectStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'semdistill-retention-'));
  store = await openStore(readConfig({ SEMDISTILL_STORE: folder }).store);
  await putTeacherAndCorpus(store);
});
afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

test('its files stay, those that nobody refers to go', async () => {
  const { specs } = await putSweep(store, 'stops');
  const [[trialId, spec] = expect.fail('no trial')] = [...specs];
  await putResult(store, trialId, spec);
  const kept = keys.trialArtifact(trialId, '1-stopped', 'final_student_model.safetensors');
  const orphan = keys.trialArtifact(trialId, '2-late', 'final_student_model.safetensors');
  for (const key of [kept, orphan]) await store.put(key, Buffer.from(key), { contentType: 'text/plain' });
  const artifact = { name: 'final_student_model.safetensors', key: kept, size: 1, sha256: '', contentType: '' };
  const pruned = { trialId, status: 'pruned', artifacts: [artifact] } as unknown as TrialResult;
  await putJson(store, keys.trialPruned(trialId, 'stops'), pruned);
  const found = [];
  const now = new Date('2027-01-01T00:00:00.000Z');
  for await (const one of findDispensable(store, { checkpointDays: 30, now })) found.push(one);
  expect(found.flatMap(({ orphans }) => orphans.map(({ key }) => key))).toEqual([orphan]);
});
