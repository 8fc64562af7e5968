// From a parsed request to an accepted sweep. The order of writing is what makes it safe: trials, then sweep.json
// (create-if-absent; from here the sweep survives anything), then jobs, which the aggregator adds again if they are lost.
import { Inject, Injectable } from '@nestjs/common';
import {
  Conflict,
  canonicalJson,
  type Extension,
  extendRequest,
  InvalidRequest,
  NotFound,
  type PlannedTrial,
  planBundles,
  planTrials,
  randomSweepId,
  type SweepRecord,
  type SweepRequest,
  sweepIdFromKey,
  type TrialRecord,
  type Warning,
  warningsFor,
} from '#experiment';
import { bundleJobs, type RedisFleet } from '#queue';
import { keys, type ObjectStore, putJsonIfAbsent } from '#storage';
import { FLEET, OWNER, STORE } from '../connections.js';
import { ControlsService } from '../controls/controls.service.js';
import { CorporaService } from '../corpora/corpora.service.js';
import { LiveService } from '../records/live.service.js';
import { mapLimited } from '../records/map-limited.js';
import { RecordsService } from '../records/records.service.js';
import { TeachersService } from '../teachers/teachers.service.js';

/** What a request would do, before anything is stored. */
export interface SweepPlan {
  request: SweepRequest;
  teacherId: string;
  corpusId: string;
  trials: PlannedTrial[];
  bundles: string[][];
  warnings: Warning[];
}

export interface SubmitOptions {
  kind: SweepRecord['kind'];
  idempotencyKey?: string | undefined;
}

