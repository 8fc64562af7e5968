// What a job sees of the worker: a way to tell, and whether it is still wanted.
import type { TrainerMessage } from '../trainer-protocol.js';

export interface TrainerPort {
  send(message: TrainerMessage): void;
  isCancelled(trialId: string): boolean;
  /** Nobody trains this one on. */
  drop(trialId: string): void;
  /** Which students are stopped at the rung after so many epochs; undefined: not decided yet. */
  stoppedAt(epoch: number): readonly string[] | undefined;
  isStopping(): boolean;
}

/** The job as asked cannot be done; the message is one sentence for the user. */
export class ImpossibleJob extends Error {
  override readonly name = 'ImpossibleJob';
}

/** How far measuring without epochs and steps has come. */
export function measuringAt(fraction: number) {
  const none = { step: 0, steps: 0, epoch: 0, epochs: 0, tokensPerSecond: 0, trainLoss: {} };
  return { type: 'progress' as const, phase: 'evaluating' as const, fraction, ...none };
}

/** At most one message in this time, so that the pipe is never the bottleneck. */
const PROGRESS_MS = 500;

/** Lets a message through when the last one is old enough, or when it is the final one. */
export function throttled<T>(send: (value: T) => void): (value: T, isLast?: boolean) => void {
  let last = 0;
  return (value, isLast = false) => {
    const now = performance.now();
    if (!isLast && now - last < PROGRESS_MS) return;
    last = now;
    send(value);
  };
}
