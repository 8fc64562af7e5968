// A corpus or teacher being made on this worker: text or model fetched, one forked trainer, files stored, then the record,
// the name, and the preparation's result last.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AnalysisPreparation,
  type Architecture,
  type CorpusRecord,
  compareScores,
  corpusIdOf,
  type HybridRecord,
  type HybridSide,
  Impossible,
  type PreparationRecord,
  type PreparationRequest,
  type PreparationResult,
  type StoredFile,
  type TeacherRecord,
  teacherIdOf,
} from '#experiment';
import { type FleetJob, GivenBack, type JobContext } from '#queue';
import {
  findJson,
  getJson,
  keys,
  ObjectCorrupt,
  ObjectNotFound,
  putJson,
  putJsonIfAbsent,
  StoreUnavailable,
} from '#storage';
import { hashFiles, uploadFiles } from './artifacts.js';
import { BUILTIN_CORPORA, BUILTIN_TEACHERS } from './builtins.js';
import { writePackageText } from './corpus-text.js';
import type { RunningTrainer } from './forked-trainer.js';
import { forkTrainer, giveBackIfStopped, inTime, type JobTools, patiently, stopIfAsked } from './job-tools.js';
import { RecordWatch } from './record-watch.js';
import { writeSentenceEncoder } from './sentence-encoder.js';
import { TeacherCheckpoints } from './teacher-checkpoints.js';
import type { TrainerJob, TrainerMessage } from './trainer-protocol.js';
import { newFence } from './trial-results.js';
import { inWorkFolder } from './work-folder.js';
import { packageRoot } from './worker-settings.js';

type Outcome = Pick<
  PreparationResult,
  'corpusId' | 'teacherId' | 'hybridId' | 'verification' | 'crossDecoding' | 'analysis'
>;
type Ending = Outcome & Pick<PreparationResult, 'failure'> & { status: 'completed' | 'failed' };
type CorpusJob = Extract<TrainerJob, { kind: 'prepare-corpus' | 'import-corpus' }>;
type CorpusMessage = Extract<TrainerMessage, { type: 'corpus-completed' }>;
type HybridMessage = Extract<TrainerMessage, { type: 'hybrid-completed' }>;
type AnalysisMessage = Extract<TrainerMessage, { type: 'analysis-completed' }>;
type CrossDecodedMessage = Extract<TrainerMessage, { type: 'cross-decoded' }>;
type ScoresMessage = Extract<TrainerMessage, { type: 'scores-measured' }>;
type TeacherMessage = Extract<TrainerMessage, { type: 'teacher-completed' }>;

/** What one kind of request does, said while it is done. */
const WORDS: Record<TrainerJob['kind'], string> = {
  bundle: 'training',
  'prepare-corpus': 'reading the text',
  'import-corpus': 'reading the token ids',
  'train-teacher': 'training the teacher',
  'measure-teacher': 'measuring the teacher',
  'import-teacher': 'measuring the teacher',
  'score-hybrid': 'scoring the hybrid',
  'measure-scores': 'measuring the model again',
  'cross-decode': 'joining every transmitter with every receiver',
  analyze: 'measuring both models',
};
const REPORT_MS = 1_000;

export class PreparationRun {
  private lastReportAt = Number.NEGATIVE_INFINITY;
  private trainer?: RunningTrainer;
  /** Somebody has cancelled it, or another attempt has made it. */
  private isOver = false;

  constructor(
    private readonly tools: JobTools,
    private readonly job: Extract<FleetJob, { kind: 'preparation' }>,
    private readonly context: JobContext,
  ) {}

  async run(): Promise<void> {
    const { store, settings, log } = this.tools;
    const { preparationId } = this.job;
    if (await store.head(keys.preparationResult(preparationId))) return;
    const { request } = await getJson<PreparationRecord>(store, keys.preparation(preparationId));
    log.log(`preparation ${preparationId}: ${request.kind} '${request.name}', attempt ${this.context.attempt}`);
    const watch = new RecordWatch(this.tools, () => this.lookAtRecord());
    try {
      const outcome = await inWorkFolder(settings.config.cacheFolder, (workFolder) => this.make(request, workFolder));
      await this.finish({ status: 'completed', ...outcome });
    } catch (error) {
      if (this.isOver)
        return log.log(`preparation ${preparationId} has ended elsewhere or was cancelled; this attempt stops`);
      const isFinal = error instanceof Impossible || (this.context.isLastAttempt && isFault(error));
      if (!isFinal || this.context.signal.aborted) throw error;
      await this.finish({ status: 'failed', failure: { reason: (error as Error).message } });
    } finally {
      watch.stop();
    }
  }

