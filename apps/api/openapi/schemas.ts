// OpenAPI schemas of the API's answers, by name; together with requests and records they are the document's components.
import { SWEEP_STATUSES, TRIAL_STATUSES } from '#experiment';
import {
  choice,
  corpusFacts,
  count,
  exactly,
  flag,
  id,
  listOf,
  number,
  oneOf,
  RECORD_SCHEMAS,
  ref,
  teacherFacts,
  text,
  time,
} from './record-schemas.js';
import { type JsonSchema, REQUEST_SCHEMAS } from './request-schemas.js';

const link: JsonSchema = { type: 'string', format: 'uri' };
const links = exactly({ self: link, report: link, events: link });
const role = choice('requested', 'baseline', 'reference');
const warnings = listOf(ref('Warning'));
const pageOf = (name: string) => exactly({ items: listOf(ref(name)), 'nextCursor?': text });

const preparationFacts: Record<string, JsonSchema> = {
  preparationId: id,
  kind: choice('corpus', 'teacher', 'hybrid', 'verification'),
  name: text,
  'progress?': exactly({ fraction: { type: 'number', minimum: 0, maximum: 1 }, message: text }),
  'failure?': exactly({ reason: text }),
  'corpusId?': id,
  'teacherId?': id,
  'hybridId?': id,
  'verification?': ref('Verification'),
  createdAt: time,
  'finishedAt?': time,
};

const sweepFacts: Record<string, JsonSchema> = {
  sweepId: id,
  name: text,
  owner: text,
  kind: choice('sweep', 'distillation'),
  status: choice(...SWEEP_STATUSES),
  counts: exactly({
    queued: count,
    running: count,
    recovering: count,
    completed: count,
    failed: count,
    cancelled: count,
  }),
  teacherId: id,
  corpusId: id,
  warnings,
  createdAt: time,
  'settledAt?': time,
  live: flag,
  links,
};

const ANSWER_SCHEMAS = {
  Problem: exactly({
    type: text,
    title: text,
    status: { type: 'integer', minimum: 400, maximum: 599 },
    detail: text,
    'errors?': listOf(exactly({ path: text, message: text })),
    requestId: text,
  }),
  Warning: exactly({ code: text, message: text }),
  Health: exactly({ status: choice('ok') }),
  Version: exactly({ version: text, numericsVersion: count, node: text }),
  Preparation: exactly({ ...preparationFacts, status: choice('queued', 'running', 'completed', 'failed') }),
  UnreadyItem: {
    oneOf: [
      exactly({ state: choice('queued', 'running', 'failed'), ...preparationFacts }),
      exactly({ state: choice('available'), name: text, builtin: text }),
    ],
  },
  CorpusListItem: { oneOf: [exactly({ state: choice('ready'), ...corpusFacts }), ref('UnreadyItem')] },
  TeacherListItem: { oneOf: [exactly({ state: choice('ready'), ...teacherFacts }), ref('UnreadyItem')] },
  CorpusPage: pageOf('CorpusListItem'),
  CorpusOrPreparation: oneOf('Corpus', 'Preparation'),
  TeacherImport: exactly({
    name: text,
    'corpusId?': id,
    inspection: ref('ModelInspection'),
    'preparation?': ref('Preparation'),
  }),
  HybridPage: pageOf('Hybrid'),
  HybridSubmission: exactly({ preparation: ref('Preparation'), warnings }),
  ModelDescription: exactly({
    label: text,
    corpusId: id,
    architecture: ref('Architecture'),
    sha256: text,
    vocabulary: exactly({ token_to_idx: { type: 'object', additionalProperties: count } }),
  }),
  TeacherPage: pageOf('TeacherListItem'),
  TeacherOrPreparation: oneOf('Teacher', 'Preparation'),
  Artifact: exactly({ name: text, size: count, sha256: text, contentType: text }),
  ArtifactList: exactly({ items: listOf(ref('Artifact')) }),
  LiveTrial: exactly({
    trialId: id,
    phase: choice('waiting', 'training', 'evaluating', 'uploading'),
    workerId: text,
    epoch: count,
    epochs: count,
    step: count,
    steps: count,
    'trainLoss?': number,
    'validationLoss?': number,
    'tokensPerSecond?': number,
    'etaSeconds?': number,
    updatedAt: time,
  }),
  LiveWorker: exactly({
    workerId: text,
    host: text,
    processId: count,
    'numerics?': ref('Numerics'),
    state: choice('idle', 'training', 'draining'),
    trialIds: listOf(id),
    'tokensPerSecond?': number,
    startedAt: time,
    updatedAt: time,
  }),
  WorkerList: listOf(ref('LiveWorker')),
  Trial: exactly({
    trialId: id,
    status: choice(...TRIAL_STATUSES),
    'role?': role,
    hyperparameters: ref('Hyperparameters'),
    evaluation: ref('EvaluationSettings'),
    teacherId: id,
    corpusId: id,
    live: flag,
    'progress?': ref('LiveTrial'),
    'summary?': ref('TrialSummary'),
    'failure?': exactly({ reason: text, 'step?': count }),
    'attempts?': count,
    'worker?': text,
    artifacts: listOf(ref('Artifact')),
    createdAt: time,
    'startedAt?': time,
    'finishedAt?': time,
  }),
  TrialPage: pageOf('Trial'),
  TrialMetrics: exactly({ trialId: id, live: flag, epochs: listOf(ref('EpochMetrics')) }),
  SweepListItem: exactly(sweepFacts),
  SweepPage: pageOf('SweepListItem'),
  Sweep: exactly({
    ...sweepFacts,
    request: { type: 'object', description: 'As sent, defaults filled in.' },
    reportFiles: listOf(ref('Artifact')),
    trials: listOf(ref('Trial')),
  }),
  SweepSubmission: exactly({
    'sweepId?': id,
    name: text,
    status: choice('planned', ...SWEEP_STATUSES),
    trials: listOf(exactly({ trialId: id, role, hyperparameters: ref('Hyperparameters') })),
    bundles: count,
    reused: count,
    warnings,
    'links?': links,
  }),
  DistillationSubmission: exactly({ trialId: id, sweepId: id, status: choice(...TRIAL_STATUSES), warnings }),
  Report: {
    type: 'object',
    description: 'What the temperatures did, with intervals; see the documentation of reports.',
  },
} satisfies Record<string, JsonSchema>;

export const SCHEMAS = { ...REQUEST_SCHEMAS, ...RECORD_SCHEMAS, ...ANSWER_SCHEMAS };
export type SchemaName = keyof typeof SCHEMAS;
