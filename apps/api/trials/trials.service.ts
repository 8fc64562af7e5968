// Trials: their state from the record first (a result is the truth), then from what workers report.
import { Inject, Injectable } from '@nestjs/common';
import {
  InvalidRequest,
  type LiveTrial,
  NotFound,
  NotReady,
  type PrunedFacts,
  Removed,
  type SweepRecord,
  type SweepTrial,
  type TrialRecord,
  type TrialResult,
  type TrialStatus,
} from '#experiment';
import { keys, type ObjectStore } from '#storage';
import { urlFor } from '../artifacts/artifact-url.js';
import { STORE } from '../connections.js';
import { LiveService } from '../records/live.service.js';
import { mapLimited } from '../records/map-limited.js';
import { type Page, RecordsService } from '../records/records.service.js';
import type { PageRequest } from '../requests/query.js';
import type { ArtifactView, TrialMetricsView, TrialView } from './trial-view.js';

/** A running trial reports every second; silent for this long, its worker is lost and another one takes over. */
const SILENT_MS = 30_000;

interface ShownTrial {
  trialId: string;
  role?: SweepTrial['role'];
}

/** What the record says of a trial. */
interface Recorded extends ShownTrial {
  record: TrialRecord;
  result?: TrialResult;
  isCancelled: boolean;
  isPaused: boolean;
  /** Its result is what one sweep says of it, and nobody in particular asks. */
  isUndecided: boolean;
}

@Injectable()
export class TrialsService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    private readonly records: RecordsService,
    private readonly live: LiveService,
  ) {}

  async get(trialId: string): Promise<TrialView> {
    const recorded = await this.recorded({ trialId });
    if (recorded === undefined) throw new NotFound(`There is no trial ${JSON.stringify(trialId)}.`);
    const [view] = await this.withLive([recorded]);
    return view as TrialView;
  }

  /** Views of these trials in their order, as they stand for a sweep or (left out) for anybody. */
  async views(trials: ShownTrial[], asking?: SweepRecord): Promise<TrialView[]> {
    const recorded = await mapLimited(trials, async (trial) => {
      const found = await this.recorded(trial, asking);
      // What names a trial describes it too, or was written after it; neither is ever deleted.
      if (found === undefined) throw new Error(`the record of trial ${trial.trialId} is missing`);
      return found;
    });
    return this.withLive(recorded);
  }

  /** All trials in the order of their ids, or those of one sweep in its order. */
  async list(filter: { status?: TrialStatus; sweep?: string }, page: PageRequest): Promise<Page<TrialView>> {
    const matches = (view: TrialView) => filter.status === undefined || view.status === filter.status;
    if (filter.sweep !== undefined) return this.listOfSweep(filter.sweep, page, matches);
    return this.records.page(keys.trials(), 'trial.json', page, async (trialIds) => {
      const views = await this.views(trialIds.map((trialId) => ({ trialId })));
      return views.map((view) => (matches(view) ? view : undefined));
    });
  }

  async metrics(trialId: string): Promise<TrialMetricsView> {
    const { record, result } = await this.existing(trialId);
    const ended = result?.summary?.epochs ?? result?.pruned?.epochs;
    if (ended !== undefined) return { trialId, live: true, epochs: ended };
    const epochs = await this.live.epochs(record.trialId);
    return { trialId, live: epochs !== undefined, epochs: epochs ?? [] };
  }

  async artifacts(trialId: string): Promise<{ items: ArtifactView[] }> {
    const { result } = await this.existing(trialId);
    return { items: artifactsOf(result) };
  }

  /** Where the artifact can be fetched without the API key, for an hour. The name may leave out its extension. */
  async artifactUrl(trialId: string, name: string): Promise<string> {
    const { result } = await this.existing(trialId);
    if (result === undefined) {
      throw new NotReady(`Trial ${trialId} has not ended yet; its artifacts are there when it has.`);
    }
    const file =
      result.artifacts.find((artifact) => artifact.name === name) ??
      result.artifacts.find((artifact) => artifact.name.replace(/\.[^.]+$/, '') === name);
    if (file === undefined) {
      const names = result.artifacts.map((artifact) => artifact.name).join(', ') || 'none';
      throw new NotFound(`Trial ${trialId} has no artifact ${JSON.stringify(name)}; it has: ${names}.`);
    }
    const trimmed = await this.records.trimmed(trialId);
    if (trimmed?.removed.some((removed) => removed.name === file.name)) {
      throw new Removed(
        `${file.name} of trial ${trialId} was removed by the retention policy on ${trimmed.trimmedAt.slice(0, 10)}; its final and best models are kept.`,
      );
    }
    return urlFor(this.store, file);
  }

  private async listOfSweep(
    sweepId: string,
    page: PageRequest,
    matches: (view: TrialView) => boolean,
  ): Promise<Page<TrialView>> {
    const sweep = await this.records.sweep(sweepId);
    if (sweep === undefined) throw new NotFound(`There is no sweep ${JSON.stringify(sweepId)}.`);
    const start = page.cursor === undefined ? 0 : indexIn(page.cursor);
    const items: TrialView[] = [];
    for (let at = start; at < sweep.trials.length; ) {
      const step = sweep.trials.slice(at, at + page.limit);
      for (const [index, view] of (await this.views(step, sweep)).entries()) {
        if (!matches(view)) continue;
        if (items.length === page.limit) return { items, nextCursor: cursorAt(at + index) };
        items.push(view);
      }
      at += step.length;
      if (items.length === page.limit && at < sweep.trials.length) return { items, nextCursor: cursorAt(at) };
    }
    return { items };
  }

  private async existing(trialId: string): Promise<Recorded> {
    const recorded = await this.recorded({ trialId });
    if (recorded === undefined) throw new NotFound(`There is no trial ${JSON.stringify(trialId)}.`);
    return recorded;
  }

  private async recorded({ trialId, role }: ShownTrial, asking?: SweepRecord): Promise<Recorded | undefined> {
    const standing = await this.records.trialStanding(trialId, asking);
    const record = standing && (await this.records.trial(trialId));
    if (record === undefined || standing === undefined) return undefined;
    const { result, state } = standing;
    const { isCancelled, isPaused } = state;
    // What one sweep has pruned another may be training.
    const isUndecided = result?.status === 'pruned' && asking === undefined;
    return {
      trialId,
      record,
      isCancelled,
      isPaused,
      isUndecided,
      ...(role ? { role } : {}),
      ...(result ? { result } : {}),
    };
  }

  private async withLive(trials: Recorded[]): Promise<TrialView[]> {
    const open = trials.filter((trial) => isOpen(trial) || trial.isUndecided);
    const live = await this.live.trials(open.map(({ trialId }) => trialId));
    return trials.map((trial) => {
      const progress = live?.get(trial.trialId);
      const { result: _pruned, ...asTrained } = trial;
      return viewOf(trial.isUndecided && progress ? asTrained : trial, progress, live !== undefined);
    });
  }
}

