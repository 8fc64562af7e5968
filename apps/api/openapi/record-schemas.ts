// OpenAPI schemas of what is stored and shown as it is: corpora, teachers, measurements (libs/experiment/records.ts).
import { CHANNEL_PROFILES, CHANNELS, SPLITS, STOPPING_MEASURES, TEACHER_TRAINING_FIELDS } from '#experiment';
import { HYPERPARAMETERS_SCHEMA, type JsonSchema } from './request-schemas.js';

export const text: JsonSchema = { type: 'string' };
export const id: JsonSchema = { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$' };
export const time: JsonSchema = { type: 'string', format: 'date-time' };
export const count: JsonSchema = { type: 'integer', minimum: 0 };
export const number: JsonSchema = { type: 'number' };
export const flag: JsonSchema = { type: 'boolean' };
export const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
export const oneOf = (...names: string[]): JsonSchema => ({ oneOf: names.map(ref) });
export const choice = (...values: readonly string[]): JsonSchema => ({ type: 'string', enum: [...values] });

export function ref(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

/** An object with exactly these properties; a trailing '?' marks what may be absent. */
export function exactly(properties: Record<string, JsonSchema>): JsonSchema {
  const names = Object.keys(properties);
  const required = names.filter((name) => !name.endsWith('?'));
  return {
    type: 'object',
    additionalProperties: false,
    ...(required.length > 0 ? { required } : {}),
    properties: Object.fromEntries(names.map((name) => [name.replace(/\?$/, ''), properties[name]])),
  };
}

const resumes = listOf(exactly({ step: count, numerics: ref('Numerics'), hasOtherNumerics: flag }));
const microBatches = listOf(exactly({ step: count, parts: count, note: text }));

export const storedFile = exactly({ name: text, key: text, size: count, sha256: text, contentType: text });
const numbers = listOf(number);
const someNumbers = listOf({ type: ['number', 'null'] });
/** What follows bleu4 is absent in records of earlier versions. */
const curve = {
  snrDb: numbers,
  bleu1: numbers,
  bleu2: numbers,
  bleu3: numbers,
  bleu4: numbers,
  'cumulativeBleu2?': numbers,
  'cumulativeBleu3?': numbers,
  'cumulativeBleu4?': numbers,
  'corpusBleu?': numbers,
  'exactSentences?': numbers,
  'wordErrorRate?': numbers,
  'sentenceSimilarity?': numbers,
  'sentenceSimilarityFloor?': numbers,
};
const channel = { channel: choice(...CHANNELS), channelProfile: choice(...CHANNEL_PROFILES) };

export const corpusFacts: Record<string, JsonSchema> = {
  corpusId: id,
  name: text,
  source: {
    oneOf: [
      exactly({ kind: choice('builtin'), builtin: text, version: text }),
      exactly({ kind: choice('text'), sha256: text, fileName: text }),
      exactly({ kind: choice('tokens'), files: listOf(exactly({ fileName: text, sha256: text })) }),
    ],
  },
  'options?': exactly({
    minWords: count,
    maxWords: count,
    minCount: count,
    'topWords?': count,
    trainShare: number,
    'split?': choice(...SPLITS),
  }),
  vocabularySize: count,
  maxTokens: count,
  sentences: exactly({ train: count, test: count }),
  tokens: exactly({ train: count, test: count }),
  'statistics?': exactly({
    'text?': exactly({ lines: count, inLength: count, unique: count, kept: count, 'testLeftOut?': count }),
    tokensPerSentence: exactly({ min: count, mean: number, max: count }),
    coverage: number,
    wordsUnseenInTraining: count,
    repeatedInTraining: count,
    testInTraining: count,
  }),
  files: listOf(storedFile),
  createdAt: time,
};

export const teacherFacts: Record<string, JsonSchema> = {
  teacherId: id,
  name: text,
  architecture: ref('Architecture'),
  corpusId: id,
  origin: {
    oneOf: [
      exactly({ kind: choice('builtin'), builtin: text }),
      exactly({ kind: choice('trained'), training: ref('TeacherTraining') }),
      exactly({ kind: choice('imported'), fileName: text, sha256: text }),
    ],
  },
  parameters: ref('ParameterCounts'),
  scores: exactly({ ...curve, ...channel, sentences: count }),
  'warnings?': listOf(ref('Warning')),
  files: listOf(storedFile),
  numerics: ref('Numerics'),
  'resumes?': resumes,
  'microBatches?': microBatches,
  createdAt: time,
};

export const RECORD_SCHEMAS = {
  Hyperparameters: HYPERPARAMETERS_SCHEMA,
  EvaluationSettings: exactly({ snrDb: numbers, sentences: count }),
  StoredFile: storedFile,
  Architecture: exactly({
    vocabularySize: count,
    dModel: count,
    dff: count,
    heads: count,
    encoderLayers: count,
    decoderLayers: count,
  }),
  ModelInspection: exactly({
    format: choice('safetensors', 'pytorch-zip', 'pytorch-legacy'),
    fileName: text,
    size: count,
    sha256: text,
    tensors: count,
    parameters: count,
    wrapper: exactly({ stateDictAt: text, prefix: text }),
    'architecture?': exactly({
      vocabularySize: count,
      dModel: count,
      dff: count,
      'heads?': count,
      encoderLayers: count,
      decoderLayers: count,
    }),
    positions: exactly({ 'transmitter?': count, 'receiver?': count }),
    missing: listOf(text),
    extra: listOf(text),
    mismatched: listOf(exactly({ name: text, found: listOf(count), expected: listOf(count) })),
    notes: listOf(
      exactly({
        code: text,
        message: text,
        values: { type: 'object', additionalProperties: { oneOf: [text, number] } },
      }),
    ),
    faults: listOf(exactly({ path: text, message: text })),
  }),
  ParameterCounts: exactly({ total: count, core: count }),
  Numerics: exactly({ backend: text, library: text, threads: count, device: text }),
  BleuCurve: exactly(curve),
  DivergenceCurve: exactly({
    snrDb: numbers,
    kl: numbers,
    reverseKl: numbers,
    jsd: numbers,
    top1Agreement: numbers,
    top5Overlap: numbers,
    'agreementTeacherRight?': someNumbers,
    'agreementTeacherWrong?': someNumbers,
    'entropyGap?': numbers,
    'ckaEncOut?': someNumbers,
    'ckaChEncOut?': someNumbers,
    'ckaMemory?': someNumbers,
    'ckaDecOut?': someNumbers,
  }),
  LikelihoodCurve: exactly({
    snrDb: numbers,
    crossEntropy: numbers,
    tokenAccuracy: numbers,
    calibrationError: numbers,
  }),
  Corpus: exactly(corpusFacts),
  Teacher: exactly(teacherFacts),
  Hybrid: exactly({
    hybridId: id,
    name: text,
    transmitter: exactly({ label: text, sha256: text }),
    receiver: exactly({ label: text, sha256: text }),
    architecture: ref('Architecture'),
    corpusId: id,
    parameters: ref('ParameterCounts'),
    scores: exactly({ ...curve, ...channel, sentences: count }),
    warnings: listOf(ref('Warning')),
    files: listOf(storedFile),
    numerics: ref('Numerics'),
    createdAt: time,
  }),
  Verification: exactly({
    model: text,
    sha256: text,
    holds: flag,
    tolerance: number,
    largest: exactly({ order: count, snrDb: number, recorded: number, measured: number }),
    sentences: count,
    recorded: ref('BleuCurve'),
    measured: ref('BleuCurve'),
    'recordedNumerics?': ref('Numerics'),
    numerics: ref('Numerics'),
  }),
  CrossDecoding: exactly({
    ...channel,
    snrDb: number,
    sentences: count,
    models: listOf(exactly({ label: text, sha256: text })),
    bleu1: listOf(numbers),
    numerics: ref('Numerics'),
  }),
  TeacherTraining: exactly({
    ...Object.fromEntries(Object.keys(TEACHER_TRAINING_FIELDS).map((name) => [name, number])),
    ...channel,
    trainSnrDb: { type: 'array', items: number, minItems: 2, maxItems: 2 },
  }),
  EpochMetrics: exactly({
    epoch: count,
    step: count,
    trainLoss: number,
    trainCrossEntropy: number,
    trainDistillation: number,
    validationLoss: number,
    seconds: number,
    tokensPerSecond: number,
  }),
  TrialEvaluation: exactly({
    sentences: count,
    student: ref('BleuCurve'),
    'hybrid?': ref('BleuCurve'),
    teacher: ref('BleuCurve'),
    divergence: ref('DivergenceCurve'),
    floor: ref('DivergenceCurve'),
    ceiling: ref('DivergenceCurve'),
    'likelihood?': exactly({ student: ref('LikelihoodCurve'), teacher: ref('LikelihoodCurve') }),
    'sentenceValues?': exactly({ tokens: listOf(count), jsd: numbers, bleu1: numbers }),
  }),
  PrunedTrial: exactly({
    sweepId: id,
    cause: choice('budget', 'early-stopping'),
    reason: text,
    'decision?': exactly({
      trialId: id,
      measure: choice(...STOPPING_MEASURES),
      epoch: count,
      value: { type: ['number', 'null'] },
      rank: count,
      reached: count,
      isStopped: flag,
    }),
    'step?': count,
    'bestLoss?': number,
    'bestEpoch?': count,
    'trainingSeconds?': number,
    'numerics?': ref('Numerics'),
  }),
  TrialSummary: exactly({
    trialId: id,
    bestLoss: number,
    bestEpoch: count,
    finalLoss: number,
    steps: count,
    parameters: exactly({ teacher: ref('ParameterCounts'), student: ref('ParameterCounts') }),
    compressionRatio: number,
    compressionRatioCore: number,
    evaluation: ref('TrialEvaluation'),
    numerics: ref('Numerics'),
    trainingSeconds: number,
    evaluationSeconds: number,
    'latency?': exactly({
      sentences: count,
      student: exactly({ medianMs: number, p95Ms: number }),
      teacher: exactly({ medianMs: number, p95Ms: number }),
    }),
    'predictedMemoryBytes?': count,
    'resumes?': resumes,
    'microBatches?': microBatches,
  }),
} satisfies Record<string, JsonSchema>;
