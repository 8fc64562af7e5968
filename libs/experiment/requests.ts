// What users may ask for: the classes of request bodies and the parsers that turn unknown JSON into them. A parser
// reports every fault at once and fills in the defaults; it knows no stored teacher or corpus (plan.ts does).

import { isTeacherDial } from './dials.js';
import type { Fault } from './errors.js';
import {
  BUILTIN_CORPUS_FIELDS,
  type BuiltinCorpus,
  type BuiltinTeacher,
  CORPUS_UPLOAD_FIELDS,
  DEFAULT_POOL,
  EVALUATION_FIELDS,
  type Field,
  HYPERPARAMETER_FIELDS as H,
  HYPERPARAMETER_NAMES,
  type HyperparameterName,
  PLACEMENT_FIELDS,
  TEACHER_TRAINING_FIELDS as T,
  TEACHER_FIELDS,
} from './fields.js';
import type { CorpusOptions, EvaluationSettings, Hyperparameters, TeacherTraining } from './records.js';
import { checkSize, drawnPart, isObjectList, nameOf, readVary, searchFaults, varyingNames } from './search.js';
import { readSpace, type Space } from './space.js';
import { DISTILLATION_FIELDS, EARLY_STOPPING_FIELDS, SWEEP_FIELDS } from './sweep-fields.js';
import type {
  Channel,
  ChannelProfile,
  DistillLoss,
  DistillPart,
  FeatureKind,
  FeatureTaps,
  Initialization,
  Search,
  StoppingMeasure,
  WeightScheduleName,
} from './terms.js';
import { Described, isPlainObject, readFields, refuse, similarityFaults } from './validation.js';

export class HyperparametersRequest {
  @Described(H.temperature) temperature?: number;
  @Described(H.distillWeight) distillWeight?: number;
  @Described(H.distillLoss) distillLoss?: DistillLoss;
  @Described(H.labelSmoothing) labelSmoothing?: number;
  @Described(H.weightSchedule) weightSchedule?: WeightScheduleName;
  @Described(H.finalWeight) finalWeight?: number;
  @Described(H.hardWeight) hardWeight?: number;
  @Described(H.featureWeight) featureWeight?: number;
  @Described(H.featureTaps) featureTaps?: FeatureTaps;
  @Described(H.featureKind) featureKind?: FeatureKind;
  @Described(H.distillPart) distillPart?: DistillPart;
  @Described(H.studentLayers) studentLayers?: number;
  @Described(H.studentDModel) studentDModel?: number;
  @Described(H.studentDff) studentDff?: number;
  @Described(H.batchSize) batchSize?: number;
  @Described(H.epochs) epochs?: number;
  @Described(H.sentencesPerEpoch) sentencesPerEpoch?: number;
  @Described(H.trainShare) trainShare?: number;
  @Described(H.trainTopWords) trainTopWords?: number;
  @Described(H.trainWords) trainWords?: [number, number];
  @Described(H.learningRate) learningRate?: number;
  @Described(H.weightDecay) weightDecay?: number;
  @Described(H.dropout) dropout?: number;
  @Described(H.channel) channel?: Channel;
  @Described(H.channelProfile) channelProfile?: ChannelProfile;
  @Described(H.trainSnrDb) trainSnrDb?: [number, number];
  @Described(H.init) init?: Initialization;
  @Described(H.freezeKeptSide) freezeKeptSide?: boolean;
  @Described(H.createHybrid) createHybrid?: boolean;
  @Described(H.seed) seed?: number;
}

class EvaluationRequest {
  @Described(EVALUATION_FIELDS.snrDb) snrDb?: number[];
  @Described(EVALUATION_FIELDS.sentences) sentences?: number;
  @Described(EVALUATION_FIELDS.sentenceSimilarity) sentenceSimilarity?: boolean;
}

class EarlyStoppingRequest {
  @Described(EARLY_STOPPING_FIELDS.measure) measure?: StoppingMeasure;
  @Described(EARLY_STOPPING_FIELDS.reduction) reduction?: number;
  @Described(EARLY_STOPPING_FIELDS.graceEpochs) graceEpochs?: number;
}

