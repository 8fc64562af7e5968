// One bundle on this worker, from the job to the results: drops what is done, cancelled or paused, trains the rest in one
// forked trainer (from the newest checkpoint, when there is one), stores each finished trial at once, its result last. It may
// run twice, here and elsewhere: create-if-absent decides whose result stands.
import { join } from 'node:path';
import {
  type CorpusRecord,
  type EpochMetrics,
  Impossible,
  type PrunedFacts,
  type RungDecision,
  stoppingReason,
  type TeacherRecord,
  type TrialRecord,
  type TrialSpec,
  type TrialSummary,
} from '#experiment';
import { type BundleJob, GivenBack, type JobContext } from '#queue';
import { getJson, isOpenTrial, isPrunedFor, keys, readTrialState, StoreUnavailable } from '#storage';
import { BundleCheckpoints } from './bundle-checkpoints.js';
import { storeRate } from './bundle-rate.js';
import { BundleStarts, MOST_DEATHS } from './bundle-starts.js';
import { type CheckpointManifest, checkpointJobOf } from './checkpoint-manifest.js';
import { isDiskFull } from './disk-room.js';
import type { RunningTrainer, TrainerEnd } from './forked-trainer.js';
import { forkTrainer, giveBackIfStopped, inTime, type JobTools, patiently, stopIfAsked } from './job-tools.js';
import { LiveBundle } from './live-bundle.js';
import { RecordWatch } from './record-watch.js';
import { writeSentenceEncoder } from './sentence-encoder.js';
import { chooseGroup, listBundle, readCheckpoints, removeEnded, type StoredCheckpoint } from './stored-checkpoints.js';
import { SweepRules } from './sweep-rules.js';
import type { TrainerJob, TrainerMessage } from './trainer-protocol.js';
import { trialRecord } from './trial-record.js';
import { newFence, TrialResults } from './trial-results.js';
import { inWorkFolder } from './work-folder.js';

type BundleTrainerJob = Extract<TrainerJob, { kind: 'bundle' }>;
type CompletedMessage = Extract<TrainerMessage, { type: 'trial-completed' }>;
type PrunedMessage = Extract<TrainerMessage, { type: 'trial-pruned' }>;

interface OpenTrial {
  trialId: string;
  spec: TrialSpec;
  /** Which retry of the trial this is, see keys.trialResult. */
  retry: number;
  epochs: EpochMetrics[];
}

/** The trainer is gone before it was done. */
class TrainerDied extends Error {
  override readonly name = 'TrainerDied';
  constructor(
    reason: string,
    readonly hasRunOutOfMemory: boolean,
  ) {
    super(reason);
  }
}

export class BundleRun {
  /** Trials that this run trains: without a result, a cancellation or a pause that it knows of. */
  private readonly open = new Map<string, OpenTrial>();
  /** Those that were paused while it ran. */
  private readonly paused = new Map<string, OpenTrial>();
  /** There are trials of the bundle that go on from another checkpoint, when this run is over. */
  private hasMore = false;
  private readonly storing: Promise<void>[] = [];
  private results!: TrialResults;
  private checkpoints!: BundleCheckpoints;
  private readonly fence: string;
  private readonly starts: BundleStarts;
  /** What the sweep says of which trials go on; absent: nothing. */
  private rules: SweepRules | undefined;
  private readonly decisions = new Map<string, RungDecision>();
  private readonly summaries: TrialSummary[] = [];
  private live?: LiveBundle;
  private trainer?: RunningTrainer;

  constructor(
    private readonly tools: JobTools,
    private readonly job: BundleJob,
    private readonly context: JobContext,
  ) {
    this.fence = newFence(context.attempt);
    this.starts = new BundleStarts(tools, context, job.bundleId, this.fence);
  }

