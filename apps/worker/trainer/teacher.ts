// A teacher: trained here from random parameters, or a shipped or imported one read, checked and measured.
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CheckpointError, readCheckpoint, readSafetensors, withoutPrefix } from '#checkpoint';
import { measureBleu, REFERENCE_ADAM, type TrainingListener } from '#distillation';
import type { Engine } from '#engine';
import { type Architecture, type CorpusRecord, countParameters, scoreWarnings, type TeacherRecord } from '#experiment';
import {
  disposeWeights,
  fromStateDict,
  initialArrays,
  RandomStream,
  stateDictFaults,
  weightsFromArrays,
} from '#semcom';
import { teacherCheckpointJobOf } from '../checkpoint-manifest.js';
import type { TrainerJob } from '../trainer-protocol.js';
import { type CheckpointedTraining, log, progressOf, trainWithCheckpoints } from './checkpointed-training.js';
import { bestModelName, type Checkpointer, placeModel } from './checkpointer.js';
import { lossKernelOf, optimizerOf, splitTest } from './engine-parts.js';
import {
  type CorpusData,
  float32State,
  MODEL_TYPE,
  type Model,
  makeFolder,
  modelBytes,
  readCorpus,
  readModel,
  writeModel,
} from './files.js';
import { ImpossibleJob, type TrainerPort, throttled } from './port.js';

/** How a teacher is measured, whatever it is later used for. */
const MEASURED_SNRS = [0, 3, 6, 9, 12, 15, 18];
const MEASURED_SENTENCES = 200;
/** The link of models whose training here knows nothing of. */
export const PLAIN_LINK = { channel: 'awgn', channelProfile: 'exact' } as const;

type Measured = Omit<TeacherRecord, 'teacherId' | 'files' | 'createdAt'>;

type TrainingJob = Extract<TrainerJob, { kind: 'train-teacher' }>;
type TrainingPlace = Pick<CheckpointedTraining, 'engine' | 'workFolder' | 'port' | 'checkpointMs'>;

/** The name under which a teacher in training goes where students have their trials' ids. */
const TRAINED = 'teacher';
const MODEL_FILE = 'model.safetensors';

export async function trainTeacher(job: TrainingJob, place: TrainingPlace): Promise<void> {
  const { training, corpus } = job;
  const { engine, port } = place;
  const data = await readCorpus(job.corpusFolder);
  const shape: Architecture = {
    vocabularySize: corpus.vocabularySize,
    dModel: training.dModel,
    dff: training.dff,
    heads: training.heads,
    encoderLayers: training.layers,
    decoderLayers: training.layers,
  };
  const arrays = initialArrays(shape, (name) => new RandomStream(training.seed, `init-${name}`));
  const start = weightsFromArrays(shape, arrays);
  const file = join(await makeFolder(place.workFolder, TRAINED), MODEL_FILE);
  const { students, remarks } = await trainWithCheckpoints({
    ...place,
    job: teacherCheckpointJobOf(job),
    trialIds: [TRAINED],
    parts: job.parts ?? 1,
    setup: {
      model: {
        kind: { part: 'full', freezeKeptSide: false },
        student: shape,
        teacher: null,
        temperature: [1],
        distillWeight: [0],
        lossKernel: lossKernelOf(engine),
      },
      start,
      adam: { ...REFERENCE_ADAM, learningRate: training.learningRate, weightDecay: training.weightDecay },
      optimizer: optimizerOf(engine),
      data: { train: data.train, validation: splitTest(data.test, MEASURED_SENTENCES).validation },
      settings: training,
    },
    placeModels: async (folder, { state }) => {
      const bestEpoch = state.students[0]?.bestEpoch ?? 0;
      if (bestEpoch > 0) await placeModel(join(folder, bestModelName(TRAINED, bestEpoch)), file);
    },
    listener: (checkpointer) => teacherListener(job, { shape, file, port, checkpointer }),
  }).finally(() => disposeWeights(start));
  if (port.isStopping()) return;
  const [trained] = students;
  if (trained?.outcome === 'diverged')
    throw new ImpossibleJob(
      `The teacher's loss became NaN at step ${trained.step}: lower the learning rate (${training.learningRate}).`,
    );
  const best = await readModel(file, shape);
  const measured = await measure(best, { corpus, data, engine, port, ...training });
  const origin = { kind: 'trained' as const, training };
  sendTeacher({ name: job.name, origin, ...measured, ...remarks }, port);
}

function teacherListener(
  job: TrainingJob,
  about: { shape: Architecture; file: string; port: TrainerPort; checkpointer: Checkpointer },
): TrainingListener {
  const { shape, file, port, checkpointer } = about;
  const tell = throttled(port.send);
  const metadata = { corpusId: job.corpus.corpusId, role: 'teacher' };
  let best: string | undefined;
  return {
    onStep: (report) => tell(progressOf(report, { [TRAINED]: report.trainLoss[0] as number })),
    onEpoch: (_student, metrics) => {
      const { epoch, step, trainLoss, validationLoss } = metrics;
      log(`epoch ${epoch}, step ${step}: loss ${trainLoss.toFixed(4)}, validation ${validationLoss.toFixed(4)}`);
      port.send({ type: 'epoch', trialId: TRAINED, metrics });
    },
    onCheckpoint: async (_student, kind, epoch, arrays) => {
      if (kind !== 'best') return;
      const name = bestModelName(TRAINED, epoch);
      await checkpointer.keepModel(name, modelBytes({ shape, arrays }, metadata), file, best);
      best = name;
    },
  };
}

