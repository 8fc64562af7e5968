// A training that is taken up from the newest checkpoint in its work folder, when there is one, and writes checkpoints on the way:
// what bundles and teachers have in common. Knows not what is trained.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type StepReport,
  type TrainedStudent,
  type TrainingListener,
  type TrainingSetup,
  trainStudents,
} from '#distillation';
import type { Engine } from '#engine';
import { canonicalJson, type TrainingResume, type TrialSummary } from '#experiment';
import { CHECKPOINT_FOLDER, type CheckpointManifest, findCheckpoint } from '../checkpoint-manifest.js';
import type { TrainerMessage } from '../trainer-protocol.js';
import { Checkpointer, readTensors } from './checkpointer.js';
import { makeFolder } from './files.js';
import type { TrainerPort } from './port.js';

export interface CheckpointedTraining {
  engine: Engine;
  workFolder: string;
  port: TrainerPort;
  /** How often a checkpoint is written. */
  checkpointMs: number;
  /** What is trained, as one hash: checkpoints of anything else are not taken up. */
  job: string;
  /** What the students are called, in their order. */
  trialIds: string[];
  /** Batches are computed in so many times as many parts as before. */
  parts: number;
  setup: TrainingSetup;
  /** Puts models that were written before the checkpoint where the user's files stand. */
  placeModels(folder: string, manifest: CheckpointManifest): Promise<void>;
  listener(checkpointer: Checkpointer): TrainingListener;
}

export interface TrainingOutcome {
  students: TrainedStudent[];
  /** over all processes that trained it */
  seconds: number;
  remarks: Pick<TrialSummary, 'resumes' | 'microBatches'>;
}

/** Why micro-batches are not quite the whole batch. */
const MICRO_BATCH_NOTE =
  'Out of memory: gradients are added up over the parts of a batch. Each part is scaled to the channel power by itself, so losses differ slightly from those of whole batches.';

/** A line of the log. */
export const log = (line: string) => console.log(`${new Date().toISOString()} ${line}`);

/** What the worker is told of a step; `trainLoss` by student. */
export function progressOf(report: StepReport, trainLoss: Record<string, number>): TrainerMessage {
  return { type: 'progress', phase: 'training', fraction: report.step / report.steps, ...report, trainLoss };
}

/** Trains to the end or until the port says stop; then the newest checkpoint is of that moment. The caller disposes the setup's tensors. */
export async function trainWithCheckpoints(training: CheckpointedTraining): Promise<TrainingOutcome> {
  const { engine, port, job, trialIds, parts } = training;
  const setup = { ...training.setup };
  const folder = await makeFolder(training.workFolder, CHECKPOINT_FOLDER);
  const refused: string[] = [];
  const found = await findCheckpoint(folder, job, (sentence, manifestName) => {
    log(sentence);
    refused.push(manifestName);
  });
  // Left there, they would be taken for the newest ones when old checkpoints are cleared away.
  for (const name of refused) await rm(join(folder, name), { force: true });
  const resumes = found ? resumesOf(engine, found.manifest) : [];
  const checkpointer = new Checkpointer({
    folder,
    everyMs: training.checkpointMs,
    about: { job, trialIds, numerics: engine.numerics, resumes },
    models: found?.manifest.models ?? [],
    onWritten: (step) => port.send({ type: 'checkpoint', step }),
    log,
  });
  if (parts > 1) log(`memory did not hold the batches: they are computed in ${parts} times as many parts`);
  let seconds = found?.manifest.state.seconds ?? 0;
  let microBatches: { step: number; parts: number }[] = [];
  try {
    if (found) {
      await training.placeModels(folder, found.manifest);
      const { state } = found.manifest;
      setup.from = { state: inParts(state, parts), parameters: await readTensors(folder, found.manifest) };
    } else if (parts > 1) setup.microBatching = [{ step: 1, parts }];
    const students = await trainStudents(setup, {
      ...training.listener(checkpointer),
      onMicroBatches: (step, now) => log(`out of memory at step ${step}: batches in ${now} parts from here on`),
      shouldStop: port.isStopping,
      atRest: (run) => {
        if (run.isAtEpochEnd) port.send({ type: 'busy', doing: 'validating' });
        checkpointer.atRest(run);
        seconds = run.seconds();
        microBatches = [...run.microBatches];
      },
      onStop: async (run) => {
        if (run.students.some((_, k) => run.isRunning(k))) await checkpointer.takeNow(run);
      },
    });
    const remarks: TrainingOutcome['remarks'] = {};
    if (resumes.length > 0) remarks.resumes = resumes;
    if (microBatches.length > 0) remarks.microBatches = microBatches.map((one) => ({ ...one, note: MICRO_BATCH_NOTE }));
    return { students, seconds, remarks };
  } finally {
    await checkpointer.close();
  }
}

/** The state with batches in so many times as many parts from its next step on. */
function inParts(state: CheckpointManifest['state'], times: number): CheckpointManifest['state'] {
  if (times === 1) return state;
  const parts = times * (state.microBatching.at(-1)?.parts ?? 1);
  return { ...state, microBatching: [...state.microBatching, { step: state.step + 1, parts }] };
}

/** What the records say about going on from this checkpoint, with what it already said about earlier ones. */
function resumesOf(engine: Engine, { state, numerics, resumes }: CheckpointManifest): TrainingResume[] {
  const now = engine.numerics;
  const hasOtherNumerics = canonicalJson({ ...now }) !== canonicalJson({ ...numerics });
  log(`resumed at step ${state.step}`);
  if (hasOtherNumerics)
    log(
      `the steps before were computed by ${numerics.backend}, ${numerics.library}, ${numerics.threads} threads, ${numerics.device}: the last bits may differ from those of one run`,
    );
  return [...resumes, { step: state.step, numerics, hasOtherNumerics }];
}