  async run(): Promise<void> {
    try {
      await patiently(this.tools, this.context, () => this.openTrials());
      if (this.open.size > 0) {
        stopIfAsked(this.context);
        const start = await patiently(this.tools, this.context, () => this.chooseStart());
        if (start.isHopeless) await this.failAll(this.starts.reason, start.from?.manifest.state.step);
        else await this.trainCounted(start.from);
      }
    } finally {
      // Also after a lost lock: what this attempt has stored may be of trials that another one has finished.
      await inTime(this.tools, this.context, this.tidy());
    }
    if (this.hasMore) throw new GivenBack('the others of the bundle go on from another checkpoint');
  }

  /** Looks at the record of those of the trials that run here, and stops what is cancelled, paused, or has its result. */
  async lookAtRecord(trialIds: string[] = this.job.trialIds): Promise<void> {
    const asked = trialIds.flatMap((trialId) => this.open.get(trialId) ?? []);
    const found = await Promise.all(
      asked.map(async (trial) => ({ trial, state: await readTrialState(this.tools.store, trial.trialId) })),
    );
    const dropped: string[] = [];
    for (const { trial, state } of found) {
      const { trialId, retry } = trial;
      const isDone = state.hasResult || state.retry > retry;
      const isPruned = isPrunedFor(state, this.job);
      if (!(isDone || isPruned || state.isCancelled || state.isPaused) || !this.open.delete(trialId)) continue;
      if (state.isPaused && !isDone && !isPruned) {
        this.paused.set(trialId, trial);
        this.tools.log.log(`trial ${trialId} is paused`);
        void this.live?.pause(trialId);
      } else {
        dropped.push(trialId);
        const why = isDone
          ? 'has its result by another attempt; this one stops and changes nothing'
          : isPruned
            ? 'is pruned'
            : 'is cancelled';
        this.tools.log.warn(`trial ${trialId} ${why}`);
        void this.live?.drop(trialId, isDone ? 'completed' : isPruned ? 'pruned' : 'cancelled');
      }
    }
    if (dropped.length > 0) this.trainer?.cancel(dropped);
    // A pause needs a checkpoint that has the trial; with nothing left to train the trainer only has to end.
    const isIdle = this.open.size === 0 && this.storing.length === 0;
    if (this.paused.size > 0 || isIdle) this.trainer?.stop(this.tools.settings.times.stopGraceMs);
  }

  private async openTrials(): Promise<void> {
    const { store } = this.tools;
    this.open.clear();
    const { trialIds, sweepId } = this.job;
    const found = await Promise.all(
      trialIds.map(async (trialId) => {
        const state = await readTrialState(store, trialId);
        if (!isOpenTrial(state, this.job)) return undefined;
        const { spec } = await trialRecord(store, trialId, sweepId);
        return { trialId, spec, retry: state.retry, epochs: [] };
      }),
    );
    for (const trial of found) if (trial) this.open.set(trial.trialId, trial);
    if (!this.job.hasRules) return;
    this.rules = await SweepRules.read(store, this.job.sweepId);
    for (const trialId of (await this.rules?.pruneUnaffordable(this.job.bundleId, [...this.open.keys()])) ?? []) {
      this.open.delete(trialId);
      this.tools.log.log(`trial ${trialId} is not begun: the budget of its sweep is spent`);
      await this.tools.reports.trialEnded(trialId, 'pruned');
    }
  }

  /** Which of the trials go on together, from which checkpoint, and whether that was tried too often already. */
  private async chooseStart(): Promise<{ from?: StoredCheckpoint; isHopeless: boolean }> {
    const { store, log } = this.tools;
    const { bundleId } = this.job;
    const folder = await listBundle(store, bundleId);
    const say = (sentence: string) => log.warn(`bundle ${bundleId}: ${sentence}`);
    const checkpoints = await readCheckpoints(store, bundleId, folder.fences, say);
    const group = chooseGroup(checkpoints, [...this.open.keys()]);
    for (const trialId of this.open.keys()) {
      if (group.trialIds.includes(trialId)) continue;
      this.open.delete(trialId);
      this.hasMore = true;
    }
    const step = group.from?.manifest.state.step ?? 0;
    const { isHopeless } = await this.starts.begin({ step, trials: this.open.size }, folder);
    return { ...(group.from ? { from: group.from } : {}), isHopeless };
  }

