// From a parsed request to an accepted sweep. The order of writing is what makes it safe: trials, then sweep.json
// (create-if-absent; from here the sweep survives anything), then jobs, which the aggregator adds again if they are lost.
import { Inject, Injectable } from '@nestjs/common';
import {
  bundleIdOf,
  Conflict,
  canonicalJson,
  InvalidRequest,
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
import type { FleetJob, RedisFleet } from '#queue';
import { keys, type ObjectStore, putJsonIfAbsent } from '#storage';
import { FLEET, OWNER, STORE } from '../connections.js';
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
    await mapLimited(plan.trials, async ({ trialId, spec }) => {
      const record: TrialRecord = { trialId, spec, createdAt: sweep.createdAt };
      await putJsonIfAbsent(this.store, keys.trial(trialId), record);
    });
    const open = await this.withoutResult(sweep);
    await this.reviveCancelled(open);
    if (!(await putJsonIfAbsent(this.store, keys.sweep(sweepId), sweep))) {
      const winner = await this.records.sweep(sweepId);
      if (winner === undefined) throw new Error(`sweep ${sweepId} exists but cannot be read`);
      return requireSame(winner, request, kind);
    }
    // Again, for whoever cancelled another sweep of these trials before he could see this one.
    await this.reviveCancelled(open);
    await this.live.bestEffort(() => this.fleet.enqueue(jobsOf(sweep, open)));
    return sweep;
  }

  /** How many trials had a result before the sweep was asked for: the same number whenever it is counted. */
  async countReused(sweep: SweepRecord): Promise<number> {
    const results = await mapLimited(sweep.trials, ({ trialId }) => this.records.trialResult(trialId));
    return results.filter((result) => result !== undefined && result.finishedAt < sweep.createdAt).length;
  }

  async countTrained(trials: PlannedTrial[]): Promise<number> {
    const results = await mapLimited(trials, ({ trialId }) => this.records.trialResult(trialId));
    return results.filter((result) => result !== undefined).length;
  }

  private async withoutResult(sweep: SweepRecord): Promise<Set<string>> {
    const results = await mapLimited(sweep.trials, ({ trialId }) => this.records.trialResult(trialId));
    return new Set(sweep.trials.filter((_, index) => results[index] === undefined).map(({ trialId }) => trialId));
  }

  /** A trial cancelled with an earlier sweep is wanted again. */
  private async reviveCancelled(trialIds: Set<string>): Promise<void> {
    await mapLimited([...trialIds], async (trialId) => {
      if (await this.records.isCancelledTrial(trialId)) await this.store.delete(keys.trialCancelled(trialId));
    });
  }
}

/** One job per bundle, with the trials of it that are still to be trained. */
function jobsOf(sweep: SweepRecord, open: Set<string>): FleetJob[] {
  return sweep.bundles
    .map((bundle) => bundle.filter((trialId) => open.has(trialId)))
    .filter((trialIds) => trialIds.length > 0)
    .map((trialIds) => ({
      kind: 'bundle',
      bundleId: bundleIdOf(trialIds),
      sweepId: sweep.sweepId,
      owner: sweep.owner,
      trialIds,
    }));
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