/** The teacher that comes with semdistill: its file is checked against the corpus, then measured as any other. */
export async function measureShippedTeacher(
  job: Extract<TrainerJob, { kind: 'measure-teacher' }>,
  engine: Engine,
  workFolder: string,
  port: TrainerPort,
): Promise<void> {
  const data = await readCorpus(job.corpusFolder);
  const model = await readShipped(job.teacherFile, job.corpus);
  const origin = { kind: 'builtin' as const, builtin: job.builtin };
  const measured = await measure(model, { corpus: job.corpus, data, engine, port, ...PLAIN_LINK });
  const folder = await makeFolder(workFolder, 'teacher');
  await copyFile(job.teacherFile, join(folder, 'model.safetensors'));
  sendTeacher({ name: job.name, origin, ...measured }, port);
}

/** A teacher that was trained elsewhere, in PyTorch or here: read, measured as any other, kept as safetensors. */
export async function importTeacher(
  job: Extract<TrainerJob, { kind: 'import-teacher' }>,
  engine: Engine,
  workFolder: string,
  port: TrainerPort,
): Promise<void> {
  const { name, corpus, origin } = job;
  const data = await readCorpus(job.corpusFolder);
  const model = await readForeign(job.modelFile, job.architecture);
  const measured = { name, origin, ...(await measure(model, { corpus, data, engine, port, ...PLAIN_LINK })) };
  const warnings = scoreWarnings(measured.scores);
  const folder = await makeFolder(workFolder, 'teacher');
  await writeModel(join(folder, 'model.safetensors'), model, { corpusId: corpus.corpusId, role: 'teacher' });
  sendTeacher(warnings.length > 0 ? { ...measured, warnings } : measured, port);
}

/** A model file of any kind that is read here, as the model whose sizes were told. Throws ImpossibleJob when it is not that. */
export async function readForeign(file: string, shape: Architecture): Promise<Model> {
  try {
    const state = float32State(withoutPrefix(readCheckpoint(await readFile(file))));
    const faults = stateDictFaults(shape, state);
    if (faults.length > 0) throw new ImpossibleJob(`The model file does not fit: ${faults.slice(0, 8).join('; ')}.`);
    return { shape, arrays: fromStateDict(shape, state) };
  } catch (error) {
    if (error instanceof CheckpointError) throw new ImpossibleJob(`The model file cannot be read: ${error.message}`);
    throw error;
  }
}

async function readShipped(file: string, corpus: CorpusRecord): Promise<Model> {
  try {
    const { metadata } = readSafetensors(await readFile(file));
    const shape = JSON.parse(metadata.get('architecture') ?? 'null') as Architecture | null;
    if (!shape) throw new ImpossibleJob('The teacher file does not say its architecture.');
    const trainedOn = metadata.get('corpusId');
    if (trainedOn !== corpus.corpusId)
      throw new ImpossibleJob(
        `The teacher was trained on corpus ${trainedOn}, not on ${corpus.corpusId}: their vocabularies differ.`,
      );
    return await readModel(file, shape);
  } catch (error) {
    if (error instanceof CheckpointError) throw new ImpossibleJob(`The teacher file cannot be read: ${error.message}`);
    throw error;
  }
}

/** BLEU over SNR of a model on the first test sentences, and what it is. */
export async function measure(
  model: Model,
  about: {
    corpus: CorpusRecord;
    data: CorpusData;
    engine: Engine;
    port: TrainerPort;
    channel: Measured['scores']['channel'];
    channelProfile: Measured['scores']['channelProfile'];
  },
): Promise<Pick<Measured, 'architecture' | 'corpusId' | 'parameters' | 'scores' | 'numerics'>> {
  const { data, corpus, channel, channelProfile } = about;
  const { evaluation } = splitTest(data.test, MEASURED_SENTENCES);
  const weights = weightsFromArrays(model.shape, model.arrays);
  const side = { shape: model.shape, weights };
  const [curve] = await measureBleu(
    { transmitter: side, receiver: side },
    {
      sentences: evaluation,
      snrDb: MEASURED_SNRS,
      channel,
      channelProfile,
      maxTokens: corpus.maxTokens,
      scoredIds: (ids) => data.vocabulary.scoredIds(ids),
      goOn: () => nextTurn(!about.port.isStopping()),
    },
  );
  disposeWeights(weights);
  if (!curve) throw new Error('nothing was measured');
  return {
    architecture: model.shape,
    corpusId: corpus.corpusId,
    parameters: countParameters(model.shape),
    scores: { ...curve, channel, channelProfile, sentences: evaluation.length },
    numerics: about.engine.numerics,
  };
}

function sendTeacher(teacher: Measured, port: TrainerPort): void {
  port.send({ type: 'teacher-completed', teacher, files: [{ name: 'model.safetensors', contentType: MODEL_TYPE }] });
}
