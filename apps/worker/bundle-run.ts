// One bundle on this worker, from the job to the results: drops what is done or cancelled, trains the rest in one forked
// trainer (from the newest checkpoint, when there is one), stores each finished trial at once, its result last. It may run
// twice, here and elsewhere: create-if-absent decides whose result stands.
import type { CorpusRecord, EpochMetrics, TeacherRecord, TrialRecord, TrialSpec } from '#experiment';
import type { FleetJob, JobContext } from '#queue';
import { getJson, keys } from '#storage';
import { BundleCheckpoints } from './bundle-checkpoints.js';
import { type CheckpointManifest, checkpointJobOf } from './checkpoint-manifest.js';
import type { ForkedTrainer, TrainerEnd } from './forked-trainer.js';
import { forkTrainer, giveBackIfStopped, type JobTools, stopIfAsked } from './job-tools.js';
import { LiveBundle } from './live-bundle.js';
import type { TrainerJob, TrainerMessage } from './trainer-protocol.js';
import { newFence, TrialResults } from './trial-results.js';
import { inWorkFolder } from './work-folder.js';

type BundleJob = Extract<FleetJob, { kind: 'bundle' }>;
type BundleTrainerJob = Extract<TrainerJob, { kind: 'bundle' }>;
type CompletedMessage = Extract<TrainerMessage, { type: 'trial-completed' }>;

interface OpenTrial {
  trialId: string;
  spec: TrialSpec;
  epochs: EpochMetrics[];
}

export class BundleRun {
  /** Trials that have neither a result nor a cancellation that this run knows of. */
  private readonly open = new Map<string, OpenTrial>();
  private readonly storing: Promise<void>[] = [];
  private results!: TrialResults;
  private checkpoints!: BundleCheckpoints;
  private readonly fence: string;
  private live?: LiveBundle;
  private trainer?: ForkedTrainer;

  constructor(
    private readonly tools: JobTools,
    private readonly job: BundleJob,
    private readonly context: JobContext,
  ) {
    this.fence = newFence(context.attempt);
  }

  async run(): Promise<void> {
    await this.openTrials();
    if (this.open.size === 0) {
      await new BundleCheckpoints(this.tools, this.job.bundleId, this.fence, '').remove();
      return;
    }
    stopIfAsked(this.context);
    const trialIds = [...this.open.keys()];
    await this.tools.reports.trialsStarted(trialIds);
    this.live = new LiveBundle(trialIds, this.tools.settings.workerId, this.tools.reports);
    this.tools.status.training(trialIds);
    this.tools.log.log(`bundle ${this.job.bundleId}: ${trialIds.length} trials, attempt ${this.context.attempt}`);
    const watches = this.watchForCancelled();
    try {
      await inWorkFolder(this.tools.settings.config.cacheFolder, (workFolder) => this.train(workFolder));
    } finally {
      for (const watch of watches) clearInterval(watch);
      this.live.stop();
      this.tools.status.training([]);
    }
  }

  /** Looks at the record of those of the trials that run here, and stops the cancelled ones. */
  async lookForCancelled(trialIds: string[]): Promise<void> {
    const asked = trialIds.filter((trialId) => this.open.has(trialId));
    const heads = await Promise.all(asked.map((trialId) => this.tools.store.head(keys.trialCancelled(trialId))));
    const cancelled = asked.filter((trialId, index) => heads[index] && this.open.delete(trialId));
    if (cancelled.length === 0) return;
    this.tools.log.log(`cancelled: ${cancelled.join(', ')}`);
    this.trainer?.cancel(cancelled);
    // With nothing left to train it only has to end, whatever it is in the middle of.
    if (this.open.size === 0 && this.storing.length === 0) this.trainer?.stop(this.tools.settings.times.stopGraceMs);
    await Promise.all(cancelled.map((trialId) => this.live?.drop(trialId, 'cancelled')));
  }

  private async openTrials(): Promise<void> {
    const { store } = this.tools;
    const checked = await Promise.all(
      this.job.trialIds.map(async (trialId) => {
        const [result, cancelled] = await Promise.all([
          store.head(keys.trialResult(trialId)),
          store.head(keys.trialCancelled(trialId)),
        ]);
        return result || cancelled ? undefined : await getJson<TrialRecord>(store, keys.trial(trialId));
      }),
    );
    for (const trial of checked) {
      if (trial) this.open.set(trial.trialId, { trialId: trial.trialId, spec: trial.spec, epochs: [] });
    }
  }

  private async train(workFolder: string): Promise<void> {
    this.checkpoints = new BundleCheckpoints(this.tools, this.job.bundleId, this.fence, workFolder);
    const job = await this.trainerJob();
    const together = job.trials.map(({ trialId }) => trialId);
    this.results = new TrialResults(this.tools, this.context, this.fence, together);
    const onMessage = (message: TrainerMessage) => this.hear(message, workFolder);
    this.trainer = await forkTrainer(this.tools, this.context, { workFolder, job, onMessage });
    await this.lookForCancelled([...this.open.keys()]);
    const end = await this.trainer.ended;
    const stored = await Promise.allSettled(this.storing);
    await this.saveCheckpoint(end);
    await this.conclude(end);
    for (const one of stored) if (one.status === 'rejected') throw one.reason;
    await this.checkpoints.remove();
  }

