// `semdistill workers`: who is there to work; and `semdistill worker`: one more of them, in this terminal.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { childEnvironment } from '#config';
import type { LiveWorker } from '#experiment';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { packageRoot } from './fleet/local-fleet.js';
import { plainTable } from './sweep-table.js';
import { Trouble } from './trouble.js';
import { shownRate, shownSeconds } from './wording.js';

export async function listWorkers(context: Context): Promise<void> {
  const workers = await openClient(context).workers();
  const { terminal, texts } = context;
  if (context.json) {
    terminal.print(JSON.stringify(workers, null, 2));
    return;
  }
  const table = plainTable([
    texts.columnWorker,
    texts.columnState,
    texts.columnPool,
    texts.columnLabels,
    texts.columnDevice,
    texts.columnMemory,
    texts.columnTrials,
    texts.columnRate,
    texts.columnHeartbeat,
  ]);
  for (const worker of workers)
    table.push([
      worker.workerId,
      texts.workerState(worker.state),
      worker.pool ?? '',
      (worker.labels ?? []).join(', '),
      deviceOf(worker),
      worker.memoryBytes === undefined ? '' : `${(worker.memoryBytes / 1e9).toFixed(1)} GB`,
      trainsOf(worker),
      shownRate(worker.tokensPerSecond),
      worker.heartbeatSeconds === undefined ? '' : shownSeconds(worker.heartbeatSeconds),
    ]);
  terminal.print(table.toString());
}

/** GPU or processor with its cores, and what it computes with once that is known. */
function deviceOf({ device, numerics, host }: LiveWorker): string {
  if (!device) return host;
  const chip = device.gpus ? device.gpus.join(' + ') : `${device.cpu} (${device.cores})`;
  return numerics ? `${chip}, ${numerics.library}` : chip;
}

/** The first of its trials, and how many more. */
function trainsOf({ trialIds }: LiveWorker): string {
  const [first, ...more] = trialIds;
  if (first === undefined) return '';
  return more.length === 0 ? first : `${first} +${more.length}`;
}

export async function drainWorker(context: Context, workerId: string): Promise<void> {
  const worker = await openClient(context).drain(workerId);
  if (context.json) context.terminal.print(JSON.stringify(worker, null, 2));
  else context.terminal.say(context.texts.draining(workerId));
}

export interface WorkerFlags {
  pool?: string;
  labels?: string;
  name?: string;
}

/** Runs a worker until it ends or Ctrl-C, which lets it give its job back; a second one ends it at once. */
export async function runWorker(context: Context, { pool, labels, name }: WorkerFlags): Promise<void> {
  const root = packageRoot();
  const program = join(root, 'dist', 'apps', 'worker', 'main.js');
  if (!existsSync(program)) throw new Trouble(context.texts.notSetUp(program, join(root, 'scripts', 'setup.mjs')));
  const followParent = new URL(`file://${join(root, 'dist', 'apps', 'cli', 'fleet', 'follow-parent.js')}`).href;
  const worker = spawn(process.execPath, ['--import', followParent, program], {
    env: childEnvironment({
      ...(pool === undefined ? {} : { SEMDISTILL_WORKER_POOL: pool }),
      ...(labels === undefined ? {} : { SEMDISTILL_WORKER_LABELS: labels }),
      ...(name === undefined ? {} : { SEMDISTILL_WORKER_NAME: name }),
    }),
    // Its own group: the terminal's Ctrl-C reaches only us, so that it is told once.
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const stop = () => worker.kill('SIGTERM');
  context.interrupted.addEventListener('abort', stop, { once: true });
  context.onSecondInterrupt(stop);
  const [code, signal] = (await once(worker, 'exit')) as [number | null, NodeJS.Signals | null];
  context.interrupted.removeEventListener('abort', stop);
  // What was wrong it has said itself.
  if (code !== 0) throw new Trouble(context.texts.workerEnded(signal ?? String(code)));
}
