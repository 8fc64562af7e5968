// The words of the commands that work on the object store, in English.

/** What a verification of scores tells. */
export interface ScoreFacts {
  model: string;
  tolerance: number;
  points: number;
  now: string;
  before: string;
  largest: { order: number; snrDb: number; recorded: number; measured: number };
}

export const storeEnglish = {
  noStoreNamed:
    'no object store is named here; name one with --store (a folder, or s3 with the S3_* variables) or SEMDISTILL_STORE',
  noSuchStore: (folder: string) => `there is no store folder ${folder}; check its name`,
  noSuchSweep: (id: string) => `this store has no sweep ${id}`,
  columnReason: 'why',

  gcReason: (reason: 'checkpoint' | 'orphan' | 'bundle' | 'upload' | 'unfinished') =>
    ({
      checkpoint: 'intermediate checkpoint',
      orphan: 'of an attempt that came second',
      bundle: 'training checkpoint of sweeps that are over',
      upload: 'uploaded file that has been used',
      unfinished: 'write that was never finished',
    })[reason],
  gcWouldDelete: (count: number, size: string) =>
    count === 0 ? 'nothing to remove' : `${count} objects, ${size}, would be removed; --delete removes them`,
  gcDeleted: (count: number, size: string) => `${count} objects, ${size}, removed`,
  kept: (id: string) => `sweep ${id} is kept: gc leaves everything it refers to`,
  notKept: (id: string) => `sweep ${id} is no longer kept`,

  sameStore: (name: string) => `both names lead to the same store, ${name}`,
  copying: (copied: number, present: number, size: string, rate: string) =>
    `${copied} objects copied (${size}, ${rate}/s), ${present} were there`,
  copied: (copied: number, present: number, size: string, to: string) =>
    `${copied} objects, ${size}, copied and SHA-256 verified, ${present} were there already: ${to}`,
  notAllCopied: (count: number) => `${count} objects were not copied; all others are there`,

  verifying: (done: number, all: number) => `${done} of ${all} files read back`,
  verdictOn: (verdict: 'intact' | 'damaged' | 'missing' | 'removed') => verdict as string,
  allIntact: (count: number, size: string) => `${count} files, ${size}: every SHA-256 is the recorded one`,
  notIntact: (count: number, all: number) =>
    `${count} of ${all} files are not as they were recorded; restore them from a backup, or train the trial again`,
  noModelToMeasure: 'there is no trained model whose scores are recorded',
  notOneTrial: (trial: string, found: number) =>
    found === 0
      ? `${trial} is none of these trials; name one by its id, or the beginning of it`
      : `${found} of these trials begin with ${trial}; give more of the id`,
  notMeasured: (model: string) => `the worker did not say what ${model} scores; its log tells why`,
  shownNumerics: (library: string, threads: number, device: string) =>
    `${library}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${device}`,
  otherNumerics: 'an earlier version of semdistill',
  scoresHold: ({ model, tolerance, points, now, before, largest }: ScoreFacts) =>
    tolerance === 0
      ? `${model}: measured again, BLEU-1 to 4 at ${points} SNRs are exactly the recorded ones (${now})`
      : `${model}: measured again, BLEU-1 to 4 at ${points} SNRs are the recorded ones within ${tolerance}, at most ` +
        `${Math.abs(largest.measured - largest.recorded).toFixed(4)} apart (now ${now}; recorded by ${before})`,
  scoresDiffer: ({ model, tolerance, now, before, largest }: ScoreFacts) =>
    `${model} does not score what was recorded: BLEU-${largest.order} at ${largest.snrDb} dB is ${largest.measured.toFixed(4)} ` +
    `where ${largest.recorded.toFixed(4)} was recorded, and ` +
    (tolerance === 0
      ? `on the same numerics (${now}) both must be equal`
      : `more than ${tolerance} is not explained by other numerics (now ${now}; recorded by ${before})`),

  helpStore: 'object store: a folder, s3 (S3_* variables) or s3:NAME (NAME_S3_*) (default: SEMDISTILL_STORE)',
  helpGc: 'show what the retention policy lets go: intermediate checkpoints, and what work has left behind',
  helpGcDays: 'days after which intermediate checkpoints of finished trials may go',
  helpGcDelete: 'remove it; without this nothing is changed',
  helpKeepSweep: 'mark a sweep that gc leaves alone',
  helpKeepUndo: 'take the mark away',
  helpCopyStore: 'copy everything from one object store into another, SHA-256 verified; goes on where it stopped',
  helpCopyFrom: 'a folder, s3 (S3_* variables) or s3:NAME (NAME_S3_* variables)',
  helpCopyOverwrite: 'replace objects that are there and differ',
  helpVerify: 'read all files of a sweep, trial or teacher back and compare their SHA-256',
  helpVerifyScores:
    'also have a worker measure one model again (TRIAL, TRIAL/hybrid_model; else the first) and compare with its record',
  helpVerifyId: 'id of a sweep or trial, id or name of a teacher',
};
