// A sweep as lines of a table, one row a trial, and its progress as one line.
import Table from 'cli-table3';
import type { Hyperparameters, LiveTrial, TrialStatus } from '#experiment';
import type { SweepView, TrialView } from './api-client.js';
import type { Context } from './context.js';
import type { Texts } from './texts.js';
import { shownRate, shownSeconds, shownSetting, varyingNames } from './wording.js';

/** Training is most of a trial's time, measuring the rest. */
const TRAINING_SHARE = 0.85;
const MIN_FRACTION_FOR_ETA = 0.03;

const ENDED: TrialStatus[] = ['completed', 'failed', 'cancelled', 'pruned'];
/** In a table too long for the screen the ones at work are seen first. */
const ORDER: TrialStatus[] = [
  'running',
  'recovering',
  'failed',
  'paused',
  'queued',
  'completed',
  'cancelled',
  'pruned',
];

export interface SweepProgress {
  done: number;
  running: number;
  /** 0 to 1 */
  fraction: number;
  tokensPerSecond: number;
  epoch: number;
  epochs: number;
  etaSeconds?: number;
}

/** Sums up where a sweep stands; the time left is what it has taken so far, scaled. */
export function sweepProgress(sweep: SweepView, elapsedSeconds: number): SweepProgress {
  const running = sweep.trials.filter((trial) => trial.status === 'running' || trial.status === 'recovering');
  const done = sweep.trials.filter((trial) => ENDED.includes(trial.status)).length;
  const fraction =
    sweep.trials.reduce((sum, trial) => sum + trialFraction(trial), 0) / Math.max(1, sweep.trials.length);
  const live = running.flatMap((trial) => trial.progress ?? []);
  const progress: SweepProgress = {
    done,
    running: running.length,
    fraction,
    tokensPerSecond: totalRate(live),
    epoch: Math.max(0, ...live.map((trial) => trial.epoch)),
    epochs: Math.max(0, ...live.map((trial) => trial.epochs)),
  };
  if (fraction > MIN_FRACTION_FOR_ETA && fraction < 1)
    progress.etaSeconds = (elapsedSeconds * (1 - fraction)) / fraction;
  return progress;
}

/** Trials trained together report their process's rate, not their own: it counts once a worker. */
function totalRate(live: LiveTrial[]): number {
  const rates = new Map(live.map((trial) => [trial.workerId, trial.tokensPerSecond ?? 0]));
  return [...rates.values()].reduce((sum, rate) => sum + rate, 0);
}

function trialFraction(trial: TrialView): number {
  if (ENDED.includes(trial.status)) return 1;
  const live = trial.progress;
  if (trial.status !== 'running' || live === undefined) return 0;
  if (live.phase === 'uploading') return 0.99;
  const trained = live.steps > 0 ? live.step / live.steps : 0;
  return live.phase === 'evaluating' ? TRAINING_SHARE : trained * TRAINING_SHARE;
}

/** 'T4 seed 2', with a word for trials put in by the planner. */
export function trialLabel(
  trial: { hyperparameters: Hyperparameters; role?: string },
  names: (keyof Hyperparameters)[],
  texts: Texts,
): string {
  const setting = shownSetting(trial, names);
  const role = trial.role === 'baseline' ? `${texts.role('baseline')} ` : '';
  return `${role}${setting}${setting === '' ? '' : ' '}${texts.seed} ${trial.hyperparameters.seed}`;
}

/** The live block: header, rows as many as fit, bar. */
export function sweepLines(context: Context, sweep: SweepView, elapsedSeconds: number): string[] {
  const { terminal, texts } = context;
  const room = Math.max(3, terminal.rows - 6);
  const names = varyingNames(sweep.trials);
  const isTooLong = sweep.trials.length > room;
  const trials = isTooLong
    ? [...sweep.trials].sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status))
    : sweep.trials;
  const table = plainTable([
    texts.columnSetting,
    texts.columnSeed,
    texts.columnState,
    texts.columnWorker,
    texts.columnEpoch,
    texts.columnLoss,
    texts.columnRate,
  ]);
  for (const trial of trials.slice(0, room)) table.push(row(context, trial, names));
  const lines = table.toString().split('\n');
  if (isTooLong) lines.push(terminal.colour('dim', texts.andMore(trials.length - room)));
  return [...lines, barLine(context, sweep, elapsedSeconds)];
}

function row(context: Context, trial: TrialView, names: (keyof Hyperparameters)[]): string[] {
  const { texts, terminal } = context;
  const live = trial.status === 'running' ? trial.progress : undefined;
  const loss = trial.summary?.bestLoss ?? live?.validationLoss ?? live?.trainLoss;
  const role = trial.role === 'baseline' ? texts.role('baseline') : '';
  const state = live && live.phase !== 'training' ? texts.phase(live.phase) : texts.status(trial.status);
  return [
    [role, shownSetting(trial, names)].filter(Boolean).join(' ') || '-',
    String(trial.hyperparameters.seed),
    terminal.colour(colourOf(trial.status), state),
    live?.workerId ?? trial.worker ?? '',
    live
      ? `${live.epoch}/${live.epochs}`
      : trial.summary
        ? `${trial.hyperparameters.epochs}/${trial.hyperparameters.epochs}`
        : '',
    loss === undefined ? '' : loss.toFixed(4),
    shownRate(live?.tokensPerSecond),
  ];
}

function colourOf(status: TrialStatus): 'green' | 'red' | 'yellow' | 'cyan' | 'dim' {
  if (status === 'completed') return 'green';
  if (status === 'failed') return 'red';
  if (status === 'running') return 'cyan';
  return status === 'recovering' || status === 'paused' ? 'yellow' : 'dim';
}

function barLine({ texts, terminal }: Context, sweep: SweepView, elapsedSeconds: number): string {
  const { fraction, done, etaSeconds } = sweepProgress(sweep, elapsedSeconds);
  const width = 24;
  const full = Math.round(fraction * width);
  const bar = terminal.colour('cyan', '█'.repeat(full)) + terminal.colour('dim', '░'.repeat(width - full));
  const eta = etaSeconds === undefined ? '' : texts.timeLeft(shownSeconds(etaSeconds));
  return `${bar} ${texts.trialsDone(done, sweep.trials.length)} · ${shownSeconds(elapsedSeconds)}${eta}`;
}

/** A table without frames, columns two spaces apart. */
export function plainTable(head: string[], rightAligned: number[] = []): Table.Table {
  return new Table({
    head,
    colAligns: head.map((_, index) => (rightAligned.includes(index) ? 'right' : 'left')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '',
    },
  });
}
