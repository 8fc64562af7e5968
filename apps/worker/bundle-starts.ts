// How often a bundle was begun at one position without getting further, counted in the record: each attempt leaves a mark
// there, and takes it away when it ends in good order. Redis may forget, and workers vanish without a word; the marks stay.
import type { JobContext } from '#queue';
import { findJson, keys, putJson } from '#storage';
import { type JobTools, patiently } from './job-tools.js';
import type { BundleFolder } from './stored-checkpoints.js';

/** So many attempts at one position, and the trials are failed. */
export const MOST_DEATHS = 3;

interface StartMark {
  worker: string;
  startedAt: string;
  /** Why the attempt ended, where its worker lived to say so. */
  reason?: string;
  /** The trainer had taken more memory than its share. */
  hasRunOutOfMemory?: boolean;
}

export class BundleStarts {
  private position = '';
  private before: StartMark[] = [];
  private mark: StartMark | undefined;
  private writing: Promise<void> | undefined;
  private hasDied = false;

  constructor(
    private readonly tools: JobTools,
    private readonly context: JobContext,
    private readonly bundleId: string,
    private readonly fence: string,
  ) {}

  /**
   * Notes that this attempt begins with so many trials after this step, unless too many before it came to nothing. The note is
   * being written while the rest is made ready; the training begins once it is `written`.
   */
  async begin(place: { step: number; trials: number }, { starts }: BundleFolder): Promise<{ isHopeless: boolean }> {
    const { store, settings } = this.tools;
    this.position = `${place.step}-${place.trials}`;
    for (const { position, fence } of starts) {
      if (position !== this.position) continue;
      const found = await findJson<StartMark>(store, keys.bundleStart(this.bundleId, position, fence));
      if (found) this.before.push(found);
    }
    if (this.before.length >= MOST_DEATHS) return { isHopeless: true };
    this.mark = { worker: settings.workerId, startedAt: new Date().toISOString() };
    this.writing = this.write();
    this.writing.catch(() => {}); // whoever waits for it is told
    return { isHopeless: false };
  }

  /** The mark is in the record; asked again after a failure it is written again. */
  async written(): Promise<void> {
    const writing = this.writing ?? this.write();
    this.writing = undefined;
    await writing;
  }

  /** Why there is no hope, in one sentence. */
  get reason(): string {
    const [, step] = /^(\d+)-/.exec(this.position) ?? [];
    const last = this.before.at(-1);
    const why = last?.reason ?? `worker ${last?.worker} was lost while it was at it.`;
    return `${this.before.length} attempts in a row ended at step ${step} without getting further; the last: ${why}`;
  }

  /** In how many times as many parts a batch is to be computed, for it did not fit the trainer's share of the memory. */
  get parts(): number {
    return 2 ** this.before.filter(({ hasRunOutOfMemory }) => hasRunOutOfMemory).length;
  }

  /** The attempt came to nothing. True when it was one too many. */
  async died(reason: string, hasRunOutOfMemory: boolean): Promise<boolean> {
    if (!this.mark) return false;
    this.hasDied = true;
    await this.writing?.catch(() => {}); // this one comes after it
    Object.assign(this.mark, { reason, ...(hasRunOutOfMemory ? { hasRunOutOfMemory } : {}) });
    await this.write();
    this.before.push(this.mark);
    return this.before.length >= MOST_DEATHS;
  }

  /** The attempt ends in good order: done, given back, or left to another worker. An outage is waited out: a mark that stays is a death. */
  async leave(): Promise<void> {
    if (!this.mark || this.hasDied) return;
    this.mark = undefined;
    await this.writing?.catch(() => {});
    const { store, log } = this.tools;
    const key = keys.bundleStart(this.bundleId, this.position, this.fence);
    await patiently(this.tools, this.context, () => store.delete(key)).catch((error: Error) => log.warn(error.message));
  }

  private async write(): Promise<void> {
    await putJson(this.tools.store, keys.bundleStart(this.bundleId, this.position, this.fence), this.mark);
  }
}
