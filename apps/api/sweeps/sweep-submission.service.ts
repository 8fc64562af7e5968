// From a parsed request to an accepted sweep. The order of writing is what makes it safe: sweep.json, which holds all that its
// trials are (create-if-absent; from here the sweep survives anything), then jobs, which the aggregator adds again if they are
// lost. The trials' own records are written before it where they are few.
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Config } from '#config';
import {
  Conflict,
  type CorpusRecord,
  type CostEstimate,
  canonicalJson,
  type Extension,
  extendRequest,
  foldTrials,
  InvalidRequest,
  NotFound,
  type Placement,
  type PlannedTrial,
  planBundles,
  planTrials,
  randomSweepId,
  type SweepRecord,
  type SweepRequest,
  sweepIdFromKey,
  type TeacherRecord,
  type TrialRecord,
  type Warning,
  warningsFor,
} from '#experiment';
import { bundleJobs, type RedisFleet, shareOf } from '#queue';
import { keys, type ObjectStore, putJsonIfAbsent } from '#storage';
import { currentOwner } from '../authentication/owner.js';
import { CONFIG, FLEET, STORE } from '../connections.js';
import { ControlsService } from '../controls/controls.service.js';
import { CorporaService } from '../corpora/corpora.service.js';
import { HttpProblem } from '../problems/problem.js';
import { LiveService } from '../records/live.service.js';
import { mapLimited } from '../records/map-limited.js';
import { RecordsService } from '../records/records.service.js';
import { TeachersService } from '../teachers/teachers.service.js';
import { CostService } from './cost.service.js';
import { lackOf, placementOf } from './placement.js';

/** What a request would do, before anything is stored. */
export interface SweepPlan {
  request: SweepRequest;
  teacherId: string;
  corpusId: string;
  trials: PlannedTrial[];
  bundles: string[][];
  placement: Placement;
  warnings: Warning[];
  teacher: TeacherRecord;
  corpus: CorpusRecord;
}

export interface SubmitOptions {
  kind: SweepRecord['kind'];
  idempotencyKey?: string | undefined;
}

export interface Submitted {
  sweep: SweepRecord;
  /** Nothing of it had ever been asked for: all of it waits, none of it is trained. */
  isNew: boolean;
}

/** Of a larger sweep the trials' own records are written after it is accepted: its own record holds them too. */
const MOST_AT_ONCE = 256;
/** Few, so that other requests do not wait behind them. */
const LATER_AT_ONCE = 4;

