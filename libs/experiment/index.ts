// WHAT is asked and answered: requests, plans, ids, warnings, statistics, reports. Pure; knows no queue, store or tensor.
export * from './analysis/index.js';
export * from './budget.js';
export { bundleMemoryBytes, teacherMemoryBytes } from './bundle-memory.js';
export * from './cost.js';
export * from './cross-decoding.js';
export { DIALS, hasComposedLoss, hyperparameterOf, isTaught, isTeacherDial, matchedTaps } from './dials.js';
export * from './early-stopping.js';
export * from './errors.js';
export { type Extension, extendRequest, parseExtension } from './extension.js';
export * from './fields.js';
export * from './hybrid.js';
export * from './identity.js';
export * from './live.js';
export * from './parameters.js';
export * from './plan.js';
export * from './records.js';
export * from './report/index.js';
export {
  type CorpusRequest,
  type CorpusUpload,
  completeHyperparameters,
  type DistillationRequest,
  type EarlyStopping,
  type HyperparameterLists,
  HyperparametersRequest,
  type PlacementRequest,
  parseCorpusRequest,
  parseCorpusTokens,
  parseCorpusUpload,
  parseDistillationRequest,
  parseSweepRequest,
  parseTeacherRequest,
  type SweepRequest,
  sweepOfDistillation,
  type TeacherRequest,
} from './requests.js';
export { type Distribution, drawSettings, type Space } from './space.js';
export * from './statistics/index.js';
export * from './sweep-fields.js';
export { foldTrials, trialInSweep, unfoldTrial } from './sweep-trials.js';
export * from './teacher-import.js';
export * from './terms.js';
export * from './text-file.js';
export * from './verification.js';
export * from './warnings.js';
