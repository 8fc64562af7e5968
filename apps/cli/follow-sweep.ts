// Watches a sweep until it has settled: a live table on a terminal, one line per event elsewhere.
import type { TrialStatus } from '#experiment';
import type { ApiClient, SweepView, TrialView } from './api-client.js';
import type { Context } from './context.js';
import { pause } from './fleet/local-fleet.js';
import { sweepLines, sweepProgress, trialLabel } from './sweep-table.js';
import { Interrupted } from './trouble.js';
import { shownSeconds, varyingNames } from './wording.js';

const SMALL_SWEEP = 64;
const POLL_MS = { small: 1_000, large: 3_000 };
const LINE_EVERY_MS = 5_000;

export interface FollowedSweep {
  sweep: SweepView;
  /** Workers seen at work on it. */
  workers: string[];
  seconds: number;
}

const SETTLED = new Set<string>(['completed', 'completed_with_failures', 'failed', 'cancelled']);

export function isSettled(sweep: { status: string }): boolean {
  return SETTLED.has(sweep.status);
}

/** Resolves when the sweep has settled. Throws Interrupted on Ctrl-C; the sweep itself goes on. */
export async function followSweep(context: Context, client: ApiClient, sweepId: string): Promise<FollowedSweep> {
  const { terminal, texts, interrupted } = context;
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1000;
  const workers = new Set<string>();
  const told = new Map<string, TrialStatus>();
  let saidAt = startedAt;
  let wasPaused = false;
  for (;;) {
    const sweep = await client.sweep(sweepId, interrupted);
    for (const trial of sweep.trials) {
      const worker = trial.progress?.workerId ?? trial.worker;
      if (worker) workers.add(worker);
    }
    const events = newEvents(context, sweep, told);
    if (events.length > 0) saidAt = performance.now();
    for (const line of events) terminal.say(line);
    if (isSettled(sweep)) {
      terminal.live(sweepLines(context, sweep, elapsed()));
      terminal.settle();
      return { sweep, workers: [...workers].sort(), seconds: elapsed() };
    }
    if (sweep.status === 'paused' && !wasPaused) terminal.say(texts.sweepIsPaused(sweepId, context.command));
    wasPaused = sweep.status === 'paused';
    terminal.live(sweepLines(context, sweep, elapsed()));
    if (!terminal.interactive && performance.now() - saidAt >= LINE_EVERY_MS) {
      terminal.say(progressLine(context, sweep, elapsed()));
      saidAt = performance.now();
    }
    await pause(sweep.trials.length <= SMALL_SWEEP ? POLL_MS.small : POLL_MS.large, interrupted);
    if (interrupted.aborted) {
      terminal.settle();
      throw new Interrupted(texts.sweepGoesOn(sweepId, context.command));
    }
  }
}

/** What has changed since the last look, as lines; on a terminal only what the table would not keep: failures. */
function newEvents(context: Context, sweep: SweepView, told: Map<string, TrialStatus>): string[] {
  const names = varyingNames(sweep.trials);
  const lines: string[] = [];
  for (const trial of sweep.trials) {
    const before = told.get(trial.trialId);
    if (before === trial.status) continue;
    told.set(trial.trialId, trial.status);
    if (trial.status === 'queued' || (context.terminal.interactive && trial.status !== 'failed')) continue;
    lines.push(eventLine(context, trial, trialLabel(trial, names, context.texts)));
  }
  return lines;
}

function eventLine({ texts, terminal }: Context, trial: TrialView, label: string): string {
  switch (trial.status) {
    case 'completed':
      return texts.trialCompleted(label, trial.summary?.bestLoss, trial.summary?.bestEpoch);
    case 'failed':
      return terminal.colour('red', texts.trialFailed(label, trial.failure?.reason ?? ''));
    case 'pruned':
      return texts.trialPruned(label, trial.pruned?.reason ?? '');
    case 'running':
      return texts.trialRunning(label, trial.progress?.workerId ?? '');
    default:
      return texts.trialNow(label, texts.status(trial.status));
  }
}

function progressLine({ texts }: Context, sweep: SweepView, seconds: number): string {
  const { done, running, fraction, tokensPerSecond, epoch, epochs, etaSeconds } = sweepProgress(sweep, seconds);
  return texts.sweepProgress({
    done,
    running,
    trials: sweep.trials.length,
    percent: Math.floor(fraction * 100),
    epoch,
    epochs,
    tokensPerSecond,
    elapsed: shownSeconds(seconds),
    eta: etaSeconds === undefined ? '' : shownSeconds(etaSeconds),
  });
}