@Injectable()
export class SweepSubmissionService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    @Inject(FLEET) private readonly fleet: RedisFleet,
    private readonly records: RecordsService,
    private readonly controls: ControlsService,
    private readonly teachers: TeachersService,
    private readonly corpora: CorporaService,
    private readonly live: LiveService,
  ) {}

  async plan(request: SweepRequest): Promise<SweepPlan> {
    const teacher = await this.teachers.resolve(request.teacher);
    const corpus = await this.corpora.resolve(request.corpus ?? teacher.corpusId);
    const trials = planTrials(request, teacher, corpus);
    return {
      request,
      teacherId: teacher.teacherId,
      corpusId: corpus.corpusId,
      trials,
      bundles: planBundles(trials, request.trialsPerBundle),
      warnings: warningsFor({ teacher, corpus, trials, evaluationSentences: request.evaluation.sentences }),
    };
  }

  /** Accepts the sweep, or finds the one the same idempotency key has made. Throws Conflict when that was another. */
  async submit(request: SweepRequest, { kind, idempotencyKey }: SubmitOptions): Promise<SweepRecord> {
    const sweepId = idempotencyKey === undefined ? randomSweepId() : sweepIdFromKey(OWNER, idempotencyKey);
    const existing = await this.records.sweep(sweepId);
    if (existing !== undefined) return requireSame(existing, request, kind);
    const plan = await this.plan(request);
    await this.live.requireFleet();
    const sweep: SweepRecord = {
      sweepId,
      name: request.name,
      owner: OWNER,
      kind,
      request,
      teacherId: plan.teacherId,
      corpusId: plan.corpusId,
      trials: plan.trials.map(({ trialId, role }) => ({ trialId, role })),
      bundles: plan.bundles,
      warnings: plan.warnings,
      createdAt: new Date().toISOString(),
    };
    await this.storeTrials(plan.trials, sweep.createdAt);
    const trialIds = plan.trials.map(({ trialId }) => trialId);
    const open = await this.controls.open(trialIds, { andRetry: true });
    if (!(await putJsonIfAbsent(this.store, keys.sweep(sweepId), sweep))) {
      const winner = await this.records.sweep(sweepId);
      if (winner === undefined) throw new Error(`sweep ${sweepId} exists but cannot be read`);
      return requireSame(winner, request, kind);
    }
    await this.start(sweep, open);
    return sweep;
  }

  /** What an extension would make of the sweep; `sweep` is it as it stands. */
  async planExtension(sweepId: string, extension: Extension): Promise<{ sweep: SweepRecord; plan: SweepPlan }> {
    const standing = await this.records.sweepStanding(sweepId);
    if (standing === undefined) throw new NotFound(`There is no sweep ${JSON.stringify(sweepId)}.`);
    const { sweep, state } = standing;
    if (sweep.kind === 'distillation')
      throw new Conflict(`${sweepId} is a single distillation; ask for a sweep to train more than one student.`);
    if (state.isCancelled) throw new Conflict(`Sweep ${sweepId} was cancelled; retry it first, then extend it.`);
    if (state.isPaused) throw new Conflict(`Sweep ${sweepId} is paused; resume it first, then extend it.`);
    const request = extendRequest(sweep.request as SweepRequest, extension);
    const plan = await this.plan({ ...request, teacher: sweep.teacherId, corpus: sweep.corpusId });
    // What is in a bundle stays in it: only what is new is packed anew.
    const before = new Set(sweep.bundles.flat());
    const added = plan.trials.filter(({ trialId }) => !before.has(trialId));
    const bundles = [...sweep.bundles, ...planBundles(added, request.trialsPerBundle)];
    return { sweep, plan: { ...plan, request, bundles } };
  }

  /** Makes the next version of the sweep; asking for what it has already gives the sweep as it is. */
  async extend(sweepId: string, extension: Extension): Promise<SweepRecord> {
    const { sweep, plan } = await this.planExtension(sweepId, extension);
    if (plan.bundles.length === sweep.bundles.length) return sweep;
    await this.live.requireFleet();
    const version = (sweep.version ?? 1) + 1;
    const next: SweepRecord = {
      ...sweep,
      version,
      versionedAt: new Date().toISOString(),
      request: plan.request,
      trials: plan.trials.map(({ trialId, role }) => ({ trialId, role })),
      bundles: plan.bundles,
      warnings: plan.warnings,
    };
    await this.storeTrials(plan.trials, next.versionedAt as string);
    const before = new Set(sweep.bundles.flat());
    const added = next.trials.map(({ trialId }) => trialId).filter((trialId) => !before.has(trialId));
    const open = await this.controls.open(added, { andRetry: true });
    if (!(await putJsonIfAbsent(this.store, keys.sweep(sweepId, version), next)))
      throw new Conflict(`Sweep ${sweepId} was changed at the same time; look at it and try again.`);
    await this.start(next, open);
    return next;
  }

  /** How many trials had been trained before the sweep was asked for: the same number whenever it is counted. */
  async countReused(sweep: SweepRecord): Promise<number> {
    const results = await mapLimited(sweep.trials, ({ trialId }) => this.records.trialResult(trialId));
    const since = sweep.versionedAt ?? sweep.createdAt;
    return results.filter((result) => result?.status === 'completed' && result.finishedAt < since).length;
  }

  async countTrained(trials: PlannedTrial[]): Promise<number> {
    const results = await mapLimited(trials, ({ trialId }) => this.records.trialResult(trialId));
    return results.filter((result) => result?.status === 'completed').length;
  }

  private async storeTrials(trials: PlannedTrial[], createdAt: string): Promise<void> {
    await mapLimited(trials, async ({ trialId, spec }) => {
      const record: TrialRecord = { trialId, spec, createdAt };
      await putJsonIfAbsent(this.store, keys.trial(trialId), record);
    });
  }

  private async start(sweep: SweepRecord, open: Set<string>): Promise<void> {
    // Again, for whoever cancelled or paused another sweep of these trials before he could see this one.
    await this.controls.open([...open], { andRetry: false });
    await this.live.bestEffort(() => this.fleet.enqueue(bundleJobs(sweep, (trialId) => open.has(trialId))));
  }
}

function requireSame(sweep: SweepRecord, request: SweepRequest, kind: SweepRecord['kind']): SweepRecord {
  if (sweep.kind === kind && canonicalJson(sweep.request) === canonicalJson(request)) return sweep;
  throw new Conflict(
    `This Idempotency-Key was used for another request (${sweep.kind} ${sweep.sweepId}); take a new key for a new request.`,
  );
}

/** The header's value. Throws InvalidRequest when it is not 1 to 255 visible characters. */
export function parseIdempotencyKey(header: string | undefined): string | undefined {
  if (header === undefined || /^[\x21-\x7e]{1,255}$/.test(header)) return header;
  throw new InvalidRequest([{ path: 'Idempotency-Key', message: 'must be 1 to 255 visible ASCII characters' }]);
}
