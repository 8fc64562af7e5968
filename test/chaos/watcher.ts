// A user who looks all the time: what the API shows may be late or missing, but never wrong, and never go back.
import { setTimeout as delay } from 'node:timers/promises';
import type { ChaosFleet } from './chaos-fleet.js';
import type { Client, ShownSweep } from './requests.js';

const EVERY_MS = 200;
const JOB_LIMIT_BYTES = 10_000;
/** Sizes of all payloads of jobs. */
const LARGEST_JOB = `
local largest, cursor = 0, '0'
repeat
  local page = redis.call('scan', cursor, 'match', '*bundles:*', 'count', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    if redis.call('type', key).ok == 'hash' then
      local size = redis.call('hstrlen', key, 'data')
      if size > largest then largest = size end
    end
  end
until cursor == '0'
return largest`;

interface Seen {
  finishedAt?: string | undefined;
  status: string;
}

export class Watcher {
  readonly faults = new Set<string>();
  readonly answers = new Map<string, number>();
  private readonly trials = new Map<string, Seen>();
  private readonly completed = new Map<string, number>();
  private readonly settled = new Map<string, string>();
  private readonly isSettled = new Set<string>();
  private readonly sweepIds = new Set<string>();
  private isOver = false;
  private work: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly fleet: ChaosFleet,
    private readonly client: Client,
  ) {}

  /** As far as was shown: there is nothing left to disturb. */
  get hasAllSettled(): boolean {
    return [...this.sweepIds].every((sweepId) => this.isSettled.has(sweepId));
  }

  watch(sweepId: string): void {
    this.sweepIds.add(sweepId);
  }

  start(): void {
    this.work = Promise.all([this.look(), this.weigh()]);
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.work;
  }

  private async look(): Promise<void> {
    while (!this.isOver) {
      for (const sweepId of this.sweepIds) {
        const answer = await this.client.once('GET', `/v1/sweeps/${sweepId}`);
        const status = String(answer?.status ?? 'none');
        this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
        if (answer?.status === 200) this.compare(answer.body as ShownSweep);
        else if (answer && answer.status !== 503)
          this.faults.add(`the API answered ${answer.status} for an accepted sweep: ${JSON.stringify(answer.body)}`);
      }
      await delay(EVERY_MS);
    }
  }

  private compare(sweep: ShownSweep): void {
    const { sweepId, version = 1, counts, settledAt, trials } = sweep;
    const done = counts.completed ?? 0;
    const before = this.completed.get(sweepId) ?? 0;
    if (done < before) this.faults.add(`sweep ${sweepId}: ${before} completed became ${done}`);
    this.completed.set(sweepId, Math.max(done, before));
    const standing = this.settled.get(`${sweepId} ${version}`);
    if (standing !== undefined && settledAt !== standing)
      this.faults.add(`sweep ${sweepId} version ${version}: settled at ${standing}, then at ${settledAt}`);
    if (settledAt) this.isSettled.add(sweepId);
    else this.isSettled.delete(sweepId);
    if (settledAt) this.settled.set(`${sweepId} ${version}`, settledAt);
    const sum = Object.values(counts).reduce((all, one) => all + one, 0);
    if (sum !== trials.length) this.faults.add(`sweep ${sweepId}: counts of ${sum}, trials ${trials.length}`);
    for (const { trialId, status, finishedAt } of trials) {
      const seen = this.trials.get(trialId);
      if (seen?.status === 'completed' && (status !== 'completed' || finishedAt !== seen.finishedAt))
        this.faults.add(`trial ${trialId}: completed at ${seen.finishedAt}, then ${status} ${finishedAt ?? ''}`);
      this.trials.set(trialId, { status, finishedAt });
    }
  }

  private async weigh(): Promise<void> {
    while (!this.isOver) {
      const largest = await this.fleet.redis.command('EVAL', LARGEST_JOB, '0').catch(() => 0);
      if (Number(largest) > JOB_LIMIT_BYTES) this.faults.add(`a job of ${largest} bytes`);
      await delay(5 * EVERY_MS);
    }
  }
}
