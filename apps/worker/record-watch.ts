// Sees to it that a running job hears of controls although every message may be lost: one small object of the record tells
// that something was cancelled or paused; the trials themselves are looked at as well, more rarely.
import { keys } from '#storage';
import type { JobTools } from './job-tools.js';

export class RecordWatch {
  private readonly timers: NodeJS.Timeout[];
  private last: string | undefined;
  private isLooking = false;

  constructor(
    private readonly tools: JobTools,
    private readonly look: () => Promise<void>,
  ) {
    const { controlsMs, recordMs } = tools.settings.times;
    this.timers = [
      setInterval(() => this.once(() => this.lookIfAnnounced()), controlsMs),
      setInterval(() => this.once(look), recordMs),
    ];
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
  }

  private async lookIfAnnounced(): Promise<void> {
    const head = await this.tools.store.head(keys.controls());
    const now = head?.sha256 ?? '';
    if (now === this.last) return;
    await this.look();
    this.last = now;
  }

  private async once(work: () => Promise<void>): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      await work();
    } catch (error) {
      this.tools.log.warn((error as Error).message);
    } finally {
      this.isLooking = false;
    }
  }
}
