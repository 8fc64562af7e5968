// Brings the fleet in line with the record: settles sweeps whose trials have ended, puts back jobs that Redis has lost.
// It needs no event and no memory; both only make it quick.
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { PreparationRecord, SweepRecord } from '#experiment';
import { bundleJobs, type FleetJob, FleetUnavailable, jobIdOf, type RedisFleet } from '#queue';
import { getJson, keys, listFolders, type ObjectStore } from '#storage';
import { FLEET, STORE } from './connections.js';
import { OpenSweep } from './open-sweep.js';
import { settleSweep } from './settle-sweep.js';

const LEASE_MS = 60_000;

@Injectable()
export class ReconcilerService {
  private readonly logger = new Logger('Aggregator');
  private readonly open = new Map<string, OpenSweep>();
  private readonly troubles = new Map<string, string>();

  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    @Inject(FLEET) private readonly fleet: RedisFleet,
  ) {}

  /** One look at the whole record. One sweep's trouble is said and keeps no other from being settled. */
  async reconcile(): Promise<void> {
    for await (const { id, sizes } of listFolders(this.store, keys.sweeps())) {
      if (sizes.has('settled.json')) this.open.delete(id);
      else if (sizes.has('sweep.json')) await this.careFor(id, sizes.has('cancelled.json'));
    }
    for await (const { id, sizes } of listFolders(this.store, keys.preparations())) {
      if (sizes.has('preparation.json') && !sizes.has('result.json')) await this.putBackPreparation(id);
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

  private async careFor(sweepId: string, isCancelled: boolean): Promise<void> {
    await this.attempt(sweepId, async () => {
      const sweep =
        this.open.get(sweepId) ?? new OpenSweep(await getJson<SweepRecord>(this.store, keys.sweep(sweepId)));
      this.open.set(sweepId, sweep);
      if (!isCancelled) {
        if (!sweep.isDue) return;
        await sweep.look(this.store);
        if (!sweep.isOver) return await this.putBackBundles(sweep);
      }
      await this.settle(sweep);
    });
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
        if (settling.isNew) await this.enqueuePreparation(settling.preparationId, sweep.record.owner);
        return;
      }
      this.open.delete(sweepId);
      if (!settling.isOurs) return;
      const { status, counts } = settling.record;
      this.logger.log(
        `sweep ${sweepId} '${name}' ${status}: ${counts.completed} completed, ${counts.failed} failed, ${counts.cancelled} cancelled`,
      );
      await this.quietly(() => this.fleet.publish({ type: 'sweep-settled', sweepId, status }));
    } finally {
      await lease?.release();
    }
  }

  /** Bundles whose jobs Redis does not know are enqueued again, with the trials that are still open. */
  private async putBackBundles(sweep: OpenSweep): Promise<void> {
    const jobs = bundleJobs(sweep.record, (trialId) => sweep.isOpen(trialId));
    await this.quietly(async () => {
      const known = await this.fleet.known(jobs);
      const unknown = jobs.filter((job) => !known.has(jobIdOf(job)));
      if (unknown.length === 0) return;
      // A worker goes on with a job that a wiped Redis forgot; what is alive needs no second run.
      const live = await this.fleet.liveTrials(unknown.flatMap((job) => job.trialIds));
      const lost = unknown.filter((job) => !job.trialIds.some((trialId) => live.has(trialId)));
      await this.fleet.enqueue(lost);
      if (lost.length > 0) {
        this.logger.warn(`sweep ${sweep.record.sweepId}: ${lost.length} bundles had no job and were enqueued again`);
      }
    });
  }

  private async putBackPreparation(preparationId: string): Promise<void> {
    await this.attempt(preparationId, async () => {
      const { owner } = await getJson<PreparationRecord>(this.store, keys.preparation(preparationId));
      const job: FleetJob = { kind: 'preparation', preparationId, owner };
      await this.quietly(async () => {
        if ((await this.fleet.known([job])).size > 0) return;
        if ((await this.fleet.livePreparations([preparationId])).size > 0) return;
        await this.fleet.enqueue([job]);
        this.logger.warn(`preparation ${preparationId} had no job and was enqueued again`);
      });
    });
  }

  private enqueuePreparation(preparationId: string, owner: string): Promise<void> {
    return this.quietly(() => this.fleet.enqueue([{ kind: 'preparation', preparationId, owner }]));
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