  /** Trains; an attempt that comes to nothing is counted, and the last one that may fails the trials. */
  private async trainCounted(from: StoredCheckpoint | undefined): Promise<void> {
    try {
      await this.trainShown(from);
    } catch (error) {
      const isLost = this.context.signal.reason === 'lock-lost';
      // None of these tells anything of the trials.
      if (error instanceof GivenBack || error instanceof StoreUnavailable || isLost || isDiskFull(error)) {
        throw error;
      }
      const { message } = error as Error;
      const isMemory = error instanceof TrainerDied && error.hasRunOutOfMemory;
      const isLast = await patiently(this.tools, this.context, () => this.starts.died(message, isMemory));
      this.tools.log.warn(`bundle ${this.job.bundleId}: ${message}`);
      if (!isLast && !(error instanceof Impossible)) throw error;
      const many = `It was tried ${MOST_DEATHS} times in a row without getting further.`;
      await this.failAll(isLast ? `${message} ${many}` : message);
    }
  }

  private async failAll(reason: string, step?: number): Promise<void> {
    this.results ??= new TrialResults(this.tools, this.context, this.fence, this.job.trialIds);
    for (const trial of [...this.open.values()]) {
      this.open.delete(trial.trialId);
      await this.fail(trial, step ? { reason, step } : { reason });
    }
  }

  private async trainShown(from: StoredCheckpoint | undefined): Promise<void> {
    const { reports, settings, status, log } = this.tools;
    const trialIds = [...this.open.keys()];
    void reports.trialsStarted(trialIds);
    this.live = new LiveBundle(trialIds, settings.workerId, reports);
    status.training(trialIds);
    log.log(`bundle ${this.job.bundleId}: ${trialIds.length} trials, attempt ${this.context.attempt}`);
    const watch = new RecordWatch(this.tools, () => this.lookAtRecord());
    try {
      await inWorkFolder(settings.config.cacheFolder, (workFolder) => this.train(workFolder, from));
    } finally {
      watch.stop();
      this.live.stop();
      status.training([]);
    }
  }

  private async train(workFolder: string, from: StoredCheckpoint | undefined): Promise<void> {
    const begunAt = performance.now();
    this.checkpoints = new BundleCheckpoints(this.tools, this.job.bundleId, this.fence, workFolder);
    const job = await patiently(this.tools, this.context, () => this.trainerJob(from, workFolder));
    const together = job.trials.map(({ trialId }) => trialId);
    this.results = new TrialResults(this.tools, this.context, this.fence, together);
    const onMessage = (message: TrainerMessage) => this.hear(message, workFolder);
    await patiently(this.tools, this.context, () => this.starts.written());
    this.trainer = await forkTrainer(this.tools, this.context, { workFolder, job, onMessage });
    await this.lookAtRecord().catch((error: Error) => this.tools.log.warn(error.message));
    const end = await this.trainer.ended;
    const storing = Promise.all(this.storing);
    storing.catch(() => {}); // thrown below
    const isStored = await inTime(
      this.tools,
      this.context,
      storing.catch(() => {}),
    );
    if (!(await inTime(this.tools, this.context, this.saveCheckpoint(end))))
      this.tools.log.warn(`bundle ${this.job.bundleId}: no time to store the newest checkpoint`);
    this.conclude(end);
    if (!isStored) stopIfAsked(this.context);
    await storing;
    const wallSeconds = (performance.now() - begunAt) / 1000;
    if (!from) await storeRate(this.tools, { ...job, summaries: this.summaries, wallSeconds });
  }