class SweepBody {
  @Described(SWEEP_FIELDS.name) name?: string;
  @Described(SWEEP_FIELDS.teacher) teacher!: string;
  @Described(SWEEP_FIELDS.corpus) corpus?: string;
  @Described(SWEEP_FIELDS.base) base?: Record<string, unknown>;
  @Described(SWEEP_FIELDS.vary) vary?: Record<string, unknown>;
  @Described(SWEEP_FIELDS.trials) trials?: unknown[] | number;
  @Described(SWEEP_FIELDS.search) search?: Search;
  @Described(SWEEP_FIELDS.space) space?: Record<string, unknown>;
  @Described(SWEEP_FIELDS.searchSeed) searchSeed?: number;
  @Described(SWEEP_FIELDS.seeds) seeds?: number | number[];
  @Described(SWEEP_FIELDS.baseline) baseline?: boolean;
  @Described(SWEEP_FIELDS.reference) reference?: boolean;
  @Described(SWEEP_FIELDS.budget) budget?: number;
  @Described(SWEEP_FIELDS.earlyStopping) earlyStopping?: Record<string, unknown>;
  @Described(SWEEP_FIELDS.crossDecoding) crossDecoding?: boolean;
  @Described(SWEEP_FIELDS.evaluation) evaluation?: Record<string, unknown>;
  @Described(SWEEP_FIELDS.trialsPerBundle) trialsPerBundle?: number;
  @Described(PLACEMENT_FIELDS.priority) priority?: number;
  @Described(PLACEMENT_FIELDS.pool) pool?: string;
  @Described(PLACEMENT_FIELDS.requires) requires?: string[];
}

class DistillationBody extends HyperparametersRequest {
  @Described(DISTILLATION_FIELDS.name) name?: string;
  @Described(DISTILLATION_FIELDS.teacher) teacher!: string;
  @Described(DISTILLATION_FIELDS.corpus) corpus?: string;
  @Described(DISTILLATION_FIELDS.evaluation) evaluation?: Record<string, unknown>;
  @Described(PLACEMENT_FIELDS.priority) priority?: number;
  @Described(PLACEMENT_FIELDS.pool) pool?: string;
  @Described(PLACEMENT_FIELDS.requires) requires?: string[];
}

class TeacherTrainingRequest {
  @Described(T.layers) layers?: number;
  @Described(T.dModel) dModel?: number;
  @Described(T.dff) dff?: number;
  @Described(T.heads) heads?: number;
  @Described(T.batchSize) batchSize?: number;
  @Described(T.epochs) epochs?: number;
  @Described(T.learningRate) learningRate?: number;
  @Described(T.weightDecay) weightDecay?: number;
  @Described(T.dropout) dropout?: number;
  @Described(T.channel) channel?: Channel;
  @Described(T.channelProfile) channelProfile?: ChannelProfile;
  @Described(T.trainSnrDb) trainSnrDb?: [number, number];
  @Described(T.seed) seed?: number;
}

class TeacherBody extends TeacherTrainingRequest {
  @Described(TEACHER_FIELDS.builtin) builtin?: BuiltinTeacher;
  @Described(TEACHER_FIELDS.name) name?: string;
  @Described(TEACHER_FIELDS.corpus) corpus?: string;
  @Described(TEACHER_FIELDS.pool) pool?: string;
  @Described(TEACHER_FIELDS.requires) requires?: string[];
}

class BuiltinCorpusBody {
  @Described(BUILTIN_CORPUS_FIELDS.builtin) builtin!: BuiltinCorpus;
}

class CorpusUploadQuery {
  @Described(CORPUS_UPLOAD_FIELDS.name) name!: string;
  @Described(CORPUS_UPLOAD_FIELDS.minWords) minWords?: number;
  @Described(CORPUS_UPLOAD_FIELDS.maxWords) maxWords?: number;
  @Described(CORPUS_UPLOAD_FIELDS.minCount) minCount?: number;
  @Described(CORPUS_UPLOAD_FIELDS.topWords) topWords?: number;
  @Described(CORPUS_UPLOAD_FIELDS.split) split?: CorpusOptions['split'];
}

class CorpusTokensFields {
  @Described(CORPUS_UPLOAD_FIELDS.name) name!: string;
}

type SweptName = Exclude<HyperparameterName, 'seed'>;
export type HyperparameterLists = { [name in SweptName]?: NonNullable<HyperparametersRequest[name]>[] };

/** When students stop early, complete. */
export type EarlyStopping = Required<EarlyStoppingRequest>;

/** Where and when it is to run; what is absent is as everyone's. */
export interface PlacementRequest {
  priority?: number;
  pool?: string;
  requires?: string[];
}

/**
 * A sweep as parsed: checked, defaults filled in; `vary`, a list of `trials` and `space` exclude each other, all absent means one
 * setting. It parses to itself, so what is stored can be asked for again.
 */
