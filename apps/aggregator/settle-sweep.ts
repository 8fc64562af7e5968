// The end of a sweep: results counted, report made and stored, settled.json written last and once. Safe to run twice, or
// on two machines at a time.
import {
  buildReport,
  type CorpusRecord,
  type SettledRecord,
  type SweepRecord,
  type SweepRequest,
  type TeacherRecord,
  type TrialRecord,
  type TrialResult,
} from '#experiment';
import { findJson, getJson, keys, type ObjectStore, putJsonIfAbsent, readTrialEnding } from '#storage';
import { chartImages } from './chart-images.js';
import { crossDecodingOf, openJoin, type SweepParts } from './cross-decoding.js';
import { inParallel } from './in-parallel.js';
import { writeTrial } from './open-sweep.js';
import { renderReport, storeReport } from './report-files.js';

const READS_AT_ONCE = 16;

export type Settling =
  | { outcome: 'settled'; record: SettledRecord; isOurs: boolean }
  /** Its models are being joined, which makes the report whole; `isNew`: nobody has been asked to yet. */
  | { outcome: 'joining'; preparationId: string; isNew: boolean }
  /** These trials have neither a result nor a cancellation after all. */
  | { outcome: 'open'; trialIds: string[] };

/** Settles the sweep if each trial has ended, or at once if the sweep was cancelled. */
export async function settleSweep(store: ObjectStore, sweep: SweepRecord): Promise<Settling> {
  const { sweepId, version = 1 } = sweep;
  const key = keys.sweepSettled(sweepId, version);
  const standing = await findJson<SettledRecord>(store, key);
  if (standing) return { outcome: 'settled', record: standing, isOurs: false };
  const isCancelled = (await store.head(keys.sweepCancelled(sweepId, version))) !== undefined;
  const waitedFor = isCancelled ? undefined : await openJoin(store, sweep);
  if (waitedFor) return { outcome: 'joining', preparationId: waitedFor, isNew: false };
  const trialIds = [...new Set(sweep.trials.map(({ trialId }) => trialId))];
  const trials = await inParallel(trialIds, READS_AT_ONCE, async (trialId) => {
    const ending = await readTrialEnding<TrialResult>(store, trialId, sweep);
    if (!ending.state.exists) await writeTrial(store, sweep, trialId);
    return { trialId, ...ending };
  });
  const open = trials.filter(({ hasEnded }) => !hasEnded).map(({ trialId }) => trialId);
  if (open.length > 0 && !isCancelled) return { outcome: 'open', trialIds: open };
  const ended = trials.flatMap(({ result }) => result ?? []);
  const counts = countOf(ended, trialIds.length);
  const parts = counts.completed > 0 ? await reportParts(store, sweep, ended) : undefined;
  const { crossDecoding: isJoined = true } = sweep.request as Partial<SweepRequest>;
  const joined = parts && isJoined && !isCancelled ? await crossDecodingOf(store, parts) : undefined;
  if (joined?.state === 'open') return { outcome: 'joining', preparationId: joined.preparationId, isNew: joined.isNew };
  const record: SettledRecord = {
    sweepId,
    ...(version > 1 ? { version } : {}),
    status: isCancelled ? 'cancelled' : statusOf(counts),
    counts,
    reportFiles: parts
      ? await storeReport(
          store,
          sweep,
          renderReport(
            buildReport(sweep, parts.teacher, parts.corpus, parts.trials, joined?.crossDecoding),
            await chartImages(),
          ),
        )
      : [],
    settledAt: new Date().toISOString(),
  };
  const isOurs = await putJsonIfAbsent(store, key, record);
  return { outcome: 'settled', record, isOurs };
}

async function reportParts(store: ObjectStore, sweep: SweepRecord, results: TrialResult[]): Promise<SweepParts> {
  const [teacher, corpus] = await Promise.all([
    getJson<TeacherRecord>(store, keys.teacher(sweep.teacherId)),
    getJson<CorpusRecord>(store, keys.corpus(sweep.corpusId)),
  ]);
  const trials = await inParallel(results, READS_AT_ONCE, async (result) => {
    const { spec } = await getJson<TrialRecord>(store, keys.trial(result.trialId));
    return { spec, result };
  });
  return { sweep, teacher, corpus, trials };
}

function countOf(results: TrialResult[], trials: number): SettledRecord['counts'] {
  const count = (status: TrialResult['status']) => results.filter((result) => result.status === status).length;
  const [completed, failed, pruned] = [count('completed'), count('failed'), count('pruned')];
  return { completed, failed, cancelled: trials - results.length, ...(pruned > 0 ? { pruned } : {}) };
}

/** Of a sweep whose trials have all ended without the sweep being cancelled as a whole. */
export function statusOf({ completed, failed, cancelled }: SettledRecord['counts']): SettledRecord['status'] {
  // What the sweep itself has pruned is no failure.
  if (failed + cancelled === 0) return 'completed';
  if (completed > 0) return 'completed_with_failures';
  return failed > 0 ? 'failed' : 'cancelled';
}
