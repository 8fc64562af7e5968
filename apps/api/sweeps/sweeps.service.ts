// Sweeps: shown and listed. A sweep is settled when its settled.json exists, and not before.
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '#config';
import { NotFound, type SettledRecord, type SweepRecord, type SweepStatus } from '#experiment';
import { keys, type SweepState as RecordedState } from '#storage';
import { CONFIG } from '../connections.js';
import { LiveService } from '../records/live.service.js';
import { mapLimited } from '../records/map-limited.js';
import { type Page, RecordsService } from '../records/records.service.js';
import type { PageRequest } from '../requests/query.js';
import type { TrialView } from '../trials/trial-view.js';
import { TrialsService } from '../trials/trials.service.js';
import { lackOf } from './placement.js';
import type { SweepLinks, SweepListItem, SweepView, TrialCounts } from './sweep-view.js';

@Injectable()
export class SweepsService {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly records: RecordsService,
    private readonly trials: TrialsService,
    private readonly live: LiveService,
  ) {}

  async get(sweepId: string): Promise<SweepView> {
    const { sweep, state } = await this.existing(sweepId);
    const [settled, trials] = await Promise.all([
      state.isSettled ? this.records.settled(sweepId, state.version) : undefined,
      this.trials.views(sweep.trials, sweep),
    ]);
    const reportFiles = settled?.reportFiles ?? [];
    const waitsFor = settled || state.isCancelled || state.isPaused ? [] : await this.lackOf(sweep, trials);
    return {
      ...this.listItem(sweep, { settled, state, trials }),
      request: sweep.request,
      ...(sweep.estimate ? { estimate: sweep.estimate } : {}),
      ...(waitsFor.length > 0 ? { waitsFor } : {}),
      reportFiles: reportFiles.map(({ name, size, sha256, contentType }) => ({ name, size, sha256, contentType })),
      trials,
    };
  }

  list(page: PageRequest): Promise<Page<SweepListItem>> {
    return this.records.page(keys.sweeps(), 'sweep.json', page, (sweepIds) =>
      mapLimited(sweepIds, async (sweepId) => {
        const { sweep, state } = await this.existing(sweepId);
        const settled = state.isSettled ? await this.records.settled(sweepId, state.version) : undefined;
        const trials = settled === undefined ? await this.trials.views(sweep.trials, sweep) : [];
        return this.listItem(sweep, { settled, state, trials });
      }),
    );
  }

  linksTo(sweepId: string): SweepLinks {
    const self = `${this.config.publicUrl}/v1/sweeps/${sweepId}`;
    return { self, report: `${self}/report`, events: `${self}/events` };
  }

  /** What the workers of now lack for those of its bundles of which nothing runs. */
  private async lackOf({ placement, bundles }: SweepRecord, trials: TrialView[]): Promise<string[]> {
    const queued = new Set(trials.filter(({ status }) => status === 'queued').map(({ trialId }) => trialId));
    if (!placement || queued.size === 0) return [];
    const waiting = bundles.map((bundle) => bundle.some((trialId) => queued.has(trialId)));
    const workers = await this.live.workers();
    return workers ? lackOf(placement, waiting, workers) : [];
  }

  private async existing(sweepId: string): Promise<{ sweep: SweepRecord; state: RecordedState }> {
    const standing = await this.records.sweepStanding(sweepId);
    if (standing === undefined) throw new NotFound(`There is no sweep ${JSON.stringify(sweepId)}.`);
    return standing;
  }

  private listItem(sweep: SweepRecord, state: SweepState): SweepListItem {
    const { sweepId, version, name, owner, kind, teacherId, corpusId, warnings, createdAt } = sweep;
    const counts = countsOf(state);
    return {
      sweepId,
      ...(version === undefined ? {} : { version }),
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
  state: RecordedState;
  /** May be left out for a settled sweep. */
  trials: TrialView[];
}

/** A settled sweep's counts are those it was settled with, whatever other sweeps did with its trials since. */
function countsOf({ settled, trials }: SweepState): TrialCounts {
  const counts: TrialCounts = {
    queued: 0,
    running: 0,
    recovering: 0,
    paused: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
    pruned: 0,
  };
  if (settled !== undefined) return { ...counts, ...settled.counts };
  for (const { status } of trials) counts[status] += 1;
  return counts;
}

function statusOf({ settled, state, trials }: SweepState, counts: TrialCounts): SweepStatus {
  if (settled !== undefined) return settled.status;
  if (state.isCancelled) return 'cancelled';
  const { queued, running, recovering, paused } = counts;
  if (state.isPaused || (paused > 0 && queued + running + recovering === 0)) return 'paused';
  return queued === trials.length ? 'queued' : 'running';
}