  /** A result that stands already ends this attempt: it could add nothing. */
  private async lookAtRecord(): Promise<void> {
    if (!(await this.tools.store.head(keys.preparationResult(this.job.preparationId)))) return;
    this.isOver = true;
    this.trainer?.stop(this.tools.settings.times.stopGraceMs);
  }

  private async finish(result: Ending): Promise<void> {
    const { preparationId } = this.job;
    const full: PreparationResult = { preparationId, ...result, finishedAt: new Date().toISOString() };
    await patiently(this.tools, this.context, () =>
      putJsonIfAbsent(this.tools.store, keys.preparationResult(preparationId), full),
    );
    await this.tools.reports.preparationEnded(preparationId, result.status);
  }

  private async make(request: PreparationRequest, workFolder: string): Promise<Outcome> {
    if (request.kind === 'corpus') {
      const corpus = await this.makeCorpus(await this.corpusJob(request, workFolder), workFolder);
      return { corpusId: corpus.corpusId };
    }
    if ('builtin' in request) return this.makeBuiltinTeacher(request, workFolder);
    const corpus = await this.corpusRecord(request.corpusId);
    const corpusFolder = await this.tools.cache.corpusFolder(corpus);
    if (request.kind === 'hybrid') return this.makeHybrid(request, corpus, workFolder);
    if (request.kind === 'verification') return this.verify(request, corpus, workFolder);
    if (request.kind === 'cross-decoding') return this.crossDecode(request, corpus, workFolder);
    if (request.kind === 'analysis') return this.analyze(request, corpus, workFolder);
    const { name } = request;
    if ('training' in request) {
      const { training } = request;
      return this.trainTeacher({ kind: 'train-teacher', name, training, corpus, corpusFolder }, workFolder);
    }
    const { architecture, model } = request;
    const modelFile = join(workFolder, 'uploaded-model');
    await this.fetchUpload(model, modelFile);
    const origin = { kind: 'imported' as const, fileName: model.name, sha256: model.sha256 };
    return this.makeTeacher(
      { kind: 'import-teacher', name, origin, architecture, modelFile, corpus, corpusFolder },
      workFolder,
    );
  }

  private async corpusRecord(corpusId: string): Promise<CorpusRecord> {
    const corpus = await findJson<CorpusRecord>(this.tools.store, keys.corpus(corpusId));
    if (!corpus) throw new Impossible(`There is no corpus ${corpusId}.`);
    return corpus;
  }

  private async corpusJob(
    request: Extract<PreparationRequest, { kind: 'corpus' }>,
    workFolder: string,
  ): Promise<CorpusJob> {
    const textFile = join(workFolder, 'text.txt');
    if ('builtin' in request) return this.builtinCorpusJob(request.builtin, request.name, textFile);
    if ('tokens' in request) return this.tokensJob(request, workFolder);
    const { name, options, text } = request;
    await this.fetchUpload(text, textFile);
    const source = { kind: 'text' as const, sha256: text.sha256, fileName: text.name };
    return { kind: 'prepare-corpus', name, source, options, textFile };
  }

  private async tokensJob(
    { name, tokens }: Extract<PreparationRequest, { tokens: object }>,
    workFolder: string,
  ): Promise<CorpusJob> {
    const fetched = async (file: StoredFile, path: string) => {
      await this.fetchUpload(file, path);
      return { path, fileName: file.name };
    };
    const files = {
      train: await fetched(tokens.train, join(workFolder, 'train_data.pkl')),
      test: await fetched(tokens.test, join(workFolder, 'test_data.pkl')),
      vocabulary: await fetched(tokens.vocabulary, join(workFolder, 'given-vocab.json')),
    };
    const given = [tokens.train, tokens.test, tokens.vocabulary];
    const named = given.map(({ name: fileName, sha256 }) => ({ fileName, sha256 }));
    return { kind: 'import-corpus', name, source: { kind: 'tokens', files: named }, files };
  }

