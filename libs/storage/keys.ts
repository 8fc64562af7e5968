// Where everything lies in the object store. The only place that builds keys; ids are checked so that no request can
// reach outside its own prefix.

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

function safe(id: string): string {
  if (!ID.test(id) || id.includes('..')) throw new Error(`not a valid id for a key: ${JSON.stringify(id)}`);
  return id;
}

/** Everything of a sweep's later versions lies under versions/<n>/, by the names that the first has at the top. */
function sweepFolder(sweepId: string, version: number): string {
  return version === 1 ? `sweeps/${safe(sweepId)}/` : `sweeps/${safe(sweepId)}/versions/${version}/`;
}

/** A sweep's trials of one seed after so many epochs. */
export interface Rung {
  sweepId: string;
  seed: number;
  epoch: number;
}

function rungFolder({ sweepId, seed, epoch }: Rung): string {
  return `rungs/${safe(sweepId)}/${seed}/${epoch}/`;
}

const TEACHER_BUNDLE = 'teacher-';

/** The preparation whose teacher trains under this bundle id; undefined for a bundle of trials. */
export function preparationOfBundle(bundleId: string): string | undefined {
  return bundleId.startsWith(TEACHER_BUNDLE) ? bundleId.slice(TEACHER_BUNDLE.length) : undefined;
}