export interface SweepRequest extends PlacementRequest {
  name: string;
  teacher: string;
  corpus?: string;
  base: HyperparametersRequest;
  vary?: HyperparameterLists;
  /** With a random search how many settings are drawn. */
  trials?: HyperparametersRequest[] | number;
  /** Present where settings are drawn, with `space` and `searchSeed`. */
  search?: 'random';
  space?: Space;
  searchSeed?: number;
  seeds: number[];
  baseline: boolean;
  reference: boolean;
  /** Device-seconds; absent: any. */
  budget?: number;
  /** Absent: all are trained to the end. */
  earlyStopping?: EarlyStopping;
  /** Absent: true. */
  crossDecoding?: false;
  evaluation: EvaluationSettings;
  trialsPerBundle: number;
}

/** One distillation as parsed. */
export interface DistillationRequest extends PlacementRequest {
  name: string;
  teacher: string;
  corpus?: string;
  hyperparameters: HyperparametersRequest;
  evaluation: EvaluationSettings;
}

export type TeacherRequest = Omit<PlacementRequest, 'priority'> &
  (
    | { kind: 'builtin'; builtin: BuiltinTeacher }
    | { kind: 'training'; name: string; corpus: string; training: TeacherTraining }
  );

export interface CorpusRequest {
  builtin: BuiltinCorpus;
}

export interface CorpusUpload {
  name: string;
  options: CorpusOptions;
}

/** Parses the body of POST /v1/sweeps. Throws InvalidRequest with all faults. */
export function parseSweepRequest(body: unknown): SweepRequest {
  const faults: Fault[] = [];
  const sent = readFields(SweepBody, SWEEP_FIELDS, body, '', faults);
  const base = readHyperparameters(sent.base, 'base', faults);
  const vary = readVary(sent.vary, faults);
  const space = readSpace(sent.space, faults);
  const trials = isObjectList(sent.trials)
    ? sent.trials.map((trial, index) => readHyperparameters(trial, `trials[${index}]`, faults))
    : undefined;
  faults.push(...searchFaults(sent));
  for (const [part, names] of [['vary', Object.keys(vary)] as const, ['space', Object.keys(space)] as const]) {
    for (const name of names) {
      if (isPlainObject(sent.base) && Object.hasOwn(sent.base, name)) {
        faults.push({ path: `base.${name}`, message: `is also in '${part}'; leave it out here` });
      }
    }
  }
  const seeds = readSeeds(sent, base, vary, faults);
  const evaluation = readEvaluation(sent.evaluation, faults);
  const earlyStopping = isPlainObject(sent.earlyStopping)
    ? readFields(EarlyStoppingRequest, EARLY_STOPPING_FIELDS, sent.earlyStopping, 'earlyStopping', faults)
    : undefined;
  checkSize(vary, trials ?? sent.trials, seeds, faults);
  refuse(faults);
  const { seed: _seed, ...lists } = vary;
  const drawn = typeof sent.trials === 'number' ? drawnPart(sent.trials, space, sent.searchSeed) : undefined;
  const varying = new Set([...varyingNames(lists, trials), ...(drawn ? Object.keys(space) : [])]);
  return {
    name: sent.name ?? (drawn ? `${drawn.trials} draws of ${Object.keys(space).join(', ')}` : nameOf(lists, trials)),
    teacher: sent.teacher,
    ...(sent.corpus === undefined ? {} : { corpus: sent.corpus }),
    base,
    ...(Object.keys(lists).length > 0 ? { vary: lists as HyperparameterLists } : {}),
    ...(trials ? { trials } : {}),
    ...drawn,
    seeds,
    baseline: sent.baseline ?? [...varying].some(isTeacherDial),
    reference: sent.reference ?? varying.has('temperature'),
    ...(sent.budget === undefined ? {} : { budget: sent.budget }),
    ...(earlyStopping ? { earlyStopping: completeEarlyStopping(earlyStopping) } : {}),
    ...(sent.crossDecoding === false ? { crossDecoding: false as const } : {}),
    evaluation,
    trialsPerBundle: sent.trialsPerBundle ?? SWEEP_FIELDS.trialsPerBundle.default,
    ...placementOf(sent),
  };
}

