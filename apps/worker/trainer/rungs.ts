// The students of a bundle at a rung of early stopping: what they have reached goes to the worker, which decides by the record; those
// that are stopped leave their models and are frozen, the others go on.
import { join } from 'node:path';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { keptSide, type Link, measureDivergence, type TrainedStudent, type TrainingRun } from '#distillation';
import { HEADLINE_SNR_DB, nearestIndex } from '#experiment';
import { disposeWeights, type Vocabulary, weightsFromArrays } from '#semcom';
import { type BundleContext, kindOf, metadataOf } from './bundle-context.js';
import { log } from './checkpointed-training.js';
import { MODEL_TYPE, type Model, makeFolder, writeModel } from './files.js';
import { throttled } from './port.js';
import { stack } from './stack.js';

/** Enough to rank students by; each is teacher and student once over. */
const MOST_SENTENCES = 100;
const LOOK_MS = 20;

export interface AtRung {
  start: ReadonlyMap<string, Float32Array>;
  validation: number[][];
  vocabulary: Vocabulary;
}

/** To be awaited between two epochs; what is stopped is no longer wanted then. A stop of the whole trainer ends the wait. */
export async function holdAtRung(context: BundleContext, run: TrainingRun, about: AtRung): Promise<void> {
  const { job, port } = context;
  const epoch = run.epochsDone;
  const { rungs } = job;
  if (!rungs?.epochs.includes(epoch) || port.stoppedAt(epoch) !== undefined) return;
  const climbing = job.trials.flatMap(({ trialId }, k) =>
    rungs.trialIds.includes(trialId) && run.isRunning(k) && !port.isCancelled(trialId) ? [k] : [],
  );
  if (climbing.length === 0) return;
  const measured =
    rungs.measure === 'divergence'
      ? await divergences(context, run, climbing, about)
      : climbing.map((k) => run.students[k]?.epochs.at(-1)?.validationLoss ?? Number.NaN);
  const numberOrNull = (value: number) => (Number.isFinite(value) ? value : null);
  const values = climbing.map((k, at) => [trialIdOf(context, k), numberOrNull(measured[at] ?? Number.NaN)] as const);
  port.send({ type: 'rung', epoch, values: Object.fromEntries(values) });
  const stopped = await decision(context, epoch);
  for (const k of climbing)
    if (stopped.includes(trialIdOf(context, k))) await leave(context, run, { student: k, epoch, start: about.start });
}

/** Waits for the worker, which may be waiting for the store. */
async function decision({ port }: BundleContext, epoch: number): Promise<readonly string[]> {
  const alive = throttled(port.send);
  for (;;) {
    const stopped = port.stoppedAt(epoch);
    if (stopped || port.isStopping()) return stopped ?? [];
    alive({ type: 'busy', doing: 'validating' });
    await delay(LOOK_MS);
  }
}

/** JSD to the teacher of each, on validation sentences at the measured SNR nearest to the headline's. */
async function divergences(
  context: BundleContext,
  run: TrainingRun,
  students: number[],
  { start, validation, vocabulary }: AtRung,
): Promise<number[]> {
  const { job, teacher, student, hyperparameters, port } = context;
  const alive = throttled(port.send);
  const snrDb = job.trials[0]?.spec.evaluation.snrDb ?? [];
  const kept = keptSide(kindOf(hyperparameters));
  const models = students.map((k): Model => ({ shape: student, arrays: new Map([...start, ...run.arraysOf(k)]) }));
  const taught = { shape: teacher.shape, weights: weightsFromArrays(teacher.shape, teacher.arrays) };
  const learned = stack(models);
  const link: Link = {
    transmitter: kept === 'transmitter' ? taught : learned,
    receiver: kept === 'receiver' ? taught : learned,
  };
  try {
    const measured = await measureDivergence({ transmitter: taught, receiver: taught }, link, {
      sentences: validation.slice(0, MOST_SENTENCES),
      snrDb: [snrDb[nearestIndex(snrDb, HEADLINE_SNR_DB)] ?? HEADLINE_SNR_DB],
      channel: hyperparameters.channel,
      channelProfile: hyperparameters.channelProfile,
      maxTokens: job.corpus.maxTokens,
      scoredIds: (ids) => vocabulary.scoredIds(ids),
      goOn: () => {
        alive({ type: 'busy', doing: 'validating' });
        return nextTurn(true);
      },
    });
    return measured.map(({ divergence }) => divergence.jsd[0] ?? Number.NaN);
  } finally {
    disposeWeights(taught.weights);
    disposeWeights(learned.weights);
  }
}

/** Writes what a stopped student has, says so, and lets nobody train it on. */
async function leave(
  context: BundleContext,
  run: TrainingRun,
  { student: k, epoch, start }: { student: number; epoch: number; start: AtRung['start'] },
): Promise<void> {
  const { job, port, student, engine, workFolder } = context;
  const trial = job.trials[k] as (typeof job.trials)[number];
  const { epochs, bestLoss, bestEpoch } = run.students[k] as TrainedStudent;
  const folder = await makeFolder(workFolder, trial.trialId);
  const model = { shape: student, arrays: new Map([...start, ...run.arraysOf(k)]) };
  const facts = metadataOf(context, trial, { epoch: String(epoch), role: 'stopped early' });
  await writeModel(join(folder, 'final_student_model.safetensors'), model, facts);
  const names = ['final_student_model'];
  if (bestEpoch > 0) names.push('best_student_model');
  for (let tenth = 10; tenth <= epoch; tenth += 10) names.push(`student_model_epoch${tenth}`);
  log(`epoch ${epoch}: ${trial.trialId} is stopped early and frozen, the others go on`);
  port.drop(trial.trialId);
  port.send({
    type: 'trial-pruned',
    trialId: trial.trialId,
    had: {
      epochs: [...epochs],
      step: run.stepsDone,
      bestLoss,
      bestEpoch,
      trainingSeconds: run.seconds() / job.trials.length,
      numerics: engine.numerics,
    },
    files: names.map((name) => ({ name: `${name}.safetensors`, contentType: MODEL_TYPE })),
  });
}

function trialIdOf({ job }: BundleContext, k: number): string {
  return job.trials[k]?.trialId ?? '';
}