export const keys = {
  corpus: (corpusId: string) => `corpora/${safe(corpusId)}/corpus.json`,
  corpusFile: (corpusId: string, file: string) => `corpora/${safe(corpusId)}/${safe(file)}`,
  corpora: () => 'corpora/',
  /** A name's current meaning: {"id": …}. Overwritten when the name is given to something newer. */
  corpusName: (name: string) => `names/corpora/${safe(name)}.json`,
  corpusNames: () => 'names/corpora/',

  teacher: (teacherId: string) => `teachers/${safe(teacherId)}/teacher.json`,
  teacherFile: (teacherId: string, file: string) => `teachers/${safe(teacherId)}/${safe(file)}`,
  teachers: () => 'teachers/',
  teacherName: (name: string) => `names/teachers/${safe(name)}.json`,
  teacherNames: () => 'names/teachers/',

  hybrid: (hybridId: string) => `hybrids/${safe(hybridId)}/hybrid.json`,
  hybridFile: (hybridId: string, file: string) => `hybrids/${safe(hybridId)}/${safe(file)}`,
  hybrids: () => 'hybrids/',

  /** A file of an analysis as one attempt wrote it; the preparation's result says which attempt counts. */
  analysisFile: (analysisId: string, fence: string, file: string) =>
    `analyses/${safe(analysisId)}/attempts/${safe(fence)}/${safe(file)}`,

  upload: (sha256: string) => `uploads/${safe(sha256)}`,
  uploads: () => 'uploads/',

  preparation: (preparationId: string) => `preparations/${safe(preparationId)}/preparation.json`,
  preparationResult: (preparationId: string) => `preparations/${safe(preparationId)}/result.json`,
  preparations: () => 'preparations/',

  trial: (trialId: string) => `trials/${safe(trialId)}/trial.json`,
  trialFolder: (trialId: string) => `trials/${safe(trialId)}/`,
  /** The outcome, written once. A failed trial that is asked for again gets another one, under the number of that retry. */
  trialResult: (trialId: string, retry = 0) =>
    retry === 0 ? `trials/${safe(trialId)}/result.json` : `trials/${safe(trialId)}/results/${retry}.json`,
  /** The failed trial was asked for again, for the so manyth time; written once. */
  trialRetry: (trialId: string, retry: number) => `trials/${safe(trialId)}/retries/${retry}.json`,
  /** How the trial ended for a sweep that gave it up before its end, see PrunedFacts; for others it is as open as before. */
  trialPruned: (trialId: string, sweepId: string) => `trials/${safe(trialId)}/pruned/${safe(sweepId)}.json`,
  /** While it is there nobody trains the trial. */
  trialCancelled: (trialId: string) => `trials/${safe(trialId)}/cancelled.json`,
  /** While it is there nobody trains the trial, and its checkpoint is kept. */
  trialPaused: (trialId: string) => `trials/${safe(trialId)}/paused.json`,
  /** What the retention policy has removed; written before anything is. */
  trialTrimmed: (trialId: string) => `trials/${safe(trialId)}/trimmed.json`,
  trialArtifact: (trialId: string, fence: string, name: string) =>
    `trials/${safe(trialId)}/attempts/${safe(fence)}/${safe(name)}`,
  trials: () => 'trials/',

  /** The newest checkpoint that one attempt wrote: its manifest and where its files lie. */
  bundleCheckpoint: (bundleId: string, fence: string) =>
    `bundles/${safe(bundleId)}/attempts/${safe(fence)}/checkpoint.json`,
  bundleCheckpointFile: (bundleId: string, fence: string, name: string) =>
    `bundles/${safe(bundleId)}/attempts/${safe(fence)}/${safe(name)}`,
  /** All that one attempt has stored of checkpoints; nobody else ever writes there. */
  bundleAttempt: (bundleId: string, fence: string) => `bundles/${safe(bundleId)}/attempts/${safe(fence)}/`,
  /** An attempt has begun at this position and has not ended in good order (yet). */
  bundleStart: (bundleId: string, position: string, fence: string) =>
    `bundles/${safe(bundleId)}/starts/${safe(position)}/${safe(fence)}.json`,
  bundle: (bundleId: string) => `bundles/${safe(bundleId)}/`,
  bundles: () => 'bundles/',
  /** A teacher in training keeps its checkpoints as a bundle of this id does. */
  teacherBundleId: (preparationId: string) => `${TEACHER_BUNDLE}${safe(preparationId)}`,

  sweep: (sweepId: string, version = 1) => `${sweepFolder(sweepId, version)}sweep.json`,
  sweepFolder: (sweepId: string) => sweepFolder(sweepId, 1),
  sweepCancelled: (sweepId: string, version = 1) => `${sweepFolder(sweepId, version)}cancelled.json`,
  /** Which preparation joins every transmitter of the sweep with every receiver. */
  sweepCrossDecoding: (sweepId: string, version = 1) => `${sweepFolder(sweepId, version)}cross-decoding.json`,
  sweepSettled: (sweepId: string, version = 1) => `${sweepFolder(sweepId, version)}settled.json`,
  /** While it is there the sweep's trials are paused, except those that another sweep asks for. */
  sweepPaused: (sweepId: string) => `sweeps/${safe(sweepId)}/paused.json`,
  /** The retention policy leaves this sweep alone. */
  sweepKept: (sweepId: string) => `sweeps/${safe(sweepId)}/kept.json`,
  sweepReport: (sweepId: string, file: string, version = 1) => `${sweepFolder(sweepId, version)}report/${safe(file)}`,
  sweeps: () => 'sweeps/',

  /** What bundles took; overwritten by newer ones of the same shape, size and device. */
  rate: (shape: string, deviceId: string, students: number) =>
    `rates/shapes/${safe(shape)}/${safe(deviceId)}-${students}.json`,
  ratesOfShape: (shape: string) => `rates/shapes/${safe(shape)}/`,
  /** The newest of a device, whatever its shape. */
  deviceRate: (deviceId: string) => `rates/devices/${safe(deviceId)}.json`,
  deviceRates: () => 'rates/devices/',

  /** What trials of one seed had reached at a rung of a sweep's early stopping; each written once, like what was decided of it. */
  rungValues: (rung: Rung) => `${rungFolder(rung)}values/`,
  rungValue: (rung: Rung, trialId: string) => `${rungFolder(rung)}values/${safe(trialId)}.json`,
  rungDecision: (rung: Rung, trialId: string) => `${rungFolder(rung)}decisions/${safe(trialId)}.json`,

  /** Written anew with every cancel, pause and the like, so that workers see from one small object that they have to look. */
  controls: () => 'controls.json',
};