/** Parses the body of POST /v1/distillations. Throws InvalidRequest with all faults. */
export function parseDistillationRequest(body: unknown): DistillationRequest {
  const faults: Fault[] = [];
  const sent = readFields(DistillationBody, { ...DISTILLATION_FIELDS, ...H }, body, '', faults);
  const evaluation = readEvaluation(sent.evaluation, faults);
  refuse(faults);
  const hyperparameters = new HyperparametersRequest();
  for (const name of HYPERPARAMETER_NAMES) {
    if (sent[name] !== undefined) Object.assign(hyperparameters, { [name]: sent[name] });
  }
  return {
    name: sent.name ?? `distillation at temperature ${sent.temperature ?? H.temperature.default}`,
    teacher: sent.teacher,
    ...(sent.corpus === undefined ? {} : { corpus: sent.corpus }),
    hyperparameters,
    evaluation,
    ...placementOf(sent),
  };
}

/** A distillation is a sweep of one trial: no added baseline, no added reference. */
export function sweepOfDistillation(request: DistillationRequest): SweepRequest {
  const { hyperparameters, ...rest } = request;
  const { seed, ...base } = hyperparameters;
  return { ...rest, base, seeds: [seed ?? H.seed.default], baseline: false, reference: false, trialsPerBundle: 1 };
}

/** Parses the body of POST /v1/teachers. Throws InvalidRequest with all faults. */
export function parseTeacherRequest(body: unknown): TeacherRequest {
  const faults: Fault[] = [];
  const sent = readFields(TeacherBody, { ...TEACHER_FIELDS, ...T }, body, '', faults);
  if (isPlainObject(body) && body.builtin !== undefined) {
    const others = Object.keys(body).filter(
      (name) => name !== 'builtin' && (Object.hasOwn(T, name) || name === 'name' || name === 'corpus'),
    );
    if (others.length > 0) faults.push({ path: 'builtin', message: `stands alone; leave out ${others.join(', ')}` });
    refuse(faults);
    return { kind: 'builtin', builtin: sent.builtin as BuiltinTeacher, ...placementOf(sent) };
  }
  for (const name of ['name', 'corpus'] as const) {
    if (isPlainObject(body) && sent[name] === undefined) {
      faults.push({
        path: name,
        message: `is required (or 'builtin' alone: ${TEACHER_FIELDS.builtin.choices.join(', ')})`,
      });
    }
  }
  const { name, corpus, builtin: _builtin, pool, requires, ...given } = sent;
  const training = { ...defaultsOf(T), ...withoutUndefined(given) } as unknown as TeacherTraining;
  if (faults.length === 0) faults.push(...widthFaults(training.dModel, training.heads, 'dModel'));
  refuse(faults);
  return {
    kind: 'training',
    name: name as string,
    corpus: corpus as string,
    training,
    ...placementOf({ pool, requires }),
  };
}

/** Parses the JSON body of POST /v1/corpora (built-in corpora). Throws InvalidRequest with all faults. */
export function parseCorpusRequest(body: unknown): CorpusRequest {
  const faults: Fault[] = [];
  const { builtin } = readFields(BuiltinCorpusBody, BUILTIN_CORPUS_FIELDS, body, '', faults);
  refuse(faults);
  return { builtin };
}

/** Parses the query of a text upload, where numbers arrive as text. Throws InvalidRequest with all faults. */
export function parseCorpusUpload(query: unknown): CorpusUpload {
  const faults: Fault[] = [];
  const { name, ...given } = readFields(CorpusUploadQuery, CORPUS_UPLOAD_FIELDS, numbersIn(query), '', faults);
  const { minWords, maxWords, minCount, split } = CORPUS_UPLOAD_FIELDS;
  const options: CorpusOptions = {
    minWords: given.minWords ?? minWords.default,
    maxWords: given.maxWords ?? maxWords.default,
    minCount: given.minCount ?? minCount.default,
    ...(given.topWords === undefined ? {} : { topWords: given.topWords }),
    trainShare: 0.9,
    split: given.split ?? split.default,
  };
  if (options.minWords > options.maxWords) {
    faults.push({
      path: 'minWords',
      message: `must not be above maxWords (${options.maxWords}), got ${options.minWords}`,
    });
  }
  refuse(faults);
  return { name, options };
}

/** Parses the text fields of an upload of token ids. Throws InvalidRequest with all faults. */
export function parseCorpusTokens(fields: unknown): { name: string } {
  const faults: Fault[] = [];
  const { name } = readFields(CorpusTokensFields, { name: CORPUS_UPLOAD_FIELDS.name }, fields, '', faults);
  refuse(faults);
  return { name };
}

