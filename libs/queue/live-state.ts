// What is in flight, as plain Redis keys beside BullMQ's: live trials, their epochs, preparations, workers and
// which of them are to go. Every key expires by itself, so a lost worker's traces vanish; nothing here decides anything.

import type { Redis } from 'ioredis';
import type { EpochMetrics, LiveTrial, LiveWorker } from '#experiment';

/** How far a corpus or teacher being made has come. */
export interface LivePreparation {
  preparationId: string;
  /** 0 to 1 */
  fraction: number;
  message: string;
  updatedAt: string;
}

const TRIAL_SECONDS = 60;
const EPOCHS_SECONDS = 24 * 3600;
const WORKER_SECONDS = 30;
const DRAIN_SECONDS = 60;
const EPOCHS_KEPT = 2_000;
const KEYS_PER_READ = 500;

/** Reads and writes the fleet's live state over one connection. */
export class LiveState {
  constructor(
    private readonly redis: Redis,
    private readonly prefix: string,
  ) {}

  async writeTrial(trial: LiveTrial): Promise<void> {
    await this.redis.set(this.key('trial', trial.trialId), JSON.stringify(trial), 'EX', TRIAL_SECONDS);
  }

  /** The trial is no longer in flight; its epochs stay readable until they expire. */
  async forgetTrial(trialId: string): Promise<void> {
    await this.redis.del(this.key('trial', trialId));
  }

  /** How long ago a worker last spoke of a trial is told by Redis, not by that worker's clock, which may be an hour off. */
  async trials(trialIds: string[]): Promise<Map<string, LiveTrial>> {
    const found = await this.readMany<LiveTrial>('trial', trialIds);
    const pipeline = this.redis.pipeline();
    for (const trialId of found.keys()) pipeline.pttl(this.key('trial', trialId));
    const left = found.size > 0 ? await pipeline.exec() : [];
    const now = Date.now();
    for (const [index, trial] of [...found.values()].entries()) {
      const leftMs = Number(left?.[index]?.[1] ?? -1);
      if (leftMs > 0) trial.updatedAt = new Date(now - (TRIAL_SECONDS * 1000 - leftMs)).toISOString();
    }
    return found;
  }

  /** A new attempt starts its curve again. */
  async clearEpochs(trialIds: string[]): Promise<void> {
    if (trialIds.length > 0) await this.redis.del(trialIds.map((trialId) => this.key('epochs', trialId)));
  }

  async appendEpoch(trialId: string, metrics: EpochMetrics): Promise<void> {
    const key = this.key('epochs', trialId);
    await this.redis
      .multi()
      .rpush(key, JSON.stringify(metrics))
      .ltrim(key, -EPOCHS_KEPT, -1)
      .expire(key, EPOCHS_SECONDS)
      .exec();
  }

  async epochs(trialId: string): Promise<EpochMetrics[]> {
    const lines = await this.redis.lrange(this.key('epochs', trialId), 0, -1);
    return lines.map((line) => JSON.parse(line) as EpochMetrics);
  }

  async writePreparation(preparation: LivePreparation): Promise<void> {
    const key = this.key('preparation', preparation.preparationId);
    await this.redis.set(key, JSON.stringify(preparation), 'EX', TRIAL_SECONDS);
  }

  async preparations(preparationIds: string[]): Promise<Map<string, LivePreparation>> {
    return this.readMany<LivePreparation>('preparation', preparationIds);
  }

  async writeWorker(worker: LiveWorker): Promise<void> {
    await this.redis
      .multi()
      .set(this.key('worker', worker.workerId), JSON.stringify(worker), 'EX', WORKER_SECONDS)
      .sadd(`${this.prefix}:workers`, worker.workerId)
      .exec();
  }

  async forgetWorker(workerId: string): Promise<void> {
    await this.redis.multi().del(this.key('worker', workerId)).srem(`${this.prefix}:workers`, workerId).exec();
  }

  /** Workers heard of within the last half minute, by id. */
  async workers(): Promise<LiveWorker[]> {
    const ids = (await this.redis.smembers(`${this.prefix}:workers`)).sort();
    const alive = await this.readMany<LiveWorker>('worker', ids);
    const gone = ids.filter((id) => !alive.has(id));
    if (gone.length > 0) await this.redis.srem(`${this.prefix}:workers`, gone);
    const ages = await this.heartbeatAges(ids);
    return ids.flatMap((id, index) => {
      const worker = alive.get(id);
      return worker ? { ...worker, heartbeatSeconds: ages[index] ?? 0 } : [];
    });
  }

  /** By how much of its time each key has left: clocks of workers play no part. */
  private async heartbeatAges(ids: string[]): Promise<number[]> {
    const pipeline = this.redis.pipeline();
    for (const id of ids) pipeline.pttl(this.key('worker', id));
    const replies = (await pipeline.exec()) ?? [];
    return replies.map(([, left]) => Math.max(0, Math.round(WORKER_SECONDS * 10 - Number(left) / 100) / 10));
  }

  /** For a worker that misses the message; it takes the mark away itself, so that its successor of that name stays. */
  async markDrain(workerId: string): Promise<void> {
    await this.redis.set(this.key('drain', workerId), '1', 'EX', DRAIN_SECONDS);
  }

  /** Whether the worker is to go; asked once it is no longer known. */
  async takeDrain(workerId: string): Promise<boolean> {
    return (await this.redis.del(this.key('drain', workerId))) === 1;
  }

  private key(kind: string, id: string): string {
    return `${this.prefix}:${kind}:${id}`;
  }

  private async readMany<T>(kind: string, ids: string[]): Promise<Map<string, T>> {
    const found = new Map<string, T>();
    for (let start = 0; start < ids.length; start += KEYS_PER_READ) {
      const some = ids.slice(start, start + KEYS_PER_READ);
      const values = await this.redis.mget(some.map((id) => this.key(kind, id)));
      values.forEach((value, index) => {
        const id = some[index];
        if (value && id !== undefined) found.set(id, JSON.parse(value) as T);
      });
    }
    return found;
  }
}