  /** The trainer's job: the open trials, or, where a checkpoint has them, all the trials that were trained together there. */
  private async trainerJob(): Promise<BundleTrainerJob> {
    const { store, cache } = this.tools;
    const open = [...this.open.values()].map(({ trialId, spec }) => ({ trialId, spec }));
    const [first] = open;
    if (!first) throw new Error('a bundle without trials');
    const [teacher, corpus] = await Promise.all([
      getJson<TeacherRecord>(store, keys.teacher(first.spec.teacherId)),
      getJson<CorpusRecord>(store, keys.corpus(first.spec.corpusId)),
    ]);
    const teacherFile = await cache.teacherFile(teacher);
    const corpusFolder = await cache.corpusFolder(corpus);
    const common = { kind: 'bundle' as const, teacher, teacherFile, corpus, corpusFolder };
    const manifest = await this.checkpoints.find([...this.open.keys()]);
    if (!manifest) return { ...common, trials: open };
    const job = { ...common, trials: await this.trialsOf(manifest) };
    if (manifest.job !== checkpointJobOf(job)) {
      this.tools.log.log(`bundle ${this.job.bundleId}: the stored checkpoint is of another job, it is not used`);
      return { ...common, trials: open };
    }
    if (!(await this.checkpoints.download(manifest))) return { ...common, trials: open };
    this.tools.log.log(`bundle ${this.job.bundleId}: goes on at step ${manifest.state.step}`);
    await this.takeUpEpochs(manifest);
    const unwanted = manifest.trialIds.filter((trialId) => !this.open.has(trialId));
    return { ...job, unwanted };
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

  /** What the trainer left is the start of whoever takes the bundle next, unless there is nothing left or it is another's already. */
  private async saveCheckpoint(end: TrainerEnd): Promise<void> {
    const isUseless = this.open.size === 0 || end.kind === 'impossible' || this.context.signal.reason === 'lock-lost';
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
      this.store(message.trialId, () => this.complete(message, workFolder));
    } else if (message.type === 'trial-failed') {
      const { trialId, reason, step } = message;
      const failure = step === undefined ? { reason } : { reason, step };
      this.store(trialId, (trial) => this.fail(trial, failure));
    }
  }

  /** Takes the trial out of what is open and stores its outcome beside the training of the others. */
  private store(trialId: string, work: (trial: OpenTrial) => Promise<void>): void {
    const trial = this.open.get(trialId);
    if (!trial) return; // cancelled meanwhile, or a message said twice
    this.open.delete(trialId);
    this.live?.note(trialId, { phase: 'uploading' });
    const stored = work(trial);
    stored.catch(() => {}); // looked at when the trainer has ended
    this.storing.push(stored);
  }

  private async complete(message: CompletedMessage, workFolder: string): Promise<void> {
    const output = this.trainer?.output.text() ?? '';
    await this.results.completed({ ...message, folder: `${workFolder}/${message.trialId}`, output });
    await this.live?.drop(message.trialId, 'completed');
  }

  private async fail(trial: OpenTrial, failure: { reason: string; step?: number }): Promise<void> {
    const output = this.trainer?.output.text() ?? '';
    await this.results.failed({ trialId: trial.trialId, failure, epochs: trial.epochs, output });
    await this.live?.drop(trial.trialId, 'failed');
  }

  /** What becomes of the trials that the trainer left open. */
  private async conclude(end: TrainerEnd): Promise<void> {
    if (this.open.size === 0) return;
    stopIfAsked(this.context);
    giveBackIfStopped(end);
    const left = [...this.open.values()];
    const reason =
      end.kind === 'done'
        ? `The trainer ended without a word about ${left.map((trial) => trial.trialId).join(', ')}.`
        : end.reason;
    if (end.kind !== 'impossible' && !this.context.isLastAttempt) throw new Error(reason);
    for (const trial of left) {
      this.open.delete(trial.trialId);
      await this.fail(trial, { reason });
    }
  }

  /** A cancellation arrives as a message; flags and record are looked at too, for messages (and Redis) may be lost. */
  private watchForCancelled(): NodeJS.Timeout[] {
    const { flagsMs, recordMs } = this.tools.settings.times;
    const look = async (trialIds: string[]) => {
      await this.lookForCancelled(trialIds).catch((error: Error) => this.tools.log.warn(error.message));
    };
    return [
      setInterval(async () => look(await this.tools.reports.flagged([...this.open.keys()])), flagsMs),
      setInterval(() => look([...this.open.keys()]), recordMs),
    ];
  }
}
