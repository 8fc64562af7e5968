// One trainer process from its job to its end: the job file, the messages, the watchdogs, stopping and killing. It knows
// nothing of queue or store; whoever starts it says what the messages mean.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OutputTail } from './output-tail.js';
import { gigabytes, residentBytes } from './process-memory.js';
import { type SilenceTimes, StepWatch } from './step-watch.js';
import { begin, spawnTrainer, type TrainerProcess } from './trainer-process.js';
import type { TrainerCommand, TrainerJob, TrainerMessage } from './trainer-protocol.js';
import type { TrainerProgram } from './worker-settings.js';

/** How a trainer ended. */
export type TrainerEnd =
  /** It said 'done'. */
  | { kind: 'done' }
  | { kind: 'impossible'; reason: string }
  /** It was told to stop, by us or by a signal for its whole group. */
  | { kind: 'stopped' }
  | { kind: 'died'; reason: string; hasRunOutOfMemory: boolean };

export interface ForkOptions {
  program: TrainerProgram;
  workFolder: string;
  job: TrainerJob;
  environment: Record<string, string | undefined>;
  times: SilenceTimes & { memoryMs: number };
  /** A trainer that holds more than this is killed. */
  memoryBytes: number;
  /** A trainer that waits for a job; without one a new process is started. */
  warm?: TrainerProcess | undefined;
  onMessage(message: TrainerMessage): void;
}

/** A trainer at work, as its job sees it. */
export interface RunningTrainer {
  /** Resolves once it is gone; never rejects. */
  readonly ended: Promise<TrainerEnd>;
  readonly output: Pick<OutputTail, 'text'>;
  /** Tells it to train the rest without these trials. */
  cancel(trialIds: string[]): void;
  /** Tells it which of the students that wait at a rung are stopped. */
  decide(epoch: number, stopped: string[]): void;
  /** Asks it to end, and kills it after `graceMs`. */
  stop(graceMs: number): void;
}

/** Starts a trainer for one job. */
export type TrainerStart = (options: ForkOptions) => Promise<RunningTrainer>;

/** After the exit, what is still in the pipes may come; no longer than this, a grandchild may hold them open. */
const PIPES_WAIT_MS = 2_000;

/** A trainer killed by the system with this share of its memory in use has most likely been killed for it. */
const NEARLY_ALL = 0.8;

export class ForkedTrainer implements RunningTrainer {
  readonly ended: Promise<TrainerEnd>;
  readonly output: OutputTail;
  private readonly child: ChildProcess;
  private lastWord: TrainerMessage | undefined;
  private killedBecause: string | undefined;
  private isStopping = false;
  private watchdog: NodeJS.Timeout | undefined;
  private readonly steps: StepWatch;
  private readonly memory: NodeJS.Timeout;
  private heldBytes = 0;
  private hasRunOutOfMemory = false;

  /** Writes <workFolder>/job.json and starts the process. */
  static async start(options: ForkOptions): Promise<ForkedTrainer> {
    await writeFile(join(options.workFolder, 'job.json'), JSON.stringify(options.job));
    return new ForkedTrainer(options);
  }

  private constructor(private readonly options: ForkOptions) {
    const { program, workFolder, environment, warm, times } = options;
    const process = warm ?? spawnTrainer(program, { lastArgument: workFolder, folder: workFolder, environment });
    this.child = process.child;
    this.output = process.output;
    this.steps = new StepWatch(times);
    this.child.on('message', (message) => this.hear(message as TrainerMessage));
    this.feedWatchdog();
    this.memory = setInterval(() => this.weigh(), times.memoryMs);
    this.ended = this.waitForEnd();
    if (warm) begin(warm, workFolder);
  }

  get processId(): number | undefined {
    return this.child.pid;
  }

  cancel(trialIds: string[]): void {
    this.tell({ type: 'cancel', trialIds });
  }

  /** Tells it which of the students that wait at a rung are stopped. */
  decide(epoch: number, stopped: string[]): void {
    this.tell({ type: 'rung-decided', epoch, stopped });
  }

  /** Asks it to end, and kills it after `graceMs`. */
  stop(graceMs: number): void {
    if (this.isStopping) return;
    this.isStopping = true;
    this.tell({ type: 'stop' });
    const timer = setTimeout(() => this.child.kill('SIGKILL'), graceMs);
    void this.ended.then(() => clearTimeout(timer));
  }

  private tell(command: TrainerCommand): void {
    if (this.child.connected) this.child.send(command, () => {}); // a channel closing meanwhile is seen by waitForEnd
  }

  private hear(message: TrainerMessage): void {
    if (this.options.job.kind !== 'bundle' || this.steps.hear(message)) this.feedWatchdog();
    if (message.type === 'done' || message.type === 'impossible') this.lastWord = message;
    this.options.onMessage(message);
  }

  private feedWatchdog(): void {
    clearTimeout(this.watchdog);
    const { limitMs } = this.steps;
    this.watchdog = setTimeout(() => {
      this.killedBecause = `${this.steps.waitedFor} for ${Math.round(limitMs / 1000)} s`;
      this.child.kill('SIGKILL');
    }, limitMs);
  }

  private async weigh(): Promise<void> {
    const { memoryBytes } = this.options;
    this.heldBytes = (this.child.pid && (await residentBytes(this.child.pid))) || this.heldBytes;
    if (this.heldBytes <= memoryBytes || this.killedBecause) return;
    this.hasRunOutOfMemory = true;
    this.killedBecause = `it held ${gigabytes(this.heldBytes)} of memory, and its share is ${gigabytes(memoryBytes)} (SEMDISTILL_MEMORY_MB)`;
    this.child.kill('SIGKILL');
  }

  private async waitForEnd(): Promise<TrainerEnd> {
    let failure: Error | undefined;
    const closed = once(this.child, 'close').catch((error: Error) => {
      failure = error;
    });
    await Promise.race([once(this.child, 'exit').catch(() => {}), closed]);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise((resolve) => {
      timer = setTimeout(resolve, PIPES_WAIT_MS);
    });
    await Promise.race([closed, timeout]);
    clearTimeout(timer);
    clearTimeout(this.watchdog);
    clearInterval(this.memory);
    return this.verdict(failure);
  }

  private verdict(failure: Error | undefined): TrainerEnd {
    const { exitCode, signalCode } = this.child;
    if (this.lastWord?.type === 'done') return { kind: 'done' };
    if (this.lastWord?.type === 'impossible') return { kind: 'impossible', reason: this.lastWord.reason };
    if (this.isStopping || signalCode === 'SIGTERM' || signalCode === 'SIGINT') return { kind: 'stopped' };
    const how = failure
      ? `could not be started (${failure.message})`
      : this.killedBecause
        ? `was killed because ${this.killedBecause}`
        : signalCode
          ? `was killed by ${signalCode}${signalCode === 'SIGKILL' ? ' (out of memory?)' : ''}`
          : `ended with exit code ${exitCode} before it was done`;
    const lastWords = this.output.lastWords();
    const reason = `The trainer ${how}${lastWords ? `; its last output: ${lastWords}` : '.'}`;
    const isLikely =
      signalCode === 'SIGKILL' && !this.killedBecause && this.heldBytes > NEARLY_ALL * this.options.memoryBytes;
    return { kind: 'died', reason, hasRunOutOfMemory: this.hasRunOutOfMemory || isLikely };
  }
}
