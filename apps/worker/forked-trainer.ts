// One trainer process from its start to its end: the job file, the messages, the watchdog, stopping and killing. It knows
// nothing of queue or store; whoever starts it says what the messages mean.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OutputTail } from './output-tail.js';
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
  heartbeatMs: number;
  onMessage(message: TrainerMessage): void;
}

/** After the exit, what is still in the pipes may come; no longer than this, a grandchild may hold them open. */
const PIPES_WAIT_MS = 2_000;

const alive = new Set<ChildProcess>();
// A worker that exits in any way but by SIGKILL takes its trainer with it; after SIGKILL the trainer sees the channel close.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

export class ForkedTrainer {
  /** Resolves once the process is gone; never rejects. */
  readonly ended: Promise<TrainerEnd>;
  readonly output = new OutputTail();
  private readonly child: ChildProcess;
  private lastWord: TrainerMessage | undefined;
  private killedBecause: string | undefined;
  private isStopping = false;
  private watchdog: NodeJS.Timeout | undefined;

  /** Writes <workFolder>/job.json and starts the process. */
  static async start(options: ForkOptions): Promise<ForkedTrainer> {
    await writeFile(join(options.workFolder, 'job.json'), JSON.stringify(options.job));
    return new ForkedTrainer(options);
  }

  private constructor(private readonly options: ForkOptions) {
    const { command, args } = options.program;
    this.child = spawn(command, [...args, options.workFolder], {
      cwd: options.workFolder,
      env: options.environment,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    alive.add(this.child);
    this.child.stdout?.on('data', (chunk: Buffer) => this.output.add(chunk));
    this.child.stderr?.on('data', (chunk: Buffer) => this.output.add(chunk));
    this.child.on('message', (message) => this.hear(message as TrainerMessage));
    this.feedWatchdog();
    this.ended = this.waitForEnd();
  }

  get processId(): number | undefined {
    return this.child.pid;
  }

  /** Tells it to train the rest without these trials. */
  cancel(trialIds: string[]): void {
    this.tell({ type: 'cancel', trialIds });
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
    this.feedWatchdog();
    if (message.type === 'done' || message.type === 'impossible') this.lastWord = message;
    this.options.onMessage(message);
  }

  private feedWatchdog(): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      this.killedBecause = `it said nothing for ${Math.round(this.options.heartbeatMs / 1000)} s`;
      this.child.kill('SIGKILL');
    }, this.options.heartbeatMs);
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
    alive.delete(this.child);
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
    return { kind: 'died', reason, hasRunOutOfMemory: false };
  }
}
