// What the handling of any job needs: settings, store, reports, the worker's status, a log; and forking a trainer so that
// it stops when the job is to stop.
import type { Numerics } from '#experiment';
import { GivenBack, type JobContext, type LiveReports } from '#queue';
import type { ObjectStore } from '#storage';
import type { FileCache } from './file-cache.js';
import { trainerEnvironment } from './fork-environment.js';
import type { RunningTrainer, TrainerEnd } from './forked-trainer.js';
import { withPatience } from './store-patience.js';
import type { WarmTrainer } from './trainer-process.js';
import type { TrainerJob, TrainerMessage } from './trainer-protocol.js';
import type { WorkerSettings } from './worker-settings.js';

export interface JobLog {
  log(message: string): void;
  warn(message: string): void;
}

/** What the registry shows of this worker. */
export interface WorkerStatus {
  training(trialIds: string[]): void;
  speed(tokensPerSecond: number): void;
  numerics(numerics: Numerics): void;
}

export interface JobTools {
  settings: WorkerSettings;
  store: ObjectStore;
  cache: FileCache;
  reports: LiveReports;
  status: WorkerStatus;
  /** The next trainer, kept warm. */
  warm: WarmTrainer;
  log: JobLog;
}

/** Forks a trainer for `job`; it is stopped when the job's signal says so. */
export async function forkTrainer(
  tools: JobTools,
  context: JobContext,
  fork: { workFolder: string; job: TrainerJob; onMessage(message: TrainerMessage): void },
): Promise<RunningTrainer> {
  const { settings, status } = tools;
  stopIfAsked(context);
  const trainer = await settings.startTrainer({
    program: settings.trainer,
    workFolder: fork.workFolder,
    job: fork.job,
    environment: trainerEnvironment(settings.config.threads),
    times: settings.times,
    memoryBytes: settings.memoryBytes,
    warm: tools.warm.take(),
    onMessage(message) {
      if (message.type === 'ready') {
        status.numerics(message.numerics);
        tools.warm.prepare(); // not before: two that load at once take twice as long
      }
      if (message.type === 'progress') status.speed(message.tokensPerSecond);
      fork.onMessage(message);
    },
  });
  const stop = () => {
    abortedAt(context.signal);
    trainer.stop(settings.times.leaveGraceMs);
  };
  context.signal.addEventListener('abort', stop, { once: true });
  void trainer.ended.then(() => context.signal.removeEventListener('abort', stop));
  if (context.signal.aborted) stop();
  return trainer;
}

/** Ends the handling of a job that is to stop: given back, or left to the worker that has it now. */
export function stopIfAsked({ signal }: JobContext): void {
  if (!signal.aborted) return;
  if (signal.reason === 'lock-lost') throw new Error('another worker has this job now');
  throw new GivenBack('this worker is going away');
}

/** A trainer stopped from outside (a signal to the whole process group) has done nothing wrong. */
export function giveBackIfStopped(end: TrainerEnd): asserts end is Exclude<TrainerEnd, { kind: 'stopped' }> {
  if (end.kind === 'stopped') throw new GivenBack('the trainer was told to stop');
}

/** Does `work` on the store, waiting out an outage. */
export function patiently<T>(tools: JobTools, context: JobContext, work: () => Promise<T>): Promise<T> {
  const patience = {
    totalMs: tools.settings.times.storePatienceMs,
    signal: context.signal,
    onWait: (error: Error) => tools.log.warn(`waiting for the object store: ${error.message}`),
  };
  return withPatience(patience, work);
}

/** Waits for `work`, but once the worker is to go only as long as it has. True when the work was done by then. */
export async function inTime({ settings }: JobTools, { signal }: JobContext, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  const late = new Promise<false>((resolve) => {
    // The time counts from when the worker was told, which is when the signal was aborted.
    onAbort = () => {
      timer = setTimeout(resolve, Math.max(0, abortedAt(signal) + settings.times.leaveMs - performance.now()), false);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  }
}

const aborts = new WeakMap<AbortSignal, number>();

/** When it was first seen to be aborted. */
function abortedAt(signal: AbortSignal): number {
  const at = aborts.get(signal) ?? performance.now();
  aborts.set(signal, at);
  return at;
}
