// A bundle: K students of one teacher trained side by side, then measured together; files and summaries one trial after another.
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type EvaluationRequest,
  EvaluationStopped,
  hybridArrays,
  startArrays,
  type TrainedStudent,
} from '#distillation';
import {
  compressionOf,
  countParameters,
  type Latency,
  studentArchitecture,
  type TrialEvaluation,
  type TrialSummary,
} from '#experiment';
import { RandomStream } from '#semcom';
import { type BundleContext, type BundleJob, kindOf, metadataOf } from './bundle-context.js';
import { slicedTrain } from './dials.js';
import { splitTest } from './engine-parts.js';
import { evaluateBundle } from './evaluate-bundle.js';
import {
  JSON_TYPE,
  MODEL_TYPE,
  type Model,
  makeFolder,
  readCorpus,
  readModel,
  textOf,
  writeJson,
  writeModel,
} from './files.js';
import { throttled } from './port.js';
import { loadSentenceEncoder } from './sentence-encoder.js';
import { type TrainedBundle, trainBundle } from './train-bundle.js';

export async function runBundle(
  job: BundleJob,
  place: Pick<BundleContext, 'engine' | 'workFolder' | 'port' | 'checkpointMs'>,
): Promise<void> {
  const { port } = place;
  const first = job.trials[0]?.spec.hyperparameters;
  if (!first) return;
  const teacher = await readModel(job.teacherFile, job.teacher.architecture);
  const student = studentArchitecture(job.teacher.architecture, first);
  const data = await readCorpus(job.corpusFolder);
  const train = slicedTrain(data.train, first);
  const context: BundleContext = {
    job,
    ...place,
    teacher,
    student,
    hyperparameters: first,
    trainSentences: train.length,
  };
  const { evaluation, validation } = splitTest(data.test, job.trials[0]?.spec.evaluation.sentences ?? 1);
  const start = startArrays({
    teacher,
    student,
    kind: kindOf(first),
    init: first.init,
    streamFor: (name) => new RandomStream(first.seed, `init-${name}`),
  });

  const training = await trainBundle(context, start, { train, validation }, data.vocabulary);
  if (port.isStopping()) return;
  const trained = job.trials.flatMap((trial, k) => {
    const outcome = training.students[k] as TrainedStudent;
    if (outcome.outcome === 'diverged') {
      const reason = `The loss became NaN or infinite at step ${outcome.step}: lower the learning rate (${trial.spec.hyperparameters.learningRate}) or the temperature.`;
      port.send({
        type: 'trial-failed',
        trialId: trial.trialId,
        reason,
        ...(outcome.step ? { step: outcome.step } : {}),
      });
    }
    return outcome.outcome === 'trained' ? [{ trial, outcome }] : [];
  });
  if (trained.length === 0) return;

  const startedEvaluation = performance.now();
  const alive = throttled(port.send);
  const whole = trained.map(({ outcome }) => ({ shape: student, arrays: new Map([...start, ...outcome.arrays]) }));
  const request: EvaluationRequest = {
    sentences: evaluation,
    snrDb: job.trials[0]?.spec.evaluation.snrDb ?? [],
    channel: first.channel,
    channelProfile: first.channelProfile,
    maxTokens: job.corpus.maxTokens,
    scoredIds: (ids) => data.vocabulary.scoredIds(ids),
    goOn: () => {
      alive({ type: 'busy', doing: 'evaluating' });
      return nextTurn(!port.isStopping());
    },
  };
  const encoder = job.encoderFolder === undefined ? undefined : await loadSentenceEncoder(job.encoderFolder);
  if (encoder) request.similarity = { encode: encoder.encode, textOf: (ids) => textOf(data.vocabulary, ids) };
  let measured: Awaited<ReturnType<typeof evaluateBundle>>;
  try {
    measured = await evaluateBundle(context, { models: whole, untrained: { shape: student, arrays: start } }, request);
  } catch (error) {
    if (error instanceof EvaluationStopped) return;
    throw error;
  } finally {
    encoder?.dispose();
  }
  const evaluationSeconds = seconds(startedEvaluation);
  const trainingSeconds = (training.seconds - secondsOfOthers(training)) / trained.length;
  for (const [k, { trial, outcome }] of trained.entries()) {
    const times = {
      trainingSeconds,
      evaluationSeconds: evaluationSeconds / trained.length,
    };
    await finish(context, trial, outcome, {
      whole: whole[k] as Model,
      evaluation: measured.evaluations[k] as TrialEvaluation,
      latency: measured.latency,
      times,
      training,
    });
  }
}

/** What those that are not trained to the end have taken: their share of the epochs they were in. */
function secondsOfOthers({ students }: TrainedBundle): number {
  const gone = students.filter(({ outcome }) => outcome !== 'trained');
  const whole = gone.flatMap(({ epochs }) => epochs).reduce((sum, epoch) => sum + epoch.seconds, 0);
  return whole / students.length;
}

function seconds(since: number): number {
  return (performance.now() - since) / 1000;
}

