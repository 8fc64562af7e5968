// One process of a local fleet (Redis, API, worker, aggregator): started as the leader of its own process group, so that a
// Ctrl-C in the terminal reaches only the parent, which stops its services in order; its output goes to a log file.
import { type ChildProcess, spawn } from 'node:child_process';
import { BoundedLog } from './bounded-log.js';
import { identify, type ProcessIdentity, signalGroup } from './process-identity.js';

export interface ServiceSettings {
  name: string;
  /** What node is started with. */
  arguments: string[];
  environment: Record<string, string>;
  logFile: string;
  /** Written to its standard input, which is then closed. */
  input?: string;
  workingFolder: string;
  /** The disk is full: it said so itself, or its log cannot be written. Called at most once. */
  onDiskFull: () => void;
}

export interface ServiceExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** How long it ran. */
  seconds: number;
}

const DISK_FULL = /ENOSPC|EDQUOT|no space left on device/i;

export class Service {
  readonly exited: Promise<ServiceExit>;
  readonly identity: ProcessIdentity | undefined;
  #child: ChildProcess;
  #isRunning = true;
  #lastWords = '';
  #saidDiskFull = false;

  constructor(readonly settings: ServiceSettings) {
    const startedAt = performance.now();
    const log = new BoundedLog(settings.logFile);
    this.#child = spawn(process.execPath, settings.arguments, {
      cwd: settings.workingFolder,
      env: settings.environment,
      detached: true,
      stdio: [settings.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', 'ipc'],
    });
    const child = this.#child;
    this.identity = child.pid === undefined ? undefined : identify(settings.name, child.pid);
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(settings.input);
    child.stdout?.on('data', (chunk: Buffer) => this.#record(log, chunk, false));
    child.stderr?.on('data', (chunk: Buffer) => this.#record(log, chunk, true));
    this.exited = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#isRunning = false;
        log.close();
        resolve({ code, signal, seconds: (performance.now() - startedAt) / 1000 });
      };
      child.once('error', (error) => {
        this.#lastWords = error.message;
        if (child.pid === undefined) end(1, null);
      });
      child.once('exit', (code, signal) => {
        // A trainer must not outlive its worker, and what it holds open would delay 'close'.
        if (child.pid !== undefined) killLeftovers(child.pid);
        child.once('close', () => end(code, signal));
      });
    });
  }

  get name(): string {
    return this.settings.name;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** The last line it wrote to stderr: its own sentence when it could not start. */
  get lastWords(): string {
    return this.#lastWords;
  }

  /** SIGTERM, and after the grace SIGKILL to its whole group. */
  async terminate(graceMs: number): Promise<void> {
    if (!this.#isRunning) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  kill(): void {
    if (this.#isRunning && this.#child.pid !== undefined) signalGroup(this.#child.pid, 'SIGKILL');
  }

  #record(log: BoundedLog, chunk: Buffer, isStderr: boolean): void {
    const text = chunk.toString('utf8');
    if (isStderr) {
      const line = text.trim().split('\n').at(-1)?.trim();
      if (line) this.#lastWords = line;
    }
    if (DISK_FULL.test(text)) this.#diskFull();
    try {
      log.write(chunk);
    } catch {
      this.#diskFull();
    }
  }

  #diskFull(): void {
    if (this.#saidDiskFull) return;
    this.#saidDiskFull = true;
    this.settings.onDiskFull();
  }
}

function killLeftovers(groupId: number): void {
  try {
    process.kill(-groupId, 'SIGKILL');
  } catch {
    // the group is empty
  }
}
