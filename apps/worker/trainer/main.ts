// The trainer process: one job from a file, messages to its worker, files into the job's folder. It alone loads TensorFlow; it
// ends with its worker. Started with --wait it loads everything first and is told its folder later. Knows no queue and no
// object store.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '#config';
import { type Engine, startEngine } from '#engine';
import type { TrainerCommand, TrainerJob, TrainerMessage } from '../trainer-protocol.js';
import { analyze } from './analyze.js';
import { runBundle } from './bundle.js';
import { importCorpus, prepareCorpus } from './corpus.js';
import { crossDecode } from './cross-decode.js';
import { scoreHybrid } from './hybrid.js';
import { ImpossibleJob, type TrainerPort } from './port.js';
import { measureScores } from './scores.js';
import { importTeacher, measureShippedTeacher, trainTeacher } from './teacher.js';

/** Ended by a signal: the worker sees that from how the process exits. */
let wasTerminated = false;
/** Settles when the last message is out; a process that kills itself takes along what is not. */
let lastSent: Promise<unknown> = Promise.resolve();

function openPort(job: TrainerJob): TrainerPort {
  const cancelled = new Set<string>(job.kind === 'bundle' ? job.unwanted : []);
  const decided = new Map<number, readonly string[]>();
  let isStopping = false;
  process.on('message', (command: TrainerCommand) => {
    if (command.type === 'stop') isStopping = true;
    if (command.type === 'rung-decided') decided.set(command.epoch, command.stopped);
    if (command.type === 'cancel') for (const trialId of command.trialIds) cancelled.add(trialId);
  });
  // As a stop, so that a service manager that ends the whole group loses nothing; a second one ends it at once.
  process.once('SIGTERM', () => {
    isStopping = true;
    wasTerminated = true;
  });
  return {
    send: (message: TrainerMessage) => {
      lastSent = new Promise((resolve) => {
        if (process.send) process.send(message, resolve);
        else resolve(null);
      });
    },
    isCancelled: (trialId) => cancelled.has(trialId),
    drop: (trialId) => void cancelled.add(trialId),
    stoppedAt: (epoch) => decided.get(epoch),
    isStopping: () => isStopping,
  };
}

async function run(workFolder: string, loaded?: Engine): Promise<void> {
  const job = JSON.parse(readFileSync(join(workFolder, 'job.json'), 'utf8')) as TrainerJob;
  const port = openPort(job);
  if (job.kind === 'prepare-corpus') {
    await prepareCorpus(job, workFolder, port);
    return;
  }
  if (job.kind === 'import-corpus') {
    await importCorpus(job, workFolder, port);
    return;
  }
  const engine = loaded ?? (await loadEngine());
  if (engine.notice) console.error(engine.notice);
  port.send({ type: 'ready', numerics: engine.numerics });
  const checkpointMs = readConfig().checkpointSeconds * 1000;
  switch (job.kind) {
    case 'bundle':
      return runBundle(job, { engine, workFolder, port, checkpointMs });
    case 'train-teacher':
      return trainTeacher(job, { engine, workFolder, port, checkpointMs });
    case 'measure-teacher':
      return measureShippedTeacher(job, engine, workFolder, port);
    case 'score-hybrid':
      return scoreHybrid(job, engine, workFolder, port);
    case 'cross-decode':
      return crossDecode(job, engine, port);
    case 'analyze':
      return analyze(job, engine, workFolder, port);
    case 'measure-scores':
      return measureScores(job, engine, port);
    case 'import-teacher':
      return importTeacher(job, engine, workFolder, port);
  }
}

function loadEngine(): Promise<Engine> {
  const { backend, threads, requireGpu } = readConfig();
  return startEngine({ backend, requireGpu, ...(threads === undefined ? {} : { threads }) });
}

/** Loads what costs time, says so, and gives the folder of the job that comes. */
async function wait(): Promise<{ workFolder: string; engine: Engine }> {
  const engine = await loadEngine();
  process.send?.({ type: 'waiting', isGpu: engine.numerics.device === 'gpu' } satisfies TrainerMessage);
  const [command] = (await once(process, 'message')) as [TrainerCommand];
  if (command.type !== 'begin') process.exit(0); // no job will come
  process.chdir(command.workFolder);
  return { workFolder: command.workFolder, engine };
}

// Without its worker nobody would take the result.
process.on('disconnect', () => process.exit(1));
// The worker decides when to stop; a signal for the whole group must not tear the job.
process.on('SIGINT', () => {});

const argument = process.argv[2];
if (!argument) {
  console.error('usage: trainer WORK_FOLDER | --wait (started by a worker)');
  process.exit(2);
}
try {
  const { workFolder, engine } = argument === '--wait' ? await wait() : { workFolder: argument, engine: undefined };
  await run(workFolder, engine);
  if (wasTerminated) {
    await lastSent;
    process.kill(process.pid, 'SIGTERM');
  } else process.send?.({ type: 'done' } satisfies TrainerMessage, () => process.exit(0));
} catch (error) {
  if (error instanceof ImpossibleJob) {
    process.send?.({ type: 'impossible', reason: error.message } satisfies TrainerMessage, () => process.exit(0));
  } else {
    console.error(error);
    process.exitCode = 1;
    process.disconnect?.();
  }
}
