// The training of a bundle: all students side by side, from the newest checkpoint when there is one; checkpoints, progress and
// the log on the way. What it gives back goes into each trial's record.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  isTrained,
  predictMemory,
  REFERENCE_ADAM,
  type TrainedStudent,
  type TrainingListener,
  type TrainingSetup,
  trainStudents,
} from '#distillation';
import { canonicalJson, type Hyperparameters, type TrainingResume, type TrialSummary } from '#experiment';
import { disposeWeights, weightsFromArrays } from '#semcom';
import { CHECKPOINT_FOLDER, type CheckpointManifest, checkpointJobOf, findCheckpoint } from '../checkpoint-manifest.js';
import { type BundleContext, type BundleJob, kindOf, metadataOf } from './bundle-context.js';
import { bestModelName, Checkpointer, epochModelName, placeModel, readTensors } from './checkpointer.js';
import { lossKernelOf, optimizerOf } from './engine-parts.js';
import { makeFolder, modelBytes } from './files.js';
import { throttled } from './port.js';

/** How a bundle was trained, as far as its records shall tell. */
type Remarks = Pick<TrialSummary, 'predictedMemoryBytes' | 'resumes' | 'microBatches'>;

export interface TrainedBundle {
  students: TrainedStudent[];
  /** over all processes that trained it */
  seconds: number;
  remarks: Remarks;
}

/** Why micro-batches are not quite the whole batch. */
const MICRO_BATCH_NOTE =
  'Out of memory: gradients are added up over the parts of a batch. Each part is scaled to the channel power by itself, so losses differ slightly from those of whole batches.';

const log = (line: string) => console.log(`${new Date().toISOString()} ${line}`);