  private async fetchUpload(file: StoredFile, path: string): Promise<void> {
    try {
      const { sha256 } = await this.tools.store.getToFile(file.key, path);
      if (sha256 === file.sha256) return;
      throw new Impossible(`The file '${file.name}' is not the recorded one: its SHA-256 is ${sha256}.`);
    } catch (error) {
      if (error instanceof ObjectNotFound) throw new Impossible(`The file '${file.name}' is no longer stored.`);
      if (error instanceof ObjectCorrupt)
        throw new Impossible(`The file '${file.name}' cannot be used: ${error.message}.`);
      throw error;
    }
  }

  private async builtinCorpusJob(builtin: string, name: string, textFile: string): Promise<CorpusJob> {
    const corpus = Object.hasOwn(BUILTIN_CORPORA, builtin) ? BUILTIN_CORPORA[builtin] : undefined;
    if (!corpus) throw new Impossible(`There is no built-in corpus '${builtin}'.`);
    await this.report(0, 'fetching the text');
    await writePackageText(corpus.text, this.tools.settings.config.cacheFolder, textFile);
    const source = { kind: 'builtin' as const, builtin, version: corpus.text.version };
    return { kind: 'prepare-corpus', name, source, options: corpus.options, textFile };
  }

  /** The shipped model, on the built-in corpus it was trained on (made on the way when it is not stored yet). */
  private async makeBuiltinTeacher(request: { name: string; builtin: string }, workFolder: string): Promise<Outcome> {
    const { builtin, name } = request;
    const teacher = Object.hasOwn(BUILTIN_TEACHERS, builtin) ? BUILTIN_TEACHERS[builtin] : undefined;
    if (!teacher) throw new Impossible(`There is no built-in teacher '${builtin}'.`);
    const teacherFile = join(packageRoot(), 'assets', teacher.file);
    if (!existsSync(teacherFile)) {
      throw new Impossible(
        `The built-in teacher '${builtin}' is not in this checkout: assets/${teacher.file} is missing.`,
      );
    }
    const corpus = await this.builtinCorpus(teacher.corpus, workFolder);
    const corpusFolder = await this.tools.cache.corpusFolder(corpus);
    return this.makeTeacher({ kind: 'measure-teacher', name, builtin, teacherFile, corpus, corpusFolder }, workFolder);
  }

  private async builtinCorpus(builtin: string, workFolder: string): Promise<CorpusRecord> {
    const { store } = this.tools;
    const pointer = await findJson<{ id: string }>(store, keys.corpusName(builtin));
    const stored = pointer && (await findJson<CorpusRecord>(store, keys.corpus(pointer.id)));
    if (stored?.source.kind === 'builtin' && stored.source.builtin === builtin) return stored;
    const textFile = join(workFolder, 'text.txt');
    return this.makeCorpus(await this.builtinCorpusJob(builtin, builtin, textFile), workFolder);
  }

  private async makeCorpus(job: CorpusJob, workFolder: string): Promise<CorpusRecord> {
    const { corpus, files } = await this.train<CorpusMessage>(job, workFolder, 'corpus-completed');
    const { store } = this.tools;
    const hashed = await hashFiles(join(workFolder, 'corpus'), files);
    const corpusId = corpusIdOf({ options: corpus.options, files: hashed });
    return patiently(this.tools, this.context, async () => {
      const stored = await uploadFiles(store, hashed, (file) => keys.corpusFile(corpusId, file));
      const record: CorpusRecord = { ...corpus, corpusId, files: stored, createdAt: new Date().toISOString() };
      await putJsonIfAbsent(store, keys.corpus(corpusId), record);
      await putJson(store, keys.corpusName(job.name), { id: corpusId });
      return await getJson<CorpusRecord>(store, keys.corpus(corpusId));
    });
  }

