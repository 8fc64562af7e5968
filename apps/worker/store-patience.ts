// Waiting out an object store that is gone, full or closed for a while: hours of training must not be lost to that.
import { setTimeout as delay } from 'node:timers/promises';
import { StoreUnavailable } from '#storage';

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;

export interface Patience {
  totalMs: number;
  /** Ends the waiting (the pending failure is thrown), not the work. */
  signal?: AbortSignal;
  onWait?(error: StoreUnavailable): void;
}

/** Repeats `work` while the store is unavailable, in whatever way; throws its last failure when patience ends. */
export async function withPatience<T>(patience: Patience, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + patience.totalMs;
  for (let waitMs = FIRST_DELAY_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_DELAY_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      if (patience.signal?.aborted || performance.now() + waitMs > deadline) throw error;
      patience.onWait?.(error);
      await delay(waitMs, undefined, { signal: patience.signal }).catch(() => {});
    }
  }
}