function viewOf(recorded: Recorded, progress: LiveTrial | undefined, isLive: boolean): TrialView {
  const { trialId, role, record, result } = recorded;
  const { hyperparameters, evaluation, teacherId, corpusId } = record.spec;
  const shown = isOpen(recorded) ? progress : undefined;
  const attempts = /^(\d+)-/.exec(result?.fence ?? '')?.[1];
  return {
    trialId,
    status: statusOf(recorded, shown),
    ...(role ? { role } : {}),
    hyperparameters,
    evaluation,
    teacherId,
    corpusId,
    live: isLive,
    ...(shown ? { progress: shown } : {}),
    ...(result?.summary ? { summary: withoutLists(result.summary) } : {}),
    ...(result?.failure ? { failure: result.failure } : {}),
    ...(result?.pruned ? { pruned: withoutEpochs(result.pruned) } : {}),
    ...(attempts ? { attempts: Number(attempts) } : {}),
    ...(result
      ? {
          ...(result.worker ? { worker: result.worker } : {}),
          startedAt: result.startedAt,
          finishedAt: result.finishedAt,
        }
      : {}),
    artifacts: artifactsOf(result),
    createdAt: record.createdAt,
  };
}

function isOpen({ result, isCancelled, isPaused }: Recorded): boolean {
  return result === undefined && !isCancelled && !isPaused;
}

function statusOf({ result, isCancelled, isPaused }: Recorded, progress: LiveTrial | undefined): TrialStatus {
  if (result !== undefined) return result.status;
  if (isCancelled) return 'cancelled';
  if (isPaused) return 'paused';
  if (progress === undefined || progress.phase === 'waiting') return 'queued';
  return Date.now() - Date.parse(progress.updatedAt) > SILENT_MS ? 'recovering' : 'running';
}

function withoutEpochs({ epochs: _epochs, ...pruned }: PrunedFacts): NonNullable<TrialView['pruned']> {
  return pruned;
}

/** Epochs are at /metrics, values per sentence in evaluation.json: both would make long answers longer still. */
function withoutLists({ epochs: _epochs, ...summary }: NonNullable<TrialResult['summary']>): TrialView['summary'] {
  const { sentenceValues: _values, ...evaluation } = summary.evaluation;
  return { ...summary, evaluation };
}

function artifactsOf(result: TrialResult | undefined): ArtifactView[] {
  return (result?.artifacts ?? []).map(({ name, size, sha256, contentType }) => ({ name, size, sha256, contentType }));
}

function cursorAt(index: number): string {
  return Buffer.from(`trial ${index}`).toString('base64url');
}

function indexIn(cursor: string): number {
  const index = /^trial (\d{1,9})$/.exec(Buffer.from(cursor, 'base64url').toString('utf8'))?.[1];
  if (index !== undefined) return Number(index);
  throw new InvalidRequest([{ path: 'cursor', message: 'not a cursor of this list; use nextCursor of the last page' }]);
}