  /** From the newest checkpoint, when a worker was lost over it before. */
  private async trainTeacher(
    asked: Extract<TrainerJob, { kind: 'train-teacher' }>,
    workFolder: string,
  ): Promise<Outcome> {
    const { preparationId } = this.job;
    const checkpoints = new TeacherCheckpoints(this.tools, this.context, { preparationId, workFolder });
    const remove = () => inTime(this.tools, this.context, checkpoints.remove());
    try {
      const outcome = await this.makeTeacher(await checkpoints.begin(asked), workFolder, checkpoints);
      await remove();
      return outcome;
    } catch (error) {
      if (error instanceof Impossible) await remove();
      throw error;
    }
  }

  private async makeTeacher(
    job: Extract<TrainerJob, { kind: 'train-teacher' | 'measure-teacher' | 'import-teacher' }>,
    workFolder: string,
    checkpoints?: TeacherCheckpoints,
  ): Promise<Outcome> {
    const { teacher, files } = await this.train<TeacherMessage>(job, workFolder, 'teacher-completed', checkpoints);
    const { store } = this.tools;
    const hashed = await hashFiles(join(workFolder, 'teacher'), files);
    const teacherId = teacherIdOf({ ...teacher, files: hashed });
    return patiently(this.tools, this.context, async () => {
      const stored = await uploadFiles(store, hashed, (file) => keys.teacherFile(teacherId, file));
      const record: TeacherRecord = { ...teacher, teacherId, files: stored, createdAt: new Date().toISOString() };
      await putJsonIfAbsent(store, keys.teacher(teacherId), record);
      await putJson(store, keys.teacherName(job.name), { id: teacherId });
      return { corpusId: teacher.corpusId, teacherId };
    });
  }

  private async makeHybrid(
    request: Extract<PreparationRequest, { kind: 'hybrid' }>,
    corpus: CorpusRecord,
    workFolder: string,
  ): Promise<Outcome> {
    const { store, cache } = this.tools;
    const job: TrainerJob = {
      kind: 'score-hybrid',
      transmitter: await this.fetchModel(request.transmitter, join(workFolder, 'transmitter.safetensors')),
      receiver: await this.fetchModel(request.receiver, join(workFolder, 'receiver.safetensors')),
      corpus,
      corpusFolder: await cache.corpusFolder(corpus),
    };
    const { hybrid, files } = await this.train<HybridMessage>(job, workFolder, 'hybrid-completed');
    const hashed = await hashFiles(join(workFolder, 'hybrid'), files);
    const hybridId = this.job.preparationId;
    const from = ({ label, file }: HybridSide) => ({ label, sha256: file.sha256 });
    return patiently(this.tools, this.context, async () => {
      const record: HybridRecord = {
        ...hybrid,
        hybridId,
        name: request.name,
        transmitter: from(request.transmitter),
        receiver: from(request.receiver),
        corpusId: corpus.corpusId,
        warnings: [...request.warnings, ...hybrid.warnings],
        files: await uploadFiles(store, hashed, (file) => keys.hybridFile(hybridId, file)),
        createdAt: new Date().toISOString(),
      };
      await putJsonIfAbsent(store, keys.hybrid(hybridId), record);
      return { hybridId };
    });
  }

  private async fetchModel({ file, architecture }: HybridSide, path: string) {
    await this.fetchUpload(file, path);
    return { path, architecture };
  }

  private async analyze(request: AnalysisPreparation, corpus: CorpusRecord, workFolder: string): Promise<Outcome> {
    const { store, cache, settings } = this.tools;
    const encoderFolder = request.conditions.sentenceSimilarity ? join(workFolder, 'encoder') : undefined;
    if (encoderFolder) await writeSentenceEncoder(settings.config.cacheFolder, encoderFolder);
    const job: TrainerJob = {
      kind: 'analyze',
      request,
      reference: await this.fetchModel(request.reference, join(workFolder, 'reference.safetensors')),
      other: await this.fetchModel(request.other, join(workFolder, 'other.safetensors')),
      corpus,
      corpusFolder: await cache.corpusFolder(corpus),
      ...(encoderFolder ? { encoderFolder } : {}),
    };
    const { contentSha256, files } = await this.train<AnalysisMessage>(job, workFolder, 'analysis-completed');
    const hashed = await hashFiles(join(workFolder, 'analysis'), files);
    const { preparationId } = this.job;
    const fence = newFence(this.context.attempt);
    return patiently(this.tools, this.context, async () => {
      const stored = await uploadFiles(store, hashed, (file) => keys.analysisFile(preparationId, fence, file));
      return { analysis: { contentSha256, files: stored } };
    });
  }

