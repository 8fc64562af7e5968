// The checkpoints of one teacher in training: taken up when it starts anew, stored on the way, gone when it is done. A teacher goes
// on after a lost worker as a bundle does, by the same means, under a bundle id of its own.
import { Impossible } from '#experiment';
import type { JobContext } from '#queue';
import { keys } from '#storage';
import { BundleCheckpoints } from './bundle-checkpoints.js';
import { BundleStarts } from './bundle-starts.js';
import { teacherCheckpointJobOf } from './checkpoint-manifest.js';
import { isDiskFull } from './disk-room.js';
import type { TrainerEnd } from './forked-trainer.js';
import { inTime, type JobTools, patiently } from './job-tools.js';
import { listBundle, readCheckpoints, removeBundle } from './stored-checkpoints.js';
import type { TrainerJob } from './trainer-protocol.js';
import { newFence } from './trial-results.js';

type TrainingJob = Extract<TrainerJob, { kind: 'train-teacher' }>;

export class TeacherCheckpoints {
  private readonly bundleId: string;
  private readonly starts: BundleStarts;
  private readonly stored: BundleCheckpoints;

  constructor(
    private readonly tools: JobTools,
    private readonly context: JobContext,
    about: { preparationId: string; workFolder: string },
  ) {
    const fence = newFence(context.attempt);
    this.bundleId = keys.teacherBundleId(about.preparationId);
    this.starts = new BundleStarts(tools, context, this.bundleId, fence);
    this.stored = new BundleCheckpoints(tools, this.bundleId, fence, about.workFolder);
  }

  /** Puts the newest checkpoint where the trainer finds it; the job as it is to be done. Throws Impossible after too many deaths at one step. */
  async begin(job: TrainingJob): Promise<TrainingJob> {
    return patiently(this.tools, this.context, async () => {
      const { store, log } = this.tools;
      const folder = await listBundle(store, this.bundleId);
      const found = await readCheckpoints(store, this.bundleId, folder.fences, (sentence) => log.warn(sentence));
      const from = found.find(({ manifest }) => manifest.job === teacherCheckpointJobOf(job));
      const step = from?.manifest.state.step ?? 0;
      const { isHopeless } = await this.starts.begin({ step, trials: 1 }, folder);
      if (isHopeless) throw new Impossible(this.starts.reason);
      await this.starts.written();
      if (from && (await this.stored.download(from))) log.log(`teacher '${job.name}': goes on at step ${step}`);
      return this.starts.parts > 1 ? { ...job, parts: this.starts.parts } : job;
    });
  }

  /** The trainer has written one. */
  note(): void {
    this.stored.note();
  }

  /** The trainer is gone before it was done: what it left is stored, and whether that was one death too many. */
  async end(end: TrainerEnd): Promise<void> {
    if (!(await inTime(this.tools, this.context, this.stored.finish())))
      this.tools.log.warn('no time to store the newest checkpoint of the teacher');
    if (end.kind !== 'died' || this.context.signal.aborted || isDiskFull(new Error(end.reason))) {
      await inTime(this.tools, this.context, this.starts.leave());
      return;
    }
    const { reason, hasRunOutOfMemory } = end;
    const isLast = await patiently(this.tools, this.context, () => this.starts.died(reason, hasRunOutOfMemory));
    if (isLast) throw new Impossible(this.starts.reason);
  }

  /** The teacher is stored, or never will be: nobody needs a checkpoint of it. What cannot be removed now is found as a leftover. */
  async remove(): Promise<void> {
    const { store, log } = this.tools;
    await this.stored.settle();
    await removeBundle(store, this.bundleId).catch((error: Error) => log.warn(error.message));
  }
}
