// A sweep that is not settled yet, as one aggregator remembers it between two looks at the record: what has ended is not
// asked for again.
import { type SweepRecord, type TrialResult, trialInSweep } from '#experiment';
import { hasTrialEnded, keys, type ObjectStore, putJsonIfAbsent, readTrialState } from '#storage';
import { inParallel } from './in-parallel.js';

const READS_AT_ONCE = 16;
/** Looking at one open trial costs about this; a huge sweep is looked at less often, events tell of it meanwhile. */
const LOOK_MS_PER_TRIAL = 20;

/** Writes the trial's own record where a large sweep was accepted without. */
export async function writeTrial(store: ObjectStore, sweep: SweepRecord, trialId: string): Promise<void> {
  const record = trialInSweep(sweep, trialId);
  if (record) await putJsonIfAbsent(store, keys.trial(trialId), record);
}

export class OpenSweep {
  private readonly asked: Set<string>;
  private readonly ended = new Set<string>();
  private readonly paused = new Set<string>();
  /** Results that have been read for its budget. */
  readonly results = new Map<string, TrialResult>();
  private nextLookAt = Number.NEGATIVE_INFINITY;

  constructor(readonly record: SweepRecord) {
    this.asked = new Set(record.trials.map(({ trialId }) => trialId));
  }

  /** Trials without a result and not cancelled, as far as is known. */
  get openTrials(): string[] {
    return [...this.asked].filter((trialId) => !this.ended.has(trialId));
  }

  get isOver(): boolean {
    return this.ended.size === this.asked.size;
  }

  asksFor(trialId: string): boolean {
    return this.asked.has(trialId);
  }

  isOpen(trialId: string): boolean {
    return this.asked.has(trialId) && !this.ended.has(trialId);
  }

  /** Open, and nobody has paused it. */
  isWanted(trialId: string): boolean {
    return this.isOpen(trialId) && !this.paused.has(trialId);
  }

  get isDue(): boolean {
    return performance.now() >= this.nextLookAt;
  }

  /** Reads from the record which of its open trials (or of the given ones) have ended or are paused. */
  async look(store: ObjectStore, trialIds: string[] = this.openTrials): Promise<void> {
    await inParallel(trialIds, READS_AT_ONCE, async (trialId) => {
      const state = await readTrialState(store, trialId);
      if (!state.exists) await writeTrial(store, this.record, trialId);
      if (hasTrialEnded(state, this.record)) this.ended.add(trialId);
      if (state.isPaused) this.paused.add(trialId);
      else this.paused.delete(trialId);
    });
    this.nextLookAt = performance.now() + this.openTrials.length * LOOK_MS_PER_TRIAL;
  }

  /** These trials are over for the sweep: it could not pay for them. */
  close(trialIds: string[]): void {
    for (const trialId of trialIds) this.ended.add(trialId);
  }

  /** What was thought over is open again (a failed trial retried, a cancelled one wanted after all). */
  reopen(trialIds: string[]): void {
    for (const trialId of trialIds) this.ended.delete(trialId);
  }
}