function completeEarlyStopping(given: EarlyStoppingRequest): EarlyStopping {
  return { ...defaultsOf(EARLY_STOPPING_FIELDS), ...withoutUndefined(given) } as unknown as EarlyStopping;
}

/** Fills in every default; what stays absent means "the teacher's" or "all sentences". */
export function completeHyperparameters(request: HyperparametersRequest): Hyperparameters {
  const given = { ...defaultsOf(H), ...withoutUndefined(request) } as unknown as Hyperparameters;
  return { ...given, createHybrid: request.createHybrid ?? given.distillPart !== 'full' };
}

/** Faults of a width that attention heads or sine positions cannot use. */
export function widthFaults(width: number, heads: number, path: string): Fault[] {
  const faults: Fault[] = [];
  if (width % heads !== 0) {
    const next = Math.ceil(width / heads) * heads;
    faults.push({
      path,
      message: `width ${width} is not a multiple of the ${heads} attention heads; ${next} would be`,
    });
  }
  if (width % 2 !== 0) {
    faults.push({ path, message: `width ${width} must be even (sine and cosine positions alternate)` });
  }
  return faults;
}

/** Without what is as everyone's, and labels in one order, so that equal requests are equal. */
function placementOf({ priority, pool, requires = [] }: PlacementRequest): PlacementRequest {
  return {
    ...(priority === undefined || priority === PLACEMENT_FIELDS.priority.default ? {} : { priority }),
    ...(pool === undefined || pool === DEFAULT_POOL ? {} : { pool }),
    ...(requires.length === 0 ? {} : { requires: [...requires].sort() }),
  };
}

function readHyperparameters(body: unknown, path: string, faults: Fault[]): HyperparametersRequest {
  if (!isPlainObject(body) && path === 'base') return new HyperparametersRequest();
  return readFields(HyperparametersRequest, H, body, path, faults);
}

/** Seeds come from 'seeds', or from base.seed, or from vary.seed; more than one source is a contradiction. */
function readSeeds(
  sent: SweepBody,
  base: HyperparametersRequest,
  vary: Partial<Record<HyperparameterName, unknown[]>>,
  faults: Fault[],
): number[] {
  const sources = [
    sent.seeds === undefined ? undefined : 'seeds',
    base.seed === undefined ? undefined : 'base.seed',
    vary.seed === undefined ? undefined : 'vary.seed',
  ].filter((source) => source !== undefined);
  if (sources.length > 1) {
    faults.push({ path: sources[1] ?? 'seeds', message: `seeds are given twice (${sources.join(', ')}); keep one` });
  }
  const fromBase = base.seed;
  delete base.seed;
  if (Array.isArray(sent.seeds)) return sent.seeds;
  if (vary.seed) return vary.seed as number[];
  if (fromBase !== undefined) return [fromBase];
  const count = typeof sent.seeds === 'number' ? sent.seeds : SWEEP_FIELDS.seeds.default;
  return Number.isInteger(count) && count <= SWEEP_FIELDS.seeds.maxItems && count > 0
    ? Array.from({ length: count }, (_, index) => index + 1)
    : [1];
}

function readEvaluation(body: unknown, faults: Fault[]): EvaluationSettings {
  const { snrDb, sentences } = EVALUATION_FIELDS;
  if (!isPlainObject(body)) return { snrDb: [...snrDb.default], sentences: sentences.default };
  const sent = readFields(EvaluationRequest, EVALUATION_FIELDS, body, 'evaluation', faults);
  const curve = Array.isArray(sent.snrDb) ? [...sent.snrDb].sort((a, b) => a - b) : [...snrDb.default];
  const settings = { snrDb: curve, sentences: sent.sentences ?? sentences.default };
  if (!sent.sentenceSimilarity) return settings;
  faults.push(...similarityFaults(settings.sentences, 'evaluation.sentences'));
  return { ...settings, sentenceSimilarity: true };
}

function defaultsOf(fields: Record<string, Field>): Record<string, unknown> {
  const pairs = Object.entries(fields).map(([name, field]) => [name, structuredClone(field.default)] as const);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}

function withoutUndefined(values: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** Query values as numbers where they read as numbers; everything else stays for validation to name. */
function numbersIn(query: unknown): unknown {
  if (!isPlainObject(query)) return query;
  const pairs = Object.entries(query).map(([name, value]) =>
    name !== 'name' && typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value)
      ? [name, Number(value)]
      : [name, value],
  );
  return Object.fromEntries(pairs);
}
