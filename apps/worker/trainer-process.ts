// A trainer process before it has a job: started with everything loaded that costs time, or bare with its work folder. Each
// takes one job and ends; the next one is kept warm while memory allows, and nothing of a job is ever in it.
import { type ChildProcess, spawn } from 'node:child_process';
import { OutputTail } from './output-tail.js';
import { machineMemoryBytes } from './process-memory.js';
import type { TrainerCommand, TrainerMessage } from './trainer-protocol.js';
import type { TrainerProgram } from './worker-settings.js';

export interface TrainerProcess {
  child: ChildProcess;
  output: OutputTail;
}

type Environment = Record<string, string | undefined>;

/** A warm trainer takes this much at most, and leaves at least as much to the one at work. */
const WARM_BYTES = 1e9;
const FREE_SHARE = 0.15;

const alive = new Set<ChildProcess>();
// A worker that exits in any way but by SIGKILL takes its trainers with it; after SIGKILL they see the channel close.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** Starts the program with these last arguments. */
export function spawnTrainer(
  program: TrainerProgram,
  options: { lastArgument: string; folder: string; environment: Environment },
): TrainerProcess {
  const child = spawn(program.command, [...program.args, options.lastArgument], {
    cwd: options.folder,
    env: options.environment,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  alive.add(child);
  child.once('exit', () => alive.delete(child));
  child.once('error', () => alive.delete(child));
  const output = new OutputTail();
  child.stdout?.on('data', (chunk: Buffer) => output.add(chunk));
  child.stderr?.on('data', (chunk: Buffer) => output.add(chunk));
  return { child, output };
}

/** Keeps the next trainer warm: TensorFlow loaded, waiting for its one job. */
export class WarmTrainer {
  private process: (TrainerProcess & { isReady: boolean }) | undefined;

  constructor(
    private readonly program: TrainerProgram,
    private readonly folder: string,
    private readonly environment: Environment,
  ) {}

  /** Starts one unless there is one, the program cannot wait, or memory is short. */
  prepare(): void {
    if (this.process || !this.program.canWait || !hasMemoryToSpare()) return;
    const { folder, environment } = this;
    const started = {
      ...spawnTrainer(this.program, { lastArgument: '--wait', folder, environment }),
      isReady: false,
    };
    this.process = started;
    const { child } = started;
    child.on('message', (message: TrainerMessage) => {
      if (message.type !== 'waiting') return;
      started.isReady = true;
      // A second context on one GPU takes memory from the trainer at work.
      if (message.isGpu) this.drop();
    });
    const forget = () => {
      if (this.process === started) this.process = undefined;
    };
    child.once('exit', forget);
    child.once('error', forget);
  }

  /** The warm one, when it is ready; it is the caller's from now on. */
  take(): TrainerProcess | undefined {
    const taken = this.process;
    if (!taken?.isReady || !taken.child.connected) return undefined;
    this.process = undefined;
    taken.child.removeAllListeners('message');
    return taken;
  }

  /** Ends the one that waits. */
  drop(): void {
    const dropped = this.process;
    this.process = undefined;
    dropped?.child.kill('SIGKILL');
  }
}

/** Hands a waiting trainer its job. */
export function begin({ child }: TrainerProcess, workFolder: string): void {
  child.send({ type: 'begin', workFolder } satisfies TrainerCommand, () => {});
}

function hasMemoryToSpare(): boolean {
  return process.availableMemory() > Math.max(2 * WARM_BYTES, FREE_SHARE * machineMemoryBytes());
}
