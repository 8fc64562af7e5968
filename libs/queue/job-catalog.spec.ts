// Ids, retention and sizes of the fleet's jobs.
import { expect, test } from 'vitest';
import type { FleetJob } from './fleet.js';
import { backOffMs, jobIdOf, jobOptions } from './job-catalog.js';

const bundle: FleetJob = { kind: 'bundle', bundleId: 'abc', sweepId: 's', owner: 'o', trialIds: ['t1'] };
const preparation: FleetJob = { kind: 'preparation', preparationId: 'def', owner: 'o' };

test('the same work has the same id, of a form BullMQ accepts', () => {
  expect(jobIdOf(bundle)).toBe('bundle-abc');
  expect(jobIdOf({ ...bundle, trialIds: ['t2'] })).toBe('bundle-abc');
  expect(jobIdOf(preparation)).toBe('preparation-def');
});

test('finished jobs leave nothing behind and failed attempts are tried again', () => {
  for (const job of [bundle, preparation]) {
    expect(jobOptions(job)).toMatchObject({ removeOnComplete: true, removeOnFail: true });
    // A job put off until a time of day is at the mercy of one machine's clock.
    expect(jobOptions(job)).not.toHaveProperty('backoff');
    expect(jobOptions(job)).not.toHaveProperty('delay');
  }
  expect([0, 1, 2].map((made) => backOffMs('preparation', made))).toEqual([2_000, 4_000, 8_000]);
  expect(jobOptions(preparation).attempts).toBe(3);
  // How often a bundle may fail without getting further is counted in the record.
  expect(jobOptions(bundle).attempts).toBeGreaterThan(1_000);
});

test('the largest bundle fits the payload limit', () => {
  const trialIds = Array.from({ length: 64 }, (_, index) => index.toString(16).padStart(64, '0'));
  const size = JSON.stringify({ ...bundle, bundleId: 'f'.repeat(64), trialIds }).length;
  expect(size).toBeLessThan(jobOptions(bundle).sizeLimit ?? 0);
});
