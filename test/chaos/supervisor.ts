// Processes that are started again when they end, as a service manager would; an end that nobody caused is a fault of ours.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

const AGAIN_MS = 500;
const LOG_KEPT = 400_000;

export class Supervised {
  log = '';
  child: ChildProcess | undefined;
  /** Ends that nobody caused. */
  readonly crashes: string[] = [];
  /** Signals that each was sent. */
  private readonly told = new WeakMap<ChildProcess, NodeJS.Signals[]>();
  private startAt: NodeJS.Timeout | undefined;
  private isOver = false;
  private isUp = false;

  constructor(
    readonly name: string,
    private readonly program: { args: string[]; environment: Record<string, string>; ready: RegExp },
  ) {}

  get isAlive(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  start(): void {
    const { args, environment, ready } = this.program;
    this.isUp = false;
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    let own = '';
    const note = (chunk: Buffer) => {
      own = (own + chunk.toString()).slice(-20_000);
      this.log = (this.log + chunk.toString()).slice(-LOG_KEPT);
      if (ready.test(own)) this.isUp = true;
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
    child.once('close', (code, signal) => {
      this.log += `[${this.name} ended: ${signal ?? code}]\n`;
      // Before it is up it may refuse to start, in a sentence; then only once it was told to.
      const isRefusal = !this.isUp && code === 1 && !/^\s+at /m.test(own);
      const told = this.told.get(child) ?? [];
      // Told once it goes with 0, whatever is missing then; told twice, or before it is up, it may go at once.
      const isAsTold = told.includes('SIGKILL') || told.length > 1 || (told.length === 1 && (code ?? 0) === 0);
      if (!this.isOver && !isAsTold && !isRefusal)
        this.crashes.push(`${this.name} ended by itself (${signal ?? code}): ${own.slice(-1_500)}`);
      if (!this.isOver && this.child === child && !this.startAt) this.startLater(AGAIN_MS);
    });
  }

  /** Ends it, and starts another after `ms`. False when there is none. */
  end(signal: 'SIGKILL' | 'SIGTERM', ms: number): boolean {
    if (!this.isAlive || !this.child) return false;
    this.told.set(this.child, [...(this.told.get(this.child) ?? []), signal]);
    this.child.kill(signal);
    if (signal === 'SIGKILL') this.startLater(ms);
    return true;
  }

  /** Ends it for good; its exit code. */
  async stop(): Promise<number | null> {
    this.isOver = true;
    clearTimeout(this.startAt);
    const { child } = this;
    if (!child || !this.isAlive) return 0;
    const gone = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    await gone;
    return child.exitCode;
  }

  kill(): void {
    this.isOver = true;
    clearTimeout(this.startAt);
    this.child?.kill('SIGKILL');
  }

  private startLater(ms: number): void {
    clearTimeout(this.startAt);
    this.startAt = setTimeout(() => {
      this.startAt = undefined;
      if (!this.isOver) this.start();
    }, ms);
  }
}
