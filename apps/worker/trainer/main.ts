// The trainer process: one job from a file, messages to its worker, files into the job's folder. It alone loads TensorFlow; it
// ends with its worker. Knows no queue and no object store.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '#config';
import { type Engine, startEngine } from '#engine';
import type { TrainerCommand, TrainerJob, TrainerMessage } from '../trainer-protocol.js';
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
  let isStopping = false;
  process.on('message', (command: TrainerCommand) => {
    if (command.type === 'stop') isStopping = true;
    else for (const trialId of command.trialIds) cancelled.add(trialId);
  });
  // Without its worker nobody would take the result.
  process.on('disconnect', () => process.exit(1));
  // The worker decides when to stop; a signal for the whole group must not tear the job.
  process.on('SIGINT', () => {});
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
    isStopping: () => isStopping,
  };
}

async function run(workFolder: string): Promise<void> {
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
  const { backend, threads, requireGpu, checkpointSeconds } = readConfig();
  const engine: Engine = await startEngine({ backend, requireGpu, ...(threads === undefined ? {} : { threads }) });
  if (engine.notice) console.error(engine.notice);
  port.send({ type: 'ready', numerics: engine.numerics });
  switch (job.kind) {
    case 'bundle':
      return runBundle(job, { engine, workFolder, port, checkpointMs: checkpointSeconds * 1000 });
    case 'train-teacher':
      return trainTeacher(job, engine, workFolder, port);
    case 'measure-teacher':
      return measureShippedTeacher(job, engine, workFolder, port);
    case 'score-hybrid':
      return scoreHybrid(job, engine, workFolder, port);
    case 'cross-decode':
      return crossDecode(job, engine, port);
    case 'measure-scores':
      return measureScores(job, engine, port);
    case 'import-teacher':
      return importTeacher(job, engine, workFolder, port);
  }
}

const workFolder = process.argv[2];
if (!workFolder) {
  console.error('usage: trainer WORK_FOLDER (started by a worker)');
  process.exit(2);
}
try {
  await run(workFolder);
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
