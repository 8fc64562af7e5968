// The live status of a bundle's trials: takes every word of the trainer, tells the fleet at most once a second.
import type { LiveTrial } from '#experiment';
import type { LiveReports } from '#queue';
import type { TrainerMessage } from './trainer-protocol.js';

const REPORT_MS = 1_000;
/** A trial of which there is nothing new is told of this often. */
const REPEAT_MS = 15_000;

export type ProgressMessage = Extract<TrainerMessage, { type: 'progress' }>;

export class LiveBundle {
  private readonly trials: Map<string, LiveTrial>;
  private readonly changed = new Set<string>();
  /** When each was told of last, by a clock that is never set. */
  private readonly toldAt = new Map<string, number>();
  private readonly timer: NodeJS.Timeout;
  private firstProgress?: { at: number; fraction: number };

  constructor(
    trialIds: string[],
    workerId: string,
    private readonly reports: LiveReports,
  ) {
    const blank = { phase: 'waiting' as const, workerId, epoch: 0, epochs: 0, step: 0, steps: 0, updatedAt: now() };
    this.trials = new Map(trialIds.map((trialId) => [trialId, { trialId, ...blank }]));
    this.timer = setInterval(() => this.report(), REPORT_MS);
    for (const trialId of trialIds) this.changed.add(trialId);
    this.report();
  }

  progress(message: ProgressMessage): void {
    const etaSeconds = this.eta(message.fraction);
    for (const trial of this.trials.values()) {
      if (trial.phase === 'uploading') continue;
      const { phase, epoch, epochs, step, steps, tokensPerSecond } = message;
      const trainLoss = message.trainLoss[trial.trialId];
      Object.assign(trial, { phase, epoch, epochs, step, steps, tokensPerSecond });
      if (trainLoss !== undefined) trial.trainLoss = trainLoss;
      if (etaSeconds !== undefined) trial.etaSeconds = etaSeconds;
      this.changed.add(trial.trialId);
    }
  }

  /** What is known about a trial beyond the common progress. */
  note(trialId: string, facts: Partial<Pick<LiveTrial, 'phase' | 'validationLoss'>>): void {
    const trial = this.trials.get(trialId);
    if (!trial) return;
    Object.assign(trial, facts);
    this.changed.add(trialId);
  }

  /** The trial is no longer shown as running. */
  async drop(trialId: string, status: 'completed' | 'failed' | 'cancelled' | 'pruned'): Promise<void> {
    this.trials.delete(trialId);
    await this.reports.trialEnded(trialId, status);
  }

  /** As drop, for a trial that goes on some time later. */
  async pause(trialId: string): Promise<void> {
    this.trials.delete(trialId);
    await this.reports.trialPaused(trialId);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private eta(fraction: number): number | undefined {
    const at = performance.now() / 1000;
    this.firstProgress ??= { at, fraction };
    const done = fraction - this.firstProgress.fraction;
    return done > 0 ? ((at - this.firstProgress.at) / done) * (1 - fraction) : undefined;
  }

  /** Unchanged trials are told too: their keys must not expire while a long step or a stalled epoch lasts. */
  private report(): void {
    for (const trial of this.trials.values()) {
      const at = performance.now();
      const isDue = this.changed.has(trial.trialId) || at - (this.toldAt.get(trial.trialId) ?? 0) > REPEAT_MS;
      if (!isDue) continue;
      this.toldAt.set(trial.trialId, at);
      trial.updatedAt = now();
      void this.reports.trial({ ...trial });
    }
    this.changed.clear();
  }
}

function now(): string {
  return new Date().toISOString();
}