@Injectable()
export class SweepSubmissionService implements OnModuleDestroy {
  private isClosing = false;
  private readonly writing = new Set<Promise<void>>();

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(STORE) private readonly store: ObjectStore,
    @Inject(FLEET) private readonly fleet: RedisFleet,
    private readonly records: RecordsService,
    private readonly controls: ControlsService,
    private readonly teachers: TeachersService,
    private readonly corpora: CorporaService,
    private readonly live: LiveService,
    private readonly costs: CostService,
  ) {}

  /** `before` are bundles of the sweep as it was: what is in one stays in it, only what is new is packed anew. */
  async plan(request: SweepRequest, before: string[][] = []): Promise<SweepPlan> {
    const teacher = await this.teachers.resolve(request.teacher);
    const corpus = await this.corpora.resolve(request.corpus ?? teacher.corpusId);
    const trials = planTrials(request, teacher, corpus);
    const packed = new Set(before.flat());
    const added = trials.filter(({ trialId }) => !packed.has(trialId));
    const bundles = [...before, ...planBundles(added, request.trialsPerBundle)];
    return {
      request,
      teacherId: teacher.teacherId,
      corpusId: corpus.corpusId,
      teacher,
      corpus,
      trials,
      bundles,
      placement: placementOf(request, bundles, { trials, teacher, corpus }),
      warnings: warningsFor({
        teacher,
        corpus,
        trials,
        evaluationSentences: request.evaluation.sentences,
        earlyStopping: request.earlyStopping,
        isDrawn: request.search === 'random',
        bundles,
      }),
    };
  }

  /** Accepts the sweep, or finds the one the same idempotency key has made. Throws Conflict when that was another. */
  async submit(request: SweepRequest, { kind, idempotencyKey }: SubmitOptions): Promise<Submitted> {
    const owner = currentOwner();
    const sweepId = idempotencyKey === undefined ? randomSweepId() : sweepIdFromKey(owner, idempotencyKey);
    const existing = await this.records.sweep(sweepId);
    if (existing !== undefined) return { sweep: requireSame(existing, request, kind), isNew: false };
    const plan = await this.plan(request);
    await this.live.requireFleet();
    await this.refuseTooMany(owner, plan.trials);
    const sweep: SweepRecord = {
      sweepId,
      name: request.name,
      owner,
      kind,
      request,
      teacherId: plan.teacherId,
      corpusId: plan.corpusId,
      ...foldTrials(plan.trials),
      bundles: plan.bundles,
      placement: plan.placement,
      warnings: plan.warnings,
      createdAt: new Date().toISOString(),
    };
    const isLarge = plan.trials.length > MOST_AT_ONCE;
    if (!isLarge) await this.storeTrials(sweep, plan.trials);
    const states = await this.controls.states(plan.trials.map(({ trialId }) => trialId));
    const open = await this.controls.openAll(states, { andRetry: true });
    sweep.estimate = await this.costs.estimate(plan.bundles, open, plan);
    if (!(await putJsonIfAbsent(this.store, keys.sweep(sweepId), sweep))) {
      const winner = await this.records.sweep(sweepId);
      if (winner === undefined) throw new Error(`sweep ${sweepId} exists but cannot be read`);
      return { sweep: requireSame(winner, request, kind), isNew: false };
    }
    const isNew = isLarge && states.every(({ state }) => !state.exists && !state.hasResult);
    await this.start(sweep, open, plan.trials);
    return { sweep, isNew };
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
    const plan = await this.plan({ ...request, teacher: sweep.teacherId, corpus: sweep.corpusId }, sweep.bundles);
    return { sweep, plan: { ...plan, request } };
  }

  /** Makes the next version of the sweep; asking for what it has already gives the sweep as it is. */
  async extend(sweepId: string, extension: Extension): Promise<SweepRecord> {
    const { sweep, plan } = await this.planExtension(sweepId, extension);
    const isPaidFurther = extension.budget !== undefined;
    if (plan.bundles.length === sweep.bundles.length && !isPaidFurther) return sweep;
    await this.live.requireFleet();
    const before = new Set(sweep.bundles.flat());
    const added = plan.trials.filter(({ trialId }) => !before.has(trialId));
    await this.refuseTooMany(sweep.owner, added);
    const version = (sweep.version ?? 1) + 1;
    const next: SweepRecord = {
      ...sweep,
      version,
      versionedAt: new Date().toISOString(),
      request: plan.request,
      ...foldTrials(plan.trials),
      bundles: plan.bundles,
      placement: plan.placement,
      warnings: plan.warnings,
    };
    if (added.length <= MOST_AT_ONCE) await this.storeTrials(next, added);
    const open = await this.controls.open(
      added.map(({ trialId }) => trialId),
      { andRetry: true },
    );
    next.estimate = together(sweep.estimate, await this.costs.estimate(plan.bundles, open, plan));
    if (!(await putJsonIfAbsent(this.store, keys.sweep(sweepId, version), next)))
      throw new Conflict(`Sweep ${sweepId} was changed at the same time; look at it and try again.`);
    const affordable = isPaidFurther ? await this.controls.unprune(sweep) : [];
    await this.start(next, new Set([...open, ...affordable]), added);
    return next;
  }

  /** How many trials had been trained before the sweep was asked for: the same number whenever it is counted. */
  async countReused(sweep: SweepRecord): Promise<number> {
    const results = await mapLimited(sweep.trials, ({ trialId }) => this.records.trialResult(trialId));
    const since = sweep.versionedAt ?? sweep.createdAt;
    return results.filter((result) => result?.status === 'completed' && result.finishedAt < since).length;
  }

  /** Which of the plan's trials are trained already, and what the others will take. */
  async outlook(plan: SweepPlan): Promise<{ reused: number; estimate: CostEstimate }> {
    const trained = await this.trained(plan.trials);
    const open = plan.trials.map(({ trialId }) => trialId).filter((trialId) => !trained.has(trialId));
    return { reused: trained.size, estimate: await this.costs.estimate(plan.bundles, new Set(open), plan) };
  }

  private async trained(trials: readonly PlannedTrial[]): Promise<Set<string>> {
    const results = await mapLimited(trials, ({ trialId }) => this.records.trialResult(trialId));
    const trained = trials.filter((_, index) => results[index]?.status === 'completed');
    return new Set(trained.map(({ trialId }) => trialId));
  }

  /** What the workers there are lack for these bundles; nothing when Redis does not answer. */
  async lack(placement: Placement): Promise<string[]> {
    const workers = await this.live.workers();
    return workers
      ? lackOf(
          placement,
          placement.memoryBytes.map(() => true),
          workers,
        )
      : [];
  }

  /** Before anything is stored. Throws HttpProblem when more of the owner's trials would wait than may. */
  private async refuseTooMany(owner: string, trials: PlannedTrial[]): Promise<void> {
    const { waiting: most } = shareOf(this.config.owners, owner);
    if (most === undefined) return;
    const waiting = await this.fleet.waitingTrials(owner);
    const added = trials.length - (await this.trained(trials)).size;
    if (added === 0 || waiting + added <= most) return;
    throw new HttpProblem(
      429,
      `${added} trials are more than may wait for ${owner}: ${waiting} of at most ${most} do already. Ask for fewer, or again when some have run.`,
    );
  }

  /** Lets what is being written be finished, or left to the aggregator. */
  async onModuleDestroy(): Promise<void> {
    this.isClosing = true;
    await Promise.all(this.writing);
  }

  private async storeTrials(
    { createdAt }: SweepRecord,
    trials: readonly PlannedTrial[],
    atOnce?: number,
  ): Promise<void> {
    const write = async ({ trialId, spec }: PlannedTrial) => {
      if (this.isClosing) return;
      const record: TrialRecord = { trialId, spec, createdAt };
      await putJsonIfAbsent(this.store, keys.trial(trialId), record);
    };
    await mapLimited(trials, write, atOnce);
  }

  /** Jobs for what is open. Of a large sweep the rest is done when the client has its answer, and by the aggregator if not here. */
  private async start(sweep: SweepRecord, open: Set<string>, planned: readonly PlannedTrial[]): Promise<void> {
    // Again, for whoever cancelled or paused another sweep of these trials before he could see this one.
    const lookAgain = () => this.controls.open([...open], { andRetry: false });
    const isLarge = planned.length > MOST_AT_ONCE;
    if (!isLarge) await lookAgain();
    await this.live.bestEffort(() => this.fleet.enqueue(bundleJobs(sweep, (trialId) => open.has(trialId))));
    if (!isLarge) return;
    const rest = lookAgain()
      .then(() => this.storeTrials(sweep, planned, LATER_AT_ONCE))
      .catch(() => {});
    this.writing.add(rest);
    void rest.then(() => this.writing.delete(rest));
  }
}

/** What is expected of the sweep as a whole: what it was before, and what is new. */
function together(before: CostEstimate | undefined, added: CostEstimate): CostEstimate {
  return before ? { ...added, deviceSeconds: before.deviceSeconds + added.deviceSeconds } : added;
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
