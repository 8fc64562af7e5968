// Controls by users in between: paused and resumed, cancelled and asked for again, a whole sweep cancelled. Whatever they did, at
// the end every trial but those of the cancelled sweep is wanted.
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, type Client, type ShownSweep, SWEEPS, type SweepName } from './requests.js';
import type { PlannedFault } from './schedule.js';
import type { Watcher } from './watcher.js';

export class Controls {
  readonly sweepIds = new Map<SweepName, string>();
  readonly faults: string[] = [];
  isDoomedCancelled = false;

  constructor(
    private readonly client: Client,
    private readonly watcher: Watcher,
    private readonly round: string,
  ) {}

  /** Asks for the sweep; asked any number of times it is one. */
  async submit(name: SweepName): Promise<void> {
    const key = `${this.round}-${name}`;
    const answers = await Promise.all([0, 1].map(() => this.client.patiently('POST', '/v1/sweeps', SWEEPS[name], key)));
    const ids = answers.map(({ body }) => (body as { sweepId?: string }).sweepId);
    if (!ids[0] || ids[0] !== ids[1]) this.faults.push(`one key, two sweeps: ${JSON.stringify(answers)}`);
    const sweepId = ids[0] as string;
    this.sweepIds.set(name, sweepId);
    this.watcher.watch(sweepId);
  }

  get(name: SweepName): Promise<Answer> {
    return this.client.patiently('GET', `/v1/sweeps/${this.sweepIds.get(name)}`);
  }

  begin({ kind, target, ms, chance }: PlannedFault, keep: (work: () => Promise<void>) => void): string | undefined {
    if (kind === 'cancel-sweep') {
      if (this.isDoomedCancelled) return undefined;
      this.isDoomedCancelled = true;
      keep(() => this.control('POST', `/v1/sweeps/${this.sweepIds.get('doomed')}/cancel`));
      return 'doomed';
    }
    const name = target % 2 ? 'left' : 'right';
    const path = `/v1/sweeps/${this.sweepIds.get(name)}`;
    if (kind === 'pause-resume') {
      keep(async () => {
        await this.control('POST', `${path}/pause`);
        await delay(ms / 2);
        await this.control('POST', `${path}/resume`);
      });
      return `${name} for ${Math.round(ms / 2)} ms`;
    }
    keep(async () => {
      const { trials } = (await this.get(name)).body as ShownSweep;
      const { trialId } = trials[Math.floor(chance * trials.length)] as ShownSweep['trials'][number];
      await this.control('POST', `/v1/trials/${trialId}/cancel`);
      await delay(ms / 2);
      await this.control('POST', `/v1/trials/${trialId}/retry`);
    });
    return `a trial of ${name} for ${Math.round(ms / 2)} ms`;
  }

  /** Whatever is paused goes on, whatever was cancelled or has failed is tried again. */
  async wantAll(): Promise<void> {
    for (const name of ['left', 'right'] as const) {
      const path = `/v1/sweeps/${this.sweepIds.get(name)}`;
      const sweep = (await this.get(name)).body as ShownSweep;
      if (!sweep.settledAt) await this.control('POST', `${path}/resume`);
      const isOver = sweep.trials.some(({ status }) => status === 'failed' || status === 'cancelled');
      if (isOver) await this.control('POST', `${path}/retry`);
    }
  }

  /** 409 says that there is nothing to be done any more; all other refusals are faults. */
  private async control(method: string, path: string): Promise<void> {
    const { status, body } = await this.client.patiently(method, path);
    if (status >= 300 && status !== 409) this.faults.push(`${method} ${path}: ${status} ${JSON.stringify(body)}`);
  }
}
