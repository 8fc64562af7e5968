// Sweeps: shown, listed, cancelled. A sweep is settled when its settled.json exists, and not before.
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '#config';
import { Conflict, NotFound, type SettledRecord, type SweepRecord, type SweepStatus } from '#experiment';
import type { RedisFleet } from '#queue';
import { keys, type ObjectStore, putJsonIfAbsent } from '#storage';
import { CONFIG, FLEET, STORE } from '../connections.js';
import { LiveService } from '../records/live.service.js';
import { mapLimited } from '../records/map-limited.js';
import { type Page, RecordsService } from '../records/records.service.js';
import type { PageRequest } from '../requests/query.js';
import type { TrialView } from '../trials/trial-view.js';
import { TrialsService } from '../trials/trials.service.js';
import type { SweepLinks, SweepListItem, SweepView, TrialCounts } from './sweep-view.js';

@Injectable()
export class SweepsService {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(STORE) private readonly store: ObjectStore,
    @Inject(FLEET) private readonly fleet: RedisFleet,
    private readonly records: RecordsService,
    private readonly trials: TrialsService,
    private readonly live: LiveService,
  ) {}

  async get(sweepId: string): Promise<SweepView> {
    const sweep = await this.existing(sweepId);
    const [settled, isCancelled, trials] = await Promise.all([
      this.records.settled(sweepId),
      this.records.isCancelledSweep(sweepId),
      this.trials.views(sweep.trials),
    ]);
    const reportFiles = settled?.reportFiles ?? [];
    return {
      ...this.listItem(sweep, { settled, isCancelled, trials }),
      request: sweep.request,
      reportFiles: reportFiles.map(({ name, size, sha256, contentType }) => ({ name, size, sha256, contentType })),
      trials,
    };
  }

  list(page: PageRequest): Promise<Page<SweepListItem>> {
    return this.records.page(keys.sweeps(), 'sweep.json', page, (sweepIds) =>
      mapLimited(sweepIds, async (sweepId) => {
        const [sweep, settled] = await Promise.all([this.existing(sweepId), this.records.settled(sweepId)]);
        if (settled !== undefined) return this.listItem(sweep, { settled, isCancelled: false, trials: [] });
        const isCancelled = await this.records.isCancelledSweep(sweepId);
        return this.listItem(sweep, { settled, isCancelled, trials: await this.trials.views(sweep.trials) });
      }),
    );
  }

  /** Marks the sweep cancelled and stops those of its trials that no other open sweep asks for. */
  async cancel(sweepId: string): Promise<SweepView> {
    const sweep = await this.existing(sweepId);
    const settled = await this.records.settled(sweepId);
    if (settled !== undefined) {
      if (settled.status === 'cancelled') return this.get(sweepId);
      throw new Conflict(`Sweep ${sweepId} has ended already (${settled.status}); there is nothing to cancel.`);
    }
    await this.live.requireFleet();
    const cancelledAt = { cancelledAt: new Date().toISOString() };
    await putJsonIfAbsent(this.store, keys.sweepCancelled(sweepId), cancelledAt);
    const mine = await this.ownOpenTrials(sweep);
    await mapLimited(mine, (trialId) => putJsonIfAbsent(this.store, keys.trialCancelled(trialId), cancelledAt));
    // A sweep accepted meanwhile may want one of them: it is looked for again, now that the mark can be seen by it.
    const still = new Set(await this.ownOpenTrials(sweep));
    await mapLimited(
      mine.filter((trialId) => !still.has(trialId)),
      (trialId) => this.store.delete(keys.trialCancelled(trialId)),
    );
    await this.live.bestEffort(() => this.fleet.cancelTrials([...still]));
    return this.get(sweepId);
  }

  linksTo(sweepId: string): SweepLinks {
    const self = `${this.config.publicUrl}/v1/sweeps/${sweepId}`;
    return { self, report: `${self}/report`, events: `${self}/events` };
  }

  private async existing(sweepId: string): Promise<SweepRecord> {
    const sweep = await this.records.sweep(sweepId);
    if (sweep === undefined) throw new NotFound(`There is no sweep ${JSON.stringify(sweepId)}.`);
    return sweep;
  }

  /** The sweep's trials without a result that no other open sweep asks for. */
  private async ownOpenTrials(sweep: SweepRecord): Promise<string[]> {
    const wanted = new Set<string>();
    const others: string[] = [];
    for await (const id of this.records.ids(keys.sweeps(), 'sweep.json')) {
      if (id !== sweep.sweepId) others.push(id);
    }
    await mapLimited(others, async (id) => {
      if ((await this.records.settled(id)) !== undefined || (await this.records.isCancelledSweep(id))) return;
      for (const { trialId } of (await this.existing(id)).trials) wanted.add(trialId);
    });
    const own = sweep.trials.map(({ trialId }) => trialId).filter((trialId) => !wanted.has(trialId));
    const results = await mapLimited(own, (trialId) => this.records.trialResult(trialId));
    return own.filter((_, index) => results[index] === undefined);
  }

  private listItem(sweep: SweepRecord, state: SweepState): SweepListItem {
    const { sweepId, name, owner, kind, teacherId, corpusId, warnings, createdAt } = sweep;
    const counts = countsOf(state);
    return {
      sweepId,
      name,
      owner,
      kind,
      status: statusOf(state, counts),
      counts,
      teacherId,
      corpusId,
      warnings,
      createdAt,
      ...(state.settled ? { settledAt: state.settled.settledAt } : {}),
      live: state.trials.every((trial) => trial.live),
      links: this.linksTo(sweepId),
    };
  }
}

interface SweepState {
  settled: SettledRecord | undefined;
  isCancelled: boolean;
  /** May be left out for a settled sweep. */
  trials: TrialView[];
}

/** A settled sweep's counts are those it was settled with, whatever other sweeps did with its trials since. */
function countsOf({ settled, trials }: SweepState): TrialCounts {
  const counts: TrialCounts = { queued: 0, running: 0, recovering: 0, completed: 0, failed: 0, cancelled: 0 };
  if (settled !== undefined) return { ...counts, ...settled.counts };
  for (const { status } of trials) counts[status === 'pruned' ? 'completed' : status] += 1;
  return counts;
}

function statusOf({ settled, isCancelled, trials }: SweepState, counts: TrialCounts): SweepStatus {
  if (settled !== undefined) return settled.status;
  if (isCancelled) return 'cancelled';
  return counts.queued === trials.length ? 'queued' : 'running';
}