  private async verify(
    { name, model, architecture, recorded }: Extract<PreparationRequest, { kind: 'verification' }>,
    corpus: CorpusRecord,
    workFolder: string,
  ): Promise<Outcome> {
    const path = join(workFolder, 'model.safetensors');
    await this.fetchUpload(model, path);
    const corpusFolder = await this.tools.cache.corpusFolder(corpus);
    const job: TrainerJob = {
      kind: 'measure-scores',
      model: { path, architecture },
      recorded,
      corpus,
      corpusFolder,
    };
    const measured = await this.train<ScoresMessage>(job, workFolder, 'scores-measured');
    return { verification: { model: name, sha256: model.sha256, ...compareScores(recorded, measured) } };
  }

  private async crossDecode(
    { models, channel, channelProfile, snrDb, sentences }: Extract<PreparationRequest, { kind: 'cross-decoding' }>,
    corpus: CorpusRecord,
    workFolder: string,
  ): Promise<Outcome> {
    const given: { path: string; architecture: Architecture }[] = [];
    for (const [place, model] of models.entries())
      given.push(await this.fetchModel(model, join(workFolder, `model-${place}.safetensors`)));
    const corpusFolder = await this.tools.cache.corpusFolder(corpus);
    const asked = { channel, channelProfile, snrDb, sentences };
    const job: TrainerJob = { kind: 'cross-decode', models: given, ...asked, corpus, corpusFolder };
    const { bleu1, numerics } = await this.train<CrossDecodedMessage>(job, workFolder, 'cross-decoded');
    const named = models.map(({ label, file }) => ({ label, sha256: file.sha256 }));
    return { crossDecoding: { ...asked, models: named, bleu1, numerics } };
  }

  /** Runs one trainer and gives its completion message. Throws Impossible with the trainer's sentence. */
  private async train<
    Message extends
      | CorpusMessage
      | TeacherMessage
      | HybridMessage
      | ScoresMessage
      | CrossDecodedMessage
      | AnalysisMessage,
  >(job: TrainerJob, workFolder: string, type: Message['type'], checkpoints?: TeacherCheckpoints): Promise<Message> {
    let completed: Message | undefined;
    const onMessage = (message: TrainerMessage) => {
      if (message.type === type) completed = message as Message;
      if (message.type === 'checkpoint') checkpoints?.note();
      if (message.type === 'reading') void this.report(message.fraction, WORDS[job.kind]);
      if (message.type === 'progress') void this.report(message.fraction, WORDS[job.kind]);
    };
    await this.report(0, WORDS[job.kind]);
    this.trainer = await forkTrainer(this.tools, this.context, { workFolder, job, onMessage });
    if (this.isOver) this.trainer.stop(this.tools.settings.times.stopGraceMs);
    const end = await this.trainer.ended;
    if (completed && end.kind === 'done') return completed;
    await checkpoints?.end(end);
    stopIfAsked(this.context);
    giveBackIfStopped(end);
    if (end.kind === 'impossible') throw new Impossible(end.reason);
    throw new Error(end.kind === 'died' ? end.reason : 'The trainer ended without having made anything.');
  }

  private async report(fraction: number, message: string): Promise<void> {
    const now = performance.now();
    if (fraction > 0 && now - this.lastReportAt < REPORT_MS) return;
    this.lastReportAt = now;
    const { preparationId } = this.job;
    await this.tools.reports.preparation({ preparationId, fraction, message, updatedAt: new Date().toISOString() });
  }
}

/** Whether a failure tells of the preparation rather than of this worker going away or the store being gone. */
function isFault(error: unknown): boolean {
  return !(error instanceof GivenBack) && !(error instanceof StoreUnavailable);
}
