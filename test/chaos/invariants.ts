// What must hold when all is well again, read from record, Redis and machine, past everything that was disturbed.
import { createHash } from 'node:crypto';
import type { SettledRecord, SweepRecord, TrialResult } from '#experiment';
import { findFaults } from '#reconciliation';
import { findJson, getJson, keys, readSweepState, readTrialState } from '#storage';
import { filesOf } from '../support/real-fleet.js';
import type { ChaosFleet } from './chaos-fleet.js';

/** Files of each trial by name, as an undisturbed run leaves them. */
export type Reference = Map<string, Record<string, string>>;

export async function resultsOf({ store }: ChaosFleet, sweepId: string): Promise<Map<string, TrialResult>> {
  const { version } = await readSweepState(store, sweepId);
  const sweep = await getJson<SweepRecord>(store, keys.sweep(sweepId, version));
  const results = new Map<string, TrialResult>();
  for (const { trialId } of sweep.trials) {
    const { retry, hasResult } = await readTrialState(store, trialId);
    if (hasResult) results.set(trialId, await getJson<TrialResult>(store, keys.trialResult(trialId, retry)));
  }
  return results;
}

/** Faults of one sweep that has ended. */
export async function faultsOfSweep(fleet: ChaosFleet, sweepId: string, reference: Reference): Promise<string[]> {
  const { store } = fleet;
  const faults: string[] = [];
  const { version, isCancelled } = await readSweepState(store, sweepId);
  const sweep = await getJson<SweepRecord>(store, keys.sweep(sweepId, version));
  const settled = await findJson<SettledRecord>(store, keys.sweepSettled(sweepId, version));
  if (!settled) return [`sweep ${sweep.name} is not settled`];
  const results = await resultsOf(fleet, sweepId);
  for (const { trialId } of sweep.trials) {
    const result = results.get(trialId);
    if (!result && !isCancelled) faults.push(`trial ${trialId} of ${sweep.name} has no result`);
    if (result) faults.push(...(await faultsOfResult(fleet, result, reference)));
  }
  const completed = [...results.values()].filter(({ status }) => status === 'completed').length;
  if (isCancelled ? settled.counts.completed > completed : settled.counts.completed !== completed)
    faults.push(`sweep ${sweep.name}: settled with ${settled.counts.completed} completed, the record has ${completed}`);
  for (const file of settled.reportFiles) faults.push(...(await faultsOfFile(fleet, file)));
  return faults;
}

async function faultsOfResult(fleet: ChaosFleet, result: TrialResult, reference: Reference): Promise<string[]> {
  const { trialId, status, failure, artifacts, fence } = result;
  if (status !== 'completed') return [`trial ${trialId} ${status}: ${failure?.reason}`];
  const faults: string[] = [];
  for (const file of artifacts) {
    faults.push(...(await faultsOfFile(fleet, file)));
    if (!file.key.includes(`/attempts/${fence}/`)) faults.push(`${file.key} is not of attempt ${fence}`);
  }
  const files = filesOf(result);
  const wanted = reference.get(trialId);
  if (JSON.stringify(files) !== JSON.stringify(wanted))
    faults.push(
      `trial ${trialId} differs from an undisturbed run: ${JSON.stringify({ files, wanted, resumes: result.summary?.resumes })}`,
    );
  return faults;
}

async function faultsOfFile(
  { store }: ChaosFleet,
  { key, sha256, size }: { key: string; sha256: string; size: number },
): Promise<string[]> {
  const bytes = await store.get(key).catch((error: Error) => error);
  if (bytes instanceof Error) return [`${key} cannot be read: ${bytes.message}`];
  const found = createHash('sha256').update(bytes).digest('hex');
  return found === sha256 && bytes.length === size
    ? []
    : [`${key}: ${bytes.length} bytes ${found}, not ${size} ${sha256}`];
}

/** What is left in Redis, or in disagreement with the record. */
export async function faultsAtRest({ store, fleet }: ChaosFleet): Promise<string[]> {
  const counts = await fleet.counts();
  const faults = counts.active + counts.waiting > 0 ? [`jobs are left: ${JSON.stringify(counts)}`] : [];
  for await (const { kind, message } of findFaults({ store, fleet })) faults.push(`${kind}: ${message}`);
  return faults;
}
