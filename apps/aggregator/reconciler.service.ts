// Brings the fleet in line with the record: settles sweeps whose trials have ended, puts back jobs that Redis has lost.
// It needs no event and no memory; both only make it quick.
import { setTimeout as delay } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { PreparationRecord, SweepRecord } from '#experiment';
import { bundleJobs, FleetUnavailable, preparationJob, type RedisFleet } from '#queue';
import { findFaults, LEASE_MS, missingBundleJobs } from '#reconciliation';
import { getJson, keys, listFolders, type ObjectStore, type SweepState, sweepStateOf } from '#storage';
import { FLEET, STORE } from './connections.js';
import { OpenSweep } from './open-sweep.js';
import { settleSweep } from './settle-sweep.js';
import { pruneUnaffordable } from './sweep-budget.js';

/** How long workers are given to report to a Redis that was wiped. */
const NEW_REDIS_MS = 2_000;

@Injectable()
export class ReconcilerService {
  private readonly logger = new Logger('Aggregator');
  private readonly open = new Map<string, OpenSweep>();
  private readonly troubles = new Map<string, string>();
  private heardAt = 0;

  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    @Inject(FLEET) private readonly fleet: RedisFleet,
  ) {}

  /** One look at the whole record. One sweep's trouble is said and keeps no other from being settled. */
  async reconcile(): Promise<void> {
    await this.quietly(async () => {
      if (await this.fleet.isNew()) this.heardAt = performance.now() + NEW_REDIS_MS;
    });
    for await (const { id, sizes } of listFolders(this.store, keys.sweeps())) {
      const state = sweepStateOf(new Set(sizes.keys()));
      if (state.isSettled) this.open.delete(id);
      else if (state.exists) await this.careFor(id, state);
    }
    for await (const { id, sizes } of listFolders(this.store, keys.preparations())) {
      if (sizes.has('preparation.json') && !sizes.has('result.json')) await this.putBackPreparation(id);
    }
  }

  /** What no sweep's care comes across: jobs of what is over, jobs nobody holds, leftover checkpoints, stuck leases. */
  async mendTheRest(): Promise<void> {
    const lease = await this.lease('repair');
    if (lease === 'taken') return;
    try {
      for await (const { kind, message, mend } of findFaults({ store: this.store, fleet: this.fleet })) {
        // Sweeps and their jobs are cared for at every look, by what this process remembers of them.
        if (!mend || kind === 'unsettled-sweep' || kind === 'missing-job') continue;
        await mend();
        this.logger.warn(`mended: ${message}`);
      }
    } finally {
      await lease?.release();
    }
  }

  /** Whether an open sweep that this process has seen asks for the trial. */
  isAsked(trialId: string): boolean {
    return [...this.open.values()].some((sweep) => sweep.asksFor(trialId));
  }

  /** Settles the sweeps that ended with these trials. */
  async trialsEnded(trialIds: string[]): Promise<void> {
    for (const sweep of [...this.open.values()]) {
      const mine = trialIds.filter((trialId) => sweep.isOpen(trialId));
      if (mine.length === 0) continue;
      await this.attempt(sweep.record.sweepId, async () => {
        await sweep.look(this.store, mine);
        if (sweep.isOver) await this.settle(sweep);
      });
    }
  }

  private async careFor(sweepId: string, { version, isCancelled }: SweepState): Promise<void> {
    await this.attempt(sweepId, async () => {
      const known = this.open.get(sweepId);
      const sweep =
        known && (known.record.version ?? 1) === version
          ? known
          : new OpenSweep(await getJson<SweepRecord>(this.store, keys.sweep(sweepId, version)));
      this.open.set(sweepId, sweep);
      if (!isCancelled) {
        if (!sweep.isDue) return;
        await sweep.look(this.store);
        await this.keepToBudget(sweep);
        if (!sweep.isOver) return await this.putBackBundles(sweep);
      }
      await this.settle(sweep);
    });
  }

  /** Ends what the sweep cannot pay for, and takes its jobs out of the queue. */
  private async keepToBudget(sweep: OpenSweep): Promise<void> {
    if (sweep.isOver) return;
    const pruned = await pruneUnaffordable(this.store, sweep.record, sweep.results);
    if (pruned.length === 0) return;
    sweep.close(pruned);
    const { sweepId, name } = sweep.record;
    this.logger.log(`sweep ${sweepId} '${name}': its budget is spent; ${pruned.length} trials are not begun`);
    const gone = new Set(pruned);
    await this.quietly(() => this.fleet.withdraw(bundleJobs(sweep.record, (trialId) => gone.has(trialId))));
    for (const trialId of pruned)
      await this.quietly(() => this.fleet.publish({ type: 'trial-ended', trialId, status: 'pruned' }));
  }

  private async settle(sweep: OpenSweep): Promise<void> {
    const { sweepId, name } = sweep.record;
    const lease = await this.lease(`settle:${sweepId}`);
    if (lease === 'taken') return; // its holder settles it; if not, the next look does
    try {
      const settling = await settleSweep(this.store, sweep.record);
      if (settling.outcome === 'open') return sweep.reopen(settling.trialIds);
      if (settling.outcome === 'joining') {
        // A job that is lost later is put back like that of any preparation.
        if (settling.isNew) await this.enqueuePreparation(settling.preparationId);
        return;
      }
      this.open.delete(sweepId);
      if (!settling.isOurs) return;
      const { status, counts } = settling.record;
      this.logger.log(
        `sweep ${sweepId} '${name}' ${status}: ${counts.completed} completed, ${counts.failed} failed, ${counts.cancelled} cancelled, ${counts.pruned ?? 0} pruned`,
      );
      await this.quietly(() => this.fleet.publish({ type: 'sweep-settled', sweepId, status }));
    } finally {
      await lease?.release();
    }
  }

  /** Bundles whose jobs Redis does not know are enqueued again, with the trials that are still open. */
  private async putBackBundles(sweep: OpenSweep): Promise<void> {
    const jobs = bundleJobs(sweep.record, (trialId) => sweep.isWanted(trialId));
    await this.quietly(async () => {
      if ((await missingBundleJobs(this.fleet, jobs)).length === 0) return;
      await this.untilHeard();
      const lost = await missingBundleJobs(this.fleet, jobs);
      if (lost.length === 0) return;
      await this.fleet.enqueue(lost);
      this.logger.warn(`sweep ${sweep.record.sweepId}: ${lost.length} bundles had no job and were enqueued again`);
    });
  }

  private async putBackPreparation(preparationId: string): Promise<void> {
    await this.attempt(preparationId, async () => {
      const job = preparationJob(await getJson<PreparationRecord>(this.store, keys.preparation(preparationId)));
      await this.quietly(async () => {
        if ((await this.fleet.known([job])).size > 0) return;
        await this.untilHeard();
        if ((await this.fleet.livePreparations([preparationId])).size > 0) return;
        await this.fleet.enqueue([job]);
        this.logger.warn(`preparation ${preparationId} had no job and was enqueued again`);
      });
    });
  }

  /** Workers show within a second what they are at; until then all their jobs seem lost to a new Redis. */
  private async untilHeard(): Promise<void> {
    const waitMs = this.heardAt - performance.now();
    if (waitMs > 0) await delay(waitMs);
  }

  private async enqueuePreparation(preparationId: string): Promise<void> {
    const record = await getJson<PreparationRecord>(this.store, keys.preparation(preparationId));
    await this.quietly(() => this.fleet.enqueue([preparationJob(record)]));
  }

  /** A lease, 'taken', or nothing when Redis is gone: then the work is done without, and the store decides. */
  private async lease(name: string) {
    try {
      return (await this.fleet.lease(name, LEASE_MS)) ?? 'taken';
    } catch (error) {
      if (error instanceof FleetUnavailable) return undefined;
      throw error;
    }
  }

  /** Redis being gone is no reason to stop: the record is elsewhere, and the next look comes. */
  private async quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof FleetUnavailable)) throw error;
      this.logger.warn(error.message);
    }
  }

  /** What keeps failing in the same way is said once. */
  private async attempt(id: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.troubles.delete(id);
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      if (this.troubles.get(id) !== cause.message) this.logger.error(`${id}: ${cause.message}`, cause.stack);
      this.troubles.set(id, cause.message);
    }
  }
}
