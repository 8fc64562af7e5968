// What the names of the objects under a trial or a sweep say: whether it has ended, is cancelled or paused, and which retry or
// version counts. One listing each; of what the objects hold nothing is read.
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

/** Whether somebody should train the trial: it has no result, and nobody has cancelled or paused it. */
export function isOpenTrial(state: TrialState): boolean {
  return !state.hasResult && !state.isCancelled && !state.isPaused;
}

/** Whether nothing more is to come of the trial as it was asked for. */
export function hasTrialEnded(state: TrialState): boolean {
  return state.hasResult || state.isCancelled;
}

export async function readTrialState(store: Pick<ObjectStore, 'list'>, trialId: string): Promise<TrialState> {
  return trialStateOf(await namesBelow(store, keys.trialFolder(trialId)));
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
