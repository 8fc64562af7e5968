// What a sweep has spent of device time, by the record alone: what its trials' results say, and the newest checkpoints of those
// that run. Where that has reached its budget, nothing more is begun (docs/decisions/0011).
import { bundleIdOf } from './identity.js';
import type { SweepRecord, TrialResult } from './records.js';
import type { SweepRequest } from './requests.js';

/** A training on its way: the time its newest checkpoint tells of, and how many of its trials are the sweep's to pay for. */
export interface RunningCost {
  seconds: number;
  students: number;
  open: number;
}

/** Device-seconds of the sweep: of results made for it (reused ones cost it nothing), and of what runs. */
export function spentSeconds(
  { createdAt }: Pick<SweepRecord, 'createdAt'>,
  results: readonly TrialResult[],
  running: readonly RunningCost[] = [],
): number {
  const own = results.filter(({ finishedAt }) => finishedAt >= createdAt);
  const ended = own.reduce((sum, result) => sum + secondsOf(result), 0);
  return (
    ended + running.reduce((sum, { seconds, students, open }) => sum + (seconds * open) / Math.max(1, students), 0)
  );
}

/** How the record is read for it; the stores' business. */
export interface SpendingReader {
  /** How the trial has ended for the sweep; `hasEnded` without a result: it was cancelled. */
  ending(trialId: string): Promise<{ hasEnded: boolean; result?: TrialResult }>;
  bundle(bundleId: string): Promise<{ hasBegun: boolean; seconds: number; students: number }>;
}

/** The same reader, which asks for no trial again that has completed or was stopped early: neither ever changes. */
export function remembering(reader: SpendingReader, known: Map<string, TrialResult>): SpendingReader {
  return {
    bundle: reader.bundle,
    ending: async (trialId) => {
      const result = known.get(trialId);
      if (result) return { hasEnded: true, result };
      const ending = await reader.ending(trialId);
      if (ending.result?.status === 'completed' || ending.result?.pruned?.cause === 'early-stopping')
        known.set(trialId, ending.result);
      return ending;
    },
  };
}

/** What the sweep has spent, and which of its open trials nobody has begun. */
export async function readSpending(
  sweep: Pick<SweepRecord, 'createdAt' | 'bundles'>,
  reader: SpendingReader,
): Promise<{ spent: number; waiting: string[] }> {
  const results: TrialResult[] = [];
  const running: RunningCost[] = [];
  const waiting: string[] = [];
  for (const bundle of sweep.bundles) {
    const endings = await Promise.all(bundle.map((trialId) => reader.ending(trialId)));
    results.push(...endings.flatMap(({ result }) => result ?? []));
    const open = bundle.filter((_, index) => !endings[index]?.hasEnded);
    if (open.length === 0) continue;
    const { hasBegun, seconds, students } = await reader.bundle(bundleIdOf(bundle));
    if (hasBegun) running.push({ seconds, students, open: open.length });
    else waiting.push(...open);
  }
  return { spent: spentSeconds(sweep, results, running), waiting };
}

/** What a sweep with a budget has spent, once that is all of it, and which of its open trials nobody has begun; else undefined. */
export async function readOverspending(
  sweep: SweepRecord,
  reader: SpendingReader,
  known: Map<string, TrialResult>,
): Promise<{ spent: number; waiting: string[] } | undefined> {
  const budget = budgetOf(sweep);
  if (budget === undefined) return undefined;
  const spending = await readSpending(sweep, remembering(reader, known));
  return spending.spent < budget ? undefined : spending;
}

/** A trial's share of the device time; of a failed one the share of the time from its attempt's start to its end. */
export function secondsOf(result: TrialResult): number {
  const { status, summary, pruned, startedAt, finishedAt, bundleTrialIds } = result;
  if (summary) return summary.trainingSeconds + summary.evaluationSeconds;
  if (status === 'pruned') return pruned?.trainingSeconds ?? 0;
  const seconds = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) / Math.max(1, bundleTrialIds.length) : 0;
}

/** Device-seconds the sweep may take; undefined: any. */
export function budgetOf({ request }: Pick<SweepRecord, 'request'>): number | undefined {
  return (request as Partial<SweepRequest>).budget;
}

/** What a trial is to the sweep that had no device time left for it. */
export function unaffordable(sweep: SweepRecord, trialId: string, spent: number, now = new Date()): TrialResult {
  const budget = budgetOf(sweep) ?? 0;
  const at = now.toISOString();
  return {
    trialId,
    status: 'pruned',
    pruned: {
      sweepId: sweep.sweepId,
      cause: 'budget',
      reason: `Not begun: the sweep has spent ${Math.round(spent)} of its budget of ${budget} device-seconds; extend it by a further budget to train the rest.`,
    },
    fence: '',
    worker: '',
    bundleTrialIds: [],
    artifacts: [],
    startedAt: at,
    finishedAt: at,
  };
}