  /** The trainer's job: the open trials, or, where a checkpoint has them, all the trials that were trained together there. */
  private async trainerJob(from: StoredCheckpoint | undefined, workFolder: string): Promise<BundleTrainerJob> {
    const { store, cache, log } = this.tools;
    const open = [...this.open.values()].map(({ trialId, spec }) => ({ trialId, spec }));
    const [first] = open;
    if (!first) throw new Error('a bundle without trials');
    const [teacher, corpus] = await Promise.all([
      getJson<TeacherRecord>(store, keys.teacher(first.spec.teacherId)),
      getJson<CorpusRecord>(store, keys.corpus(first.spec.corpusId)),
    ]);
    const [teacherFile, corpusFolder] = await Promise.all([cache.teacherFile(teacher), cache.corpusFolder(corpus)]);
    const encoderFolder = first.spec.evaluation.sentenceSimilarity ? join(workFolder, 'encoder') : undefined;
    if (encoderFolder) await writeSentenceEncoder(this.tools.settings.config.cacheFolder, encoderFolder);
    const { parts } = this.starts;
    const common = {
      kind: 'bundle' as const,
      teacher,
      teacherFile,
      corpus,
      corpusFolder,
      ...(encoderFolder ? { encoderFolder } : {}),
      ...(parts > 1 ? { parts } : {}),
    };
    if (!from) return this.withRungs({ ...common, trials: open });
    const { manifest } = from;
    const job = this.withRungs({ ...common, trials: await this.trialsOf(manifest) });
    if (manifest.job !== checkpointJobOf(job)) {
      log.log(`bundle ${this.job.bundleId}: the stored checkpoint is of another job, it is not used`);
      return this.withRungs({ ...common, trials: open });
    }
    if (!(await this.checkpoints.download(from))) return this.withRungs({ ...common, trials: open });
    log.log(`bundle ${this.job.bundleId}: goes on at step ${manifest.state.step}`);
    await this.takeUpEpochs(manifest);
    const unwanted = manifest.trialIds.filter((trialId) => !this.open.has(trialId));
    return { ...job, unwanted };
  }

  private withRungs(job: BundleTrainerJob): BundleTrainerJob {
    const rungs = this.rules?.rungsOf(job.trials.filter(({ trialId }) => this.open.has(trialId)));
    return rungs ? { ...job, rungs } : job;
  }

  private trialsOf(manifest: CheckpointManifest): Promise<{ trialId: string; spec: TrialSpec }[]> {
    return Promise.all(
      manifest.trialIds.map(async (trialId) => {
        const { spec } = await getJson<TrialRecord>(this.tools.store, keys.trial(trialId));
        return { trialId, spec };
      }),
    );
  }

  /** Epochs that ended before the checkpoint are those of this attempt too. */
  private async takeUpEpochs(manifest: CheckpointManifest): Promise<void> {
    for (const [k, trialId] of manifest.trialIds.entries()) {
      const trial = this.open.get(trialId);
      for (const metrics of manifest.state.students[k]?.epochs ?? []) {
        trial?.epochs.push(metrics);
        if (trial) await this.tools.reports.epoch(trialId, metrics);
      }
    }
  }

  /** What the trainer left is the start of whoever takes the bundle next, unless there is nothing left. */
  private async saveCheckpoint(end: TrainerEnd): Promise<void> {
    const isUseless = (this.open.size === 0 && this.paused.size === 0) || end.kind === 'impossible';
    await (isUseless ? this.checkpoints.settle() : this.checkpoints.finish());
  }

  private hear(message: TrainerMessage, workFolder: string): void {
    if (message.type === 'progress') {
      this.live?.progress(message);
    } else if (message.type === 'epoch') {
      this.open.get(message.trialId)?.epochs.push(message.metrics);
      this.live?.note(message.trialId, { validationLoss: message.metrics.validationLoss });
      void this.tools.reports.epoch(message.trialId, message.metrics);
    } else if (message.type === 'checkpoint') {
      this.checkpoints.note();
    } else if (message.type === 'trial-completed') {
      this.store(message.trialId, (trial) => this.complete(trial, message, workFolder));
    } else if (message.type === 'rung') {
      this.keep(this.decideAtRung(message));
    } else if (message.type === 'trial-pruned') {
      this.store(message.trialId, (trial) => this.prune(trial, message, workFolder));
    } else if (message.type === 'trial-failed') {
      const { trialId, reason, step } = message;
      const failure = step === undefined ? { reason } : { reason, step };
      this.store(trialId, (trial) => this.fail(trial, failure));
    }
  }

