// What the names of the objects under a trial or a sweep say: whether it has ended, is cancelled or paused, and which retry or
// version counts. One listing each; of what the objects hold nothing is read.
import { findJson } from './json-objects.js';
import { keys } from './keys.js';
import { listPages } from './listing.js';
import type { ObjectStore } from './object-store.js';

/** Where a trial stands by the record. */
export interface TrialState {
  exists: boolean;
  /** Which retry counts; 0: it was never asked for again after a failure. */
  retry: number;
  /** The retry that counts has its result, see keys.trialResult. */
  hasResult: boolean;
  isCancelled: boolean;
  isPaused: boolean;
  /** Sweeps that gave it up before its end, see keys.trialPruned. */
  prunedIn: readonly string[];
}

/** Who asks for a trial: what one sweep has given up another may want. */
export interface AskingSweep {
  sweepId: string;
}

/** Where a sweep stands by the record. */
export interface SweepState {
  exists: boolean;
  /** The newest version, the one that counts. */
  version: number;
  isSettled: boolean;
  isCancelled: boolean;
  isPaused: boolean;
}

/** Whether somebody should train the trial for this sweep: it has no result, and nobody has cancelled, paused or pruned it. */
export function isOpenTrial(state: TrialState, asking?: AskingSweep): boolean {
  return !hasTrialEnded(state, asking) && !state.isPaused;
}

/** Whether nothing more is to come of the trial as this sweep asked for it (left out: as anybody may). */
export function hasTrialEnded(state: TrialState, asking?: AskingSweep): boolean {
  return state.hasResult || state.isCancelled || isPrunedFor(state, asking);
}

/** What a sweep has pruned stays so for it, whatever becomes of the trial elsewhere. */
export function isPrunedFor({ prunedIn }: TrialState, asking?: AskingSweep): boolean {
  return asking !== undefined && prunedIn.includes(asking.sweepId);
}

export async function readTrialState(store: Pick<ObjectStore, 'list'>, trialId: string): Promise<TrialState> {
  return trialStateOf(await namesBelow(store, keys.trialFolder(trialId)));
}

/** How the trial has ended for this sweep: what it says of it as `Result`, where it says something. */
export async function readTrialEnding<Result>(
  store: ObjectStore,
  trialId: string,
  asking: AskingSweep,
): Promise<{ state: TrialState; hasEnded: boolean; result?: Result }> {
  const state = await readTrialState(store, trialId);
  const { hasResult, retry } = state;
  const ended = isPrunedFor(state, asking)
    ? keys.trialPruned(trialId, asking.sweepId)
    : hasResult
      ? keys.trialResult(trialId, retry)
      : undefined;
  const result = ended === undefined ? undefined : await findJson<Result>(store, ended);
  return { state, hasEnded: hasTrialEnded(state, asking), ...(result === undefined ? {} : { result }) };
}

export async function readSweepState(store: Pick<ObjectStore, 'list'>, sweepId: string): Promise<SweepState> {
  return sweepStateOf(await namesBelow(store, keys.sweepFolder(sweepId)));
}

/** From the names below trials/<id>/. */
export function trialStateOf(names: ReadonlySet<string>): TrialState {
  const retry = highest(names, /^retries\/(\d+)\.json$/);
  const hasResult = names.has(retry === 0 ? 'result.json' : `results/${retry}.json`);
  return {
    exists: names.has('trial.json'),
    retry,
    hasResult,
    isCancelled: !hasResult && names.has('cancelled.json'),
    isPaused: !hasResult && !names.has('cancelled.json') && names.has('paused.json'),
    prunedIn: [...names].flatMap((name) => /^pruned\/([^/]+)\.json$/.exec(name)?.[1] ?? []).sort(),
  };
}

/** From the names below sweeps/<id>/. */
export function sweepStateOf(names: ReadonlySet<string>): SweepState {
  const version = Math.max(1, highest(names, /^versions\/(\d+)\/sweep\.json$/));
  const own = (name: string) => names.has(version === 1 ? name : `versions/${version}/${name}`);
  const isSettled = own('settled.json');
  const isCancelled = own('cancelled.json');
  return {
    exists: names.has('sweep.json'),
    version,
    isSettled,
    isCancelled,
    isPaused: !isSettled && !isCancelled && names.has('paused.json'),
  };
}

function highest(names: ReadonlySet<string>, pattern: RegExp): number {
  let found = 0;
  for (const name of names) found = Math.max(found, Number(pattern.exec(name)?.[1] ?? 0));
  return found;
}

async function namesBelow(store: Pick<ObjectStore, 'list'>, folder: string): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const objects of listPages(store, folder))
    for (const { key } of objects) names.add(key.slice(folder.length));
  return names;
}
