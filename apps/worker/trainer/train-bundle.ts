// The training of a bundle: all students side by side, from the newest checkpoint when there is one; checkpoints, progress and
// the log on the way. What it gives back goes into each trial's record.
import { join } from 'node:path';
import {
  isTrained,
  predictMemory,
  REFERENCE_ADAM,
  startProjections,
  type TrainingListener,
  type TrainingSetup,
} from '#distillation';
import { type Hyperparameters, hasComposedLoss, matchedTaps, type TrialSummary } from '#experiment';
import { disposeWeights, RandomStream, type Vocabulary, weightsFromArrays } from '#semcom';
import { type CheckpointManifest, checkpointJobOf } from '../checkpoint-manifest.js';
import { type BundleContext, type BundleJob, kindOf, metadataOf } from './bundle-context.js';
import { log, progressOf, type TrainingOutcome, trainWithCheckpoints } from './checkpointed-training.js';
import { bestModelName, type Checkpointer, epochModelName, placeModel } from './checkpointer.js';
import { dialsOf, featuresOf, schedulesOf, shownDials } from './dials.js';
import { lossKernelOf, optimizerOf } from './engine-parts.js';
import { makeFolder, modelBytes } from './files.js';
import { throttled } from './port.js';
import { holdAtRung } from './rungs.js';

export interface TrainedBundle extends Omit<TrainingOutcome, 'remarks'> {
  /** How it was trained, as far as its records shall tell. */
  remarks: Pick<TrialSummary, 'predictedMemoryBytes' | 'resumes' | 'microBatches'>;
}

/** Trains all students of the bundle; models and checkpoints go straight into the work folder. */
export async function trainBundle(
  context: BundleContext,
  start: ReadonlyMap<string, Float32Array>,
  data: { train: number[][]; validation: number[][] },
  vocabulary: Vocabulary,
): Promise<TrainedBundle> {
  const { job, engine, port, workFolder, checkpointMs } = context;
  const predictedMemoryBytes = tellStart(context, data.train);
  const setup = setupOf(context, start, data);
  try {
    const outcome = await trainWithCheckpoints({
      engine,
      port,
      workFolder,
      checkpointMs,
      job: checkpointJobOf(job),
      trialIds: job.trials.map(({ trialId }) => trialId),
      parts: job.parts ?? 1,
      setup,
      placeModels: (folder, manifest) => placeModels(context, folder, manifest),
      listener: (checkpointer) => ({
        ...listenerOf(context, start, checkpointer),
        betweenEpochs: (run) => holdAtRung(context, run, { start, validation: data.validation, vocabulary }),
      }),
    });
    return { ...outcome, remarks: { predictedMemoryBytes, ...outcome.remarks } };
  } finally {
    disposeWeights(setup.start);
    disposeWeights(setup.model.teacher?.weights ?? new Map());
  }
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
    composedLoss: hasComposedLoss(h),
    featureTaps: matchedTaps(h),
    ...(h.featureKind ? { featureKind: h.featureKind } : {}),
  });
  const list = job.trials.map(
    ({ spec: { hyperparameters: own } }) => `T ${own.temperature} a ${own.distillWeight}${shownDials(own)}`,
  );
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
  const all = job.trials.map(({ spec }) => spec.hyperparameters);
  const matching = featuresOf(all);
  const each = (name: 'temperature' | 'distillWeight' | 'learningRate' | 'weightDecay') => all.map((one) => one[name]);
  return {
    model: {
      kind,
      student,
      teacher: { shape: teacher.shape, weights: weightsFromArrays(teacher.shape, teacher.arrays) },
      temperature: each('temperature'),
      distillWeight: each('distillWeight'),
      ...dialsOf(all),
      ...matching,
      lossKernel: lossKernelOf(engine),
    },
    ...schedulesOf(all),
    start: new Map([
      ...weightsFromArrays(student, start, {
        groups: job.trials.length,
        select: (name) => isTrained(kind, name),
      }),
      ...startProjections({
        taps: matching.features?.kind === 'attention' ? [] : (matching.features?.taps ?? []),
        student,
        teacher: teacher.shape,
        students: job.trials.length,
        streamFor: (name) => new RandomStream(hyperparameters.seed, `init-${name}`),
      }),
    ]),
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
    onStep: (report) => {
      const losses = job.trials.map((trial, k) => [trial.trialId, report.trainLoss[k] as number] as const);
      tell(progressOf(report, Object.fromEntries(losses.filter(([, loss]) => Number.isFinite(loss)))));
    },
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
    isWanted: (k) => !port.isCancelled(trialOf(job, k).trialId),
  };
}

function trialOf(job: BundleJob, k: number): BundleJob['trials'][number] {
  return job.trials[k] as BundleJob['trials'][number];
}
