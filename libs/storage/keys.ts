// Where everything lies in the object store. The only place that builds keys; ids are checked so that no request can
// reach outside its own prefix.

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

function safe(id: string): string {
  if (!ID.test(id) || id.includes('..')) throw new Error(`not a valid id for a key: ${JSON.stringify(id)}`);
  return id;
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

  upload: (sha256: string) => `uploads/${safe(sha256)}`,
  uploads: () => 'uploads/',

  preparation: (preparationId: string) => `preparations/${safe(preparationId)}/preparation.json`,
  preparationResult: (preparationId: string) => `preparations/${safe(preparationId)}/result.json`,
  preparations: () => 'preparations/',

  trial: (trialId: string) => `trials/${safe(trialId)}/trial.json`,
  trialResult: (trialId: string) => `trials/${safe(trialId)}/result.json`,
  trialCancelled: (trialId: string) => `trials/${safe(trialId)}/cancelled.json`,
  /** What the retention policy has removed; written before anything is. */
  trialTrimmed: (trialId: string) => `trials/${safe(trialId)}/trimmed.json`,
  trialArtifact: (trialId: string, fence: string, name: string) =>
    `trials/${safe(trialId)}/attempts/${safe(fence)}/${safe(name)}`,
  trials: () => 'trials/',

  /** The newest checkpoint of trials in training: its manifest and where its files lie. Gone once every trial has ended. */
  bundleCheckpoint: (bundleId: string) => `bundles/${safe(bundleId)}/checkpoint.json`,
  /** A file of a checkpoint, under the attempt that wrote it. */
  bundleCheckpointFile: (bundleId: string, fence: string, name: string) =>
    `bundles/${safe(bundleId)}/attempts/${safe(fence)}/${safe(name)}`,
  bundle: (bundleId: string) => `bundles/${safe(bundleId)}/`,
  bundles: () => 'bundles/',

  sweep: (sweepId: string) => `sweeps/${safe(sweepId)}/sweep.json`,
  sweepCancelled: (sweepId: string) => `sweeps/${safe(sweepId)}/cancelled.json`,
  /** Which preparation joins every transmitter of the sweep with every receiver. */
  sweepCrossDecoding: (sweepId: string) => `sweeps/${safe(sweepId)}/cross-decoding.json`,
  sweepSettled: (sweepId: string) => `sweeps/${safe(sweepId)}/settled.json`,
  /** The retention policy leaves this sweep alone. */
  sweepKept: (sweepId: string) => `sweeps/${safe(sweepId)}/kept.json`,
  sweepReport: (sweepId: string, file: string) => `sweeps/${safe(sweepId)}/report/${safe(file)}`,
  sweeps: () => 'sweeps/',
};