/** Trains all students of the bundle; models and checkpoints go straight into the work folder. */
export async function trainBundle(
  context: BundleContext,
  start: ReadonlyMap<string, Float32Array>,
  data: { train: number[][]; validation: number[][] },
): Promise<TrainedBundle> {
  const { job, engine, port } = context;
  const folder = await makeFolder(context.workFolder, CHECKPOINT_FOLDER);
  const predictedMemoryBytes = tellStart(context, data.train);
  const refused: string[] = [];
  const found = await findCheckpoint(folder, checkpointJobOf(job), (sentence, manifestName) => {
    log(sentence);
    refused.push(manifestName);
  });
  // Left there, they would be taken for the newest ones when old checkpoints are cleared away.
  for (const name of refused) await rm(join(folder, name), { force: true });
  const resumes = found ? resumesOf(context, found.manifest) : [];
  const checkpointer = new Checkpointer({
    folder,
    everyMs: context.checkpointMs,
    about: {
      job: checkpointJobOf(job),
      trialIds: job.trials.map(({ trialId }) => trialId),
      numerics: engine.numerics,
      resumes,
    },
    models: found?.manifest.models ?? [],
    onWritten: (step) => port.send({ type: 'checkpoint', step }),
    log,
  });
  const setup = setupOf(context, start, data);
  const { parts = 1 } = job;
  if (parts > 1) log(`memory did not hold the batches: they are computed in ${parts} times as many parts`);
  let seconds = 0;
  let microBatches: { step: number; parts: number }[] = [];
  try {
    if (found) {
      await placeModels(context, folder, found.manifest);
      const { state } = found.manifest;
      setup.from = { state: inParts(state, parts), parameters: await readTensors(folder, found.manifest) };
    } else if (parts > 1) setup.microBatching = [{ step: 1, parts }];
    const students = await trainStudents(setup, {
      ...listenerOf(context, start, checkpointer),
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
    const remarks: Remarks = { predictedMemoryBytes };
    if (resumes.length > 0) remarks.resumes = resumes;
    if (microBatches.length > 0) remarks.microBatches = microBatches.map((one) => ({ ...one, note: MICRO_BATCH_NOTE }));
    return { students, seconds: seconds || (found?.manifest.state.seconds ?? 0), remarks };
  } finally {
    await checkpointer.close();
    disposeWeights(setup.start);
    disposeWeights(setup.model.teacher?.weights ?? new Map());
  }
}

/** The state with batches in so many times as many parts from its next step on. */
function inParts(state: CheckpointManifest['state'], times: number): CheckpointManifest['state'] {
  if (times === 1) return state;
  const parts = times * (state.microBatching.at(-1)?.parts ?? 1);
  return { ...state, microBatching: [...state.microBatching, { step: state.step + 1, parts }] };
}

/** The first lines of the log; returns the predicted bytes. */
function tellStart(context: BundleContext, train: number[][]): number {
  const { job, teacher, student, hyperparameters: h, engine } = context;
  const { backend, library, threads, device } = engine.numerics;
  log(`engine: ${backend}, ${library}, ${threads} threads, ${device}`);
  const memory = predictMemory({
    kind: kindOf(h),
    student,
    teacher: teacher.shape,
    students: job.trials.length,
    batchSize: h.batchSize,
    tokens: train.reduce((longest, row) => Math.max(longest, row.length), 0),
    fusedLayers: engine.lossKernel !== undefined,
  });
  const list = job.trials.map(({ spec: { hyperparameters: own } }) => `T ${own.temperature} a ${own.distillWeight}`);
  log(`bundle: ${list.length} students (${list.join(', ')}), part ${h.distillPart}, seed ${h.seed}`);
  log(
    `model: ${student.encoderLayers} + ${student.decoderLayers} layers, width ${student.dModel}, ${student.vocabularySize} words; batches of ${h.batchSize}, ${h.epochs} epochs`,
  );
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  log(
    `memory: ${gigabytes(memory.total)} predicted at the peak (parameters ${gigabytes(memory.parameters)}, activations ${gigabytes(memory.activations)}, loss ${gigabytes(memory.loss)}, checkpoint ${gigabytes(memory.checkpoint)})`,
  );
  return Math.round(memory.total);
}

/** What the records say about going on from this checkpoint, with what it already said about earlier ones. */
function resumesOf(context: BundleContext, { state, numerics, resumes }: CheckpointManifest): TrainingResume[] {
  const now = context.engine.numerics;
  const hasOtherNumerics = canonicalJson({ ...now }) !== canonicalJson({ ...numerics });
  log(`resumed at step ${state.step}`);
  if (hasOtherNumerics)
    log(
      `the steps before were computed by ${numerics.backend}, ${numerics.library}, ${numerics.threads} threads, ${numerics.device}: the last bits may differ from those of one run`,
    );
  return [...resumes, { step: state.step, numerics, hasOtherNumerics }];
}

/** Models that were written before the checkpoint stand where the user's files stand. */
async function placeModels(context: BundleContext, folder: string, { state }: CheckpointManifest): Promise<void> {
  for (const [k, { trialId }] of context.job.trials.entries()) {
    const { outcome, bestEpoch, epochs } = state.students[k] as CheckpointManifest['state']['students'][number];
    if (outcome !== 'trained') continue;
    const own = await makeFolder(context.workFolder, trialId);
    if (bestEpoch > 0)
      await placeModel(join(folder, bestModelName(trialId, bestEpoch)), join(own, 'best_student_model.safetensors'));
    for (const { epoch } of epochs)
      if (epoch % 10 === 0)
        await placeModel(
          join(folder, epochModelName(trialId, epoch)),
          join(own, `student_model_epoch${epoch}.safetensors`),
        );
  }
}

function setupOf(
  context: BundleContext,
  start: ReadonlyMap<string, Float32Array>,
  data: TrainingSetup['data'],
): TrainingSetup {
  const { job, engine, teacher, student, hyperparameters } = context;
  const kind = kindOf(hyperparameters);
  const each = (name: 'temperature' | 'distillWeight' | 'learningRate' | 'weightDecay') =>
    job.trials.map((trial) => trial.spec.hyperparameters[name]);
  return {
    model: {
      kind,
      student,
      teacher: { shape: teacher.shape, weights: weightsFromArrays(teacher.shape, teacher.arrays) },
      temperature: each('temperature'),
      distillWeight: each('distillWeight'),
      lossKernel: lossKernelOf(engine),
    },
    start: weightsFromArrays(student, start, {
      groups: job.trials.length,
      select: (name) => isTrained(kind, name),
    }),
    adam: {
      ...REFERENCE_ADAM,
      learningRate: each('learningRate'),
      weightDecay: each('weightDecay'),
    },
    optimizer: optimizerOf(engine),
    data,
    settings: hyperparameters satisfies Hyperparameters,
  };
}

function listenerOf(
  context: BundleContext,
  start: ReadonlyMap<string, Float32Array>,
  checkpointer: Checkpointer,
): TrainingListener {
  const { job, port, student } = context;
  const tell = throttled(port.send);
  const best = new Map<number, string>();
  return {
    onStep: (report) =>
      tell({
        type: 'progress',
        phase: 'training',
        fraction: report.step / report.steps,
        ...report,
        trainLoss: Object.fromEntries(
          job.trials
            .map((trial, k) => [trial.trialId, report.trainLoss[k] as number] as const)
            .filter(([, loss]) => Number.isFinite(loss)),
        ),
      }),
    onEpoch: (k, metrics) => {
      const { trialId } = trialOf(job, k);
      const { epoch, step, trainLoss, validationLoss, tokensPerSecond } = metrics;
      log(
        `epoch ${epoch}, step ${step}, ${trialId}: loss ${trainLoss.toFixed(4)}, validation ${validationLoss.toFixed(4)}, ${tokensPerSecond.toFixed(0)} tokens/s`,
      );
      port.send({ type: 'epoch', trialId, metrics });
    },
    onCheckpoint: async (k, kind, epoch, arrays) => {
      const trial = trialOf(job, k);
      const folder = await makeFolder(context.workFolder, trial.trialId);
      const model = { shape: student, arrays: new Map([...start, ...arrays]) };
      const bytes = modelBytes(model, metadataOf(context, trial, { epoch: String(epoch) }));
      if (kind === 'epoch') {
        const name = epochModelName(trial.trialId, epoch);
        await checkpointer.keepModel(name, bytes, join(folder, `student_model_epoch${epoch}.safetensors`));
        return;
      }
      const name = bestModelName(trial.trialId, epoch);
      await checkpointer.keepModel(name, bytes, join(folder, 'best_student_model.safetensors'), best.get(k));
      best.set(k, name);
    },
    onDiverged: (k, step) => log(`${trialOf(job, k).trialId} diverged at step ${step}; it is frozen, the others go on`),
    onMicroBatches: (step, parts) => log(`out of memory at step ${step}: batches in ${parts} parts from here on`),
    isWanted: (k) => !port.isCancelled(trialOf(job, k).trialId),
    shouldStop: port.isStopping,
  };
}

function trialOf(job: BundleJob, k: number): BundleJob['trials'][number] {
  return job.trials[k] as BundleJob['trials'][number];
}