/** Writes a trained trial's files and says so. */
async function finish(
  context: BundleContext,
  trial: BundleJob['trials'][number],
  outcome: TrainedStudent,
  made: {
    whole: Model;
    evaluation: TrialEvaluation;
    latency: Latency;
    times: Pick<TrialSummary, 'trainingSeconds' | 'evaluationSeconds'>;
    training: TrainedBundle;
  },
): Promise<void> {
  const { hyperparameters } = trial.spec;
  const folder = await makeFolder(context.workFolder, trial.trialId);
  const names = ['final_student_model', 'best_student_model'];
  const final = { epoch: String(hyperparameters.epochs) };
  await writeModel(join(folder, 'final_student_model.safetensors'), made.whole, metadataOf(context, trial, final));
  for (let epoch = 10; epoch <= hyperparameters.epochs; epoch += 10) names.push(`student_model_epoch${epoch}`);
  if (hyperparameters.createHybrid) {
    const hybrid = hybridArrays({ teacher: context.teacher, student: made.whole, part: hyperparameters.distillPart });
    await writeModel(
      join(folder, 'hybrid_model.safetensors'),
      hybrid,
      metadataOf(context, trial, { ...final, role: 'hybrid' }),
    );
    names.push('hybrid_model');
  }
  const summary = summarize(context, trial, outcome, made);
  await writeJson(join(folder, 'evaluation.json'), made.evaluation);
  await writeJson(join(folder, 'distillation_config.json'), configOf(context, trial, summary));
  context.port.send({
    type: 'trial-completed',
    trialId: trial.trialId,
    summary,
    files: [
      ...names.map((name) => ({ name: `${name}.safetensors`, contentType: MODEL_TYPE })),
      { name: 'evaluation.json', contentType: JSON_TYPE },
      { name: 'distillation_config.json', contentType: JSON_TYPE },
    ],
  });
}

function summarize(
  context: BundleContext,
  trial: BundleJob['trials'][number],
  outcome: TrainedStudent,
  made: Pick<Parameters<typeof finish>[3], 'evaluation' | 'latency' | 'times' | 'training'>,
): TrialSummary {
  const parameters = { teacher: context.job.teacher.parameters, student: countParameters(context.student) };
  const last = outcome.epochs.at(-1);
  const compression = compressionOf(parameters.teacher, parameters.student);
  return {
    trialId: trial.trialId,
    bestLoss: outcome.bestLoss,
    bestEpoch: outcome.bestEpoch,
    finalLoss: last?.validationLoss ?? Number.NaN,
    epochs: outcome.epochs,
    steps: last?.step ?? 0,
    parameters,
    compressionRatio: compression.total,
    compressionRatioCore: compression.core,
    evaluation: made.evaluation,
    numerics: context.engine.numerics,
    ...made.times,
    latency: made.latency,
    ...made.training.remarks,
  };
}

/** distillation_config.json: every setting under the names the field's scripts use, and the figures they look for. */
function configOf(context: BundleContext, trial: BundleJob['trials'][number], summary: TrialSummary) {
  const { hyperparameters: h, evaluation } = trial.spec;
  const { teacher, student } = context;
  return {
    temperature: h.temperature,
    distill_weight: h.distillWeight,
    distill_loss: h.distillLoss ?? 'kl',
    label_smoothing: h.labelSmoothing ?? 0,
    weight_schedule: h.weightSchedule ?? 'constant',
    final_weight: h.finalWeight ?? h.distillWeight,
    hard_weight: h.hardWeight ?? null,
    feature_weight: h.featureWeight ?? 0,
    feature_taps: h.featureWeight ? (h.featureTaps ?? 'both') : null,
    feature_kind: h.featureWeight ? (h.featureKind ?? 'hidden') : null,
    distill_part: h.distillPart,
    d_model: student.dModel,
    dff: student.dff,
    num_heads: student.heads,
    vocabulary_size: student.vocabularySize,
    student_layers: h.studentLayers,
    student_encoder_layers: student.encoderLayers,
    student_decoder_layers: student.decoderLayers,
    teacher_encoder_layers: teacher.shape.encoderLayers,
    teacher_decoder_layers: teacher.shape.decoderLayers,
    teacher_layers: teacher.shape.decoderLayers,
    channel: h.channel,
    channel_profile: h.channelProfile,
    train_snr_db: h.trainSnrDb,
    batch_size: h.batchSize,
    epochs: h.epochs,
    sentences_per_epoch: h.sentencesPerEpoch ?? null,
    train_share: h.trainShare ?? 1,
    train_top_words: h.trainTopWords ?? null,
    train_words: h.trainWords ?? null,
    train_sentences: context.trainSentences,
    lr: h.learningRate,
    weight_decay: h.weightDecay,
    dropout: h.dropout,
    init: h.init,
    freeze_kept_side: h.freezeKeptSide,
    create_hybrid: h.createHybrid,
    seed: h.seed,
    best_loss: summary.bestLoss,
    best_epoch: summary.bestEpoch,
    final_loss: summary.finalLoss,
    teacher_params: summary.parameters.teacher.total,
    student_params: summary.parameters.student.total,
    compression_ratio: summary.compressionRatio,
    compression_ratio_core: summary.compressionRatioCore,
    evaluation,
    trial_id: trial.trialId,
    teacher_id: context.job.teacher.teacherId,
    corpus_id: context.job.corpus.corpusId,
    numerics_version: trial.spec.numericsVersion,
    numerics: summary.numerics,
  };
}
