// Whether a trainer still gets anywhere: while steps are to be expected, the time since the last one is held against the
// median step; in phases without steps (loading, validating, evaluating) any word will do, and may take longer.
import type { TrainerMessage } from './trainer-protocol.js';

/** No step in so many times the median step time, and the trainer hangs. */
const MEDIANS = 10;
const SAMPLES = 31;

export interface SilenceTimes {
  /** Silence that is allowed at least while it takes steps, however fast they are. */
  stepSilenceMs: number;
  /** Silence that is allowed in phases without steps. */
  heartbeatMs: number;
}

export class StepWatch {
  private readonly stepMs: number[] = [];
  private last: { step: number; at: number } | undefined;
  private isStepping = false;

  constructor(private readonly times: SilenceTimes) {}

  /** Takes in a message; false when it is no sign of life (a step that was told before). */
  hear(message: TrainerMessage, now = performance.now()): boolean {
    if (message.type !== 'progress' || message.phase !== 'training') {
      // An epoch's end, a checkpoint or a finished trial says nothing about what comes next.
      if (message.type === 'busy' || message.type === 'progress') this.isStepping = false;
      return true;
    }
    const { last } = this;
    if (last && message.step <= last.step) return false;
    if (last && this.isStepping) {
      this.stepMs.push((now - last.at) / (message.step - last.step));
      if (this.stepMs.length > SAMPLES) this.stepMs.shift();
    }
    this.last = { step: message.step, at: now };
    this.isStepping = true;
    return true;
  }

  /** How long it may now be silent. */
  get limitMs(): number {
    const { stepSilenceMs, heartbeatMs } = this.times;
    return this.isStepping && this.stepMs.length > 0
      ? Math.max(stepSilenceMs, MEDIANS * median(this.stepMs))
      : heartbeatMs;
  }

  /** What was waited for, for the sentence that says why it was killed. */
  get waitedFor(): string {
    return this.isStepping && this.last ? `it took no step after step ${this.last.step}` : 'it said nothing';
  }
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}
