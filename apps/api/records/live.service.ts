// What Redis knows of running trials and preparations, asked in a way that its absence is an answer: views built from the
// record go on without it and say `live: false`.
import { Inject, Injectable } from '@nestjs/common';
import type { EpochMetrics, LiveTrial, LiveWorker } from '#experiment';
import { FleetUnavailable, type RedisFleet } from '#queue';
import { FLEET } from '../connections.js';

/** A client waiting for an answer is told within two seconds that Redis is away. */
const CHECK_TIMEOUT_MS = 1500;

@Injectable()
export class LiveService {
  constructor(@Inject(FLEET) private readonly fleet: RedisFleet) {}

  /** Live status by trial id; undefined when Redis does not answer. */
  trials(trialIds: string[]): Promise<Map<string, LiveTrial> | undefined> {
    if (trialIds.length === 0) return Promise.resolve(new Map());
    return this.orUndefined(() => this.fleet.liveTrials(trialIds));
  }

  /** Workers heard of within the last half minute; undefined when Redis does not answer. */
  workers(): Promise<LiveWorker[] | undefined> {
    return this.orUndefined(() => this.fleet.liveWorkers());
  }

  epochs(trialId: string): Promise<EpochMetrics[] | undefined> {
    return this.orUndefined(() => this.fleet.liveEpochs(trialId));
  }

  /** How far preparations have come, by id; undefined when Redis does not answer. */
  preparations(preparationIds: string[]): Promise<Map<string, { fraction: number; message: string }> | undefined> {
    if (preparationIds.length === 0) return Promise.resolve(new Map());
    return this.orUndefined(() => this.fleet.livePreparations(preparationIds));
  }

  /** To be called before anything is written for a request that needs workers. Throws FleetUnavailable. */
  requireFleet(): Promise<void> {
    return this.fleet.check(CHECK_TIMEOUT_MS);
  }

  /** Runs what only speeds things up: once the record is written the aggregator does it again if Redis was away. */
  async bestEffort(run: () => Promise<void>): Promise<void> {
    await this.orUndefined(run);
  }

  private async orUndefined<T>(run: () => Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof FleetUnavailable) return undefined;
      throw error;
    }
  }
}
