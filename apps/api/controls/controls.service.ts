// What cancel, pause, resume, retry and extend have in common: which sweeps want a trial, marks in the record first, then what
// makes it quick (jobs put in or taken out, workers told). Without the second half the aggregator and the workers find out.
import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { PrunedFacts, SweepRecord } from '#experiment';
import { bundleJobs, type RedisFleet } from '#queue';
import {
  isOpenTrial,
  keys,
  type ObjectStore,
  putJson,
  putJsonIfAbsent,
  type SweepState,
  type TrialState,
} from '#storage';
import { FLEET, STORE } from '../connections.js';
import { LiveService } from '../records/live.service.js';
import { mapLimited } from '../records/map-limited.js';
import { RecordsService } from '../records/records.service.js';

export interface SweepStanding {
  sweep: SweepRecord;
  state: SweepState;
}

@Injectable()
export class ControlsService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    @Inject(FLEET) private readonly fleet: RedisFleet,
    private readonly records: RecordsService,
    private readonly live: LiveService,
  ) {}

  /** Those that wait for trials, in their newest versions. */
  async openSweeps(): Promise<SweepStanding[]> {
    return (await this.records.unsettledSweeps()).filter(({ state }) => isOpenSweep(state));
  }

  /** Every sweep in its newest version, settled ones too: reads them all. */
  async sweeps(): Promise<SweepStanding[]> {
    const ids: string[] = [];
    for await (const id of this.records.ids(keys.sweeps(), 'sweep.json')) ids.push(id);
    const found = await mapLimited(ids, (id) => this.records.sweepStanding(id));
    return found.filter((standing) => standing !== undefined);
  }

  /** Trials that some sweep other than this one is still waiting for; a paused sweep waits for none. */
  async wantedByOthers(sweepId: string): Promise<Set<string>> {
    const wanting = (await this.openSweeps()).filter(
      ({ sweep, state }) => sweep.sweepId !== sweepId && !state.isPaused,
    );
    return new Set(wanting.flatMap(({ sweep }) => sweep.trials.map(({ trialId }) => trialId)));
  }

  /** Where these trials stand, for a sweep or (left out) for anybody, in their order. */
  states(
    trialIds: readonly string[],
    asking?: SweepRecord,
  ): Promise<{ trialId: string; state: TrialState; hasFailed: boolean; pruned?: PrunedFacts }[]> {
    return mapLimited(trialIds, async (trialId) => {
      const { state, result } = await this.records.standingOf(trialId, asking);
      const pruned = result?.pruned;
      return { trialId, state, hasFailed: result?.status === 'failed', ...(pruned ? { pruned } : {}) };
    });
  }

  /**
   * Makes trials open that somebody wants (again): a mark of cancelling or pausing goes, a failed result gets a retry beside
   * it. Gives those that are to be trained.
   */
  async open(trialIds: readonly string[], { andRetry }: { andRetry: boolean }): Promise<Set<string>> {
    return this.openAll(await this.states(trialIds), { andRetry });
  }

  /** The same, where the states have just been read. */
  async openAll(states: Awaited<ReturnType<ControlsService['states']>>, { andRetry }: { andRetry: boolean }) {
    const opened = new Set<string>();
    await mapLimited(states, async ({ trialId, state, hasFailed }) => {
      if (state.hasResult && !(hasFailed && andRetry)) return;
      if (hasFailed || state.isCancelled || state.isPaused) await this.unmark(trialId);
      if (hasFailed) {
        const askedAt = new Date().toISOString();
        await putJsonIfAbsent(this.store, keys.trialRetry(trialId, state.retry + 1), { trialId, askedAt });
      }
      opened.add(trialId);
    });
    return opened;
  }

  /** Neither cancelled nor paused any more. */
  async unmark(trialId: string): Promise<void> {
    await this.store.delete(keys.trialCancelled(trialId));
    await this.store.delete(keys.trialPaused(trialId));
  }

  /** Trials that the sweep had no device time left for are open again; gives them. */
  async unprune(sweep: SweepRecord): Promise<string[]> {
    const states = await this.states(
      sweep.trials.map(({ trialId }) => trialId),
      sweep,
    );
    const unpaid = states.filter(({ pruned }) => pruned?.cause === 'budget').map(({ trialId }) => trialId);
    await mapLimited(unpaid, (trialId) => this.store.delete(keys.trialPruned(trialId, sweep.sweepId)));
    return unpaid;
  }

  /** Jobs for the bundles that these trials are of, in the sweeps that wait for them. */
  async enqueue(trialIds: Iterable<string>, sweeps?: SweepRecord[]): Promise<void> {
    const wanted = new Set(trialIds);
    if (wanted.size === 0) return;
    const asking = sweeps ?? (await this.openSweeps()).map(({ sweep }) => sweep);
    for (const sweep of asking) {
      const bundles = sweep.bundles.filter((bundle) => bundle.some((trialId) => wanted.has(trialId)));
      const states = await this.states(bundles.flat(), sweep);
      const open = new Set(states.filter(({ state }) => isOpenTrial(state, sweep)).map(({ trialId }) => trialId));
      const renewed = bundleJobs(sweep, (trialId) => open.has(trialId)).map((job) => ({
        job,
        trialIds: job.trialIds.filter((trialId) => wanted.has(trialId)),
      }));
      await this.live.bestEffort(() => this.fleet.renew(renewed.filter((one) => one.trialIds.length > 0)));
      for (const { job } of renewed) for (const trialId of job.trialIds) wanted.delete(trialId);
    }
  }

  /** Takes jobs out of the queue of which nothing is left to train. */
  async withdraw(sweep: SweepRecord, stopped: ReadonlySet<string>): Promise<void> {
    const bundles = sweep.bundles.filter((bundle) => bundle.some((trialId) => stopped.has(trialId)));
    const states = await this.states(bundles.flat(), sweep);
    const open = new Set(states.filter(({ state }) => isOpenTrial(state, sweep)).map(({ trialId }) => trialId));
    const idle = new Set(bundles.filter((bundle) => !bundle.some((trialId) => open.has(trialId))).flat());
    await this.live.bestEffort(() => this.fleet.withdraw(bundleJobs(sweep, (trialId) => idle.has(trialId))));
  }

  /** Tells workers to look at these trials: by a message, and by the object that they look at when messages are lost. */
  async announce(trialIds: string[]): Promise<void> {
    if (trialIds.length === 0) return;
    await putJson(this.store, keys.controls(), { announcement: randomUUID(), at: new Date().toISOString() });
    await this.live.bestEffort(() => this.fleet.announceControls(trialIds));
  }
}

/** Whether the sweep waits for trials. */
export function isOpenSweep({ isSettled, isCancelled }: SweepState): boolean {
  return !isSettled && !isCancelled;
}
