// Trials of open sweeps by id, as their sweeps have planned them: a large sweep is accepted before each of its trials has a
// record of its own. Kept in memory within bounds, and found again in the store when missing.
import { type SweepRecord, type TrialRecord, trialInSweep } from '#experiment';

const MOST_TRIALS = 200_000;
/** An id that nobody knows costs a look at all open sweeps, not more often than this. */
const LOOK_AGAIN_MS = 2_000;

export class PlannedTrials {
  private readonly byTrial = new Map<string, SweepRecord>();
  private readonly noted = new Set<string>();
  private lookedAt = Number.NEGATIVE_INFINITY;

  note(sweep: SweepRecord): void {
    const name = `${sweep.sweepId} ${sweep.version ?? 1}`;
    if (!sweep.common || this.noted.has(name)) return;
    if (this.byTrial.size + sweep.trials.length > MOST_TRIALS) {
      this.byTrial.clear();
      this.noted.clear();
    }
    this.noted.add(name);
    for (const { trialId } of sweep.trials) this.byTrial.set(trialId, sweep);
  }

  find(trialId: string): TrialRecord | undefined {
    const sweep = this.byTrial.get(trialId);
    return sweep && trialInSweep(sweep, trialId);
  }

  mayLookAgain(): boolean {
    if (performance.now() - this.lookedAt < LOOK_AGAIN_MS) return false;
    this.lookedAt = performance.now();
    return true;
  }
}