  /** Takes the trial out of what is open and stores its outcome beside the training of the others. */
  private store(trialId: string, work: (trial: OpenTrial) => Promise<void>): void {
    // One that is done in the moment it is paused is done.
    const trial = this.open.get(trialId) ?? this.paused.get(trialId);
    if (!trial) return; // cancelled meanwhile, or a message said twice
    this.open.delete(trialId);
    this.paused.delete(trialId);
    this.live?.note(trialId, { phase: 'uploading' });
    this.keep(work(trial));
  }

  /** Work beside the training, whose failure is that of the run. */
  private keep(work: Promise<void>): void {
    work.catch(() => {}); // looked at when the trainer has ended
    this.storing.push(work);
  }

  /** The students wait for it; where it cannot be decided, another attempt goes on from before the rung. */
  private async decideAtRung({ epoch, values }: Extract<TrainerMessage, { type: 'rung' }>): Promise<void> {
    const { rules } = this;
    if (!rules) return;
    try {
      const decisions = await patiently(this.tools, this.context, () => rules.decide(epoch, values));
      for (const decision of decisions) this.decisions.set(decision.trialId, decision);
      const stopped = decisions.filter(({ isStopped }) => isStopped).map(({ trialId }) => trialId);
      this.trainer?.decide(epoch, stopped);
    } catch (error) {
      this.trainer?.stop(this.tools.settings.times.stopGraceMs);
      throw error;
    }
  }

  private async prune({ trialId }: OpenTrial, { had, files }: PrunedMessage, workFolder: string): Promise<void> {
    const decision = this.decisions.get(trialId);
    const stopping = this.rules?.earlyStopping;
    if (!decision || !stopping) throw new Error(`trial ${trialId} was stopped although nobody has decided it`);
    const { sweepId } = this.job;
    const reason = stoppingReason(decision, stopping);
    const pruned: PrunedFacts = { sweepId, cause: 'early-stopping', reason, decision, ...had };
    const output = this.trainer?.output.text() ?? '';
    await this.results.pruned({ trialId, pruned, folder: `${workFolder}/${trialId}`, files, output });
    await this.live?.drop(trialId, 'pruned');
  }

  private async complete({ retry }: OpenTrial, message: CompletedMessage, workFolder: string): Promise<void> {
    const output = this.trainer?.output.text() ?? '';
    this.summaries.push(message.summary);
    await this.results.completed({ ...message, retry, folder: `${workFolder}/${message.trialId}`, output });
    await this.live?.drop(message.trialId, 'completed');
  }

  private async fail(trial: OpenTrial, failure: { reason: string; step?: number }): Promise<void> {
    const output = this.trainer?.output.text() ?? '';
    const { trialId, retry, epochs } = trial;
    await this.results.failed({ trialId, retry, failure, epochs, output });
    if (this.live) await this.live.drop(trialId, 'failed');
    else await this.tools.reports.trialEnded(trialId, 'failed');
  }

  /** Throws what becomes of the trials that the trainer left open. */
  private conclude(end: TrainerEnd): void {
    if (this.open.size === 0) return;
    stopIfAsked(this.context);
    if (this.paused.size > 0) throw new GivenBack('a trial of the bundle was paused, the others go on');
    giveBackIfStopped(end);
    if (end.kind === 'impossible') throw new Impossible(end.reason);
    if (end.kind === 'died') throw new TrainerDied(end.reason, end.hasRunOutOfMemory);
    throw new Error(`The trainer ended without a word about ${[...this.open.keys()].join(', ')}.`);
  }

  /** Checkpoints that nobody needs any more go, and the mark of this attempt, if it has not died. */
  private async tidy(): Promise<void> {
    const { bundleId } = this.job;
    try {
      if (await removeEnded(this.tools.store, this.job)) return;
    } catch (error) {
      this.tools.log.warn(`bundle ${bundleId}: its checkpoints stay in the store: ${(error as Error).message}`);
    }
    await this.starts.leave();
  }
}
