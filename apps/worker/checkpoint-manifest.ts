// What a checkpoint of a bundle is: one file of tensors, the models that were already written for users, and a manifest that is
// written last and says what belongs to it. Read by trainer and worker; neither trusts what it finds.
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrainingState } from '#distillation';
import {
  type CorpusRecord,
  canonicalJson,
  NUMERICS_VERSION,
  type Numerics,
  type TeacherRecord,
  type TeacherTraining,
  type TrainingResume,
  type TrialSpec,
} from '#experiment';
import { sha256Of } from './file-cache.js';

/** In the work folder. */
export const CHECKPOINT_FOLDER = 'checkpoints';

const FORMAT = 1;
const MANIFEST_NAME = /^step-(\d+)\.json$/;

export interface CheckpointFile {
  name: string;
  size: number;
  /** hex */
  sha256: string;
}

/** The tensors: safetensors, read by this list in its order, so that no reader needs the whole file in memory. */
export interface TensorFile extends CheckpointFile {
  /** Bytes before the first tensor. */
  dataStart: number;
  tensors: { name: string; floats: number }[];
}

export interface CheckpointManifest {
  format: number;
  /** What is trained, see checkpointJobOf: a checkpoint of another job is of no use. */
  job: string;
  /** The students, in the order of the tensors' first axis. */
  trialIds: string[];
  /** What the last steps were computed by. */
  numerics: Numerics;
  resumes: TrainingResume[];
  state: TrainingState;
  tensors: TensorFile;
  /** Models of the students that exist already: the best so far and every tenth epoch's. */
  models: CheckpointFile[];
  createdAt: string;
}

/** A checkpoint on disk. */
export interface FoundCheckpoint {
  manifest: CheckpointManifest;
  manifestName: string;
}

/** The hash of all that decides what comes out: trials with their settings, teacher, corpus, the version of the numerics. */
export function checkpointJobOf(job: {
  trials: readonly { trialId: string; spec: TrialSpec }[];
  teacher: TeacherRecord;
  corpus: CorpusRecord;
}): string {
  return hashOf({
    trials: job.trials.map(({ trialId, spec }) => ({ trialId, spec })),
    teacher: { teacherId: job.teacher.teacherId, files: contentOf(job.teacher.files) },
    corpus: { corpusId: job.corpus.corpusId, files: contentOf(job.corpus.files) },
  });
}

/** The same of a teacher in training. */
export function teacherCheckpointJobOf({
  training,
  corpus,
}: {
  training: TeacherTraining;
  corpus: CorpusRecord;
}): string {
  return hashOf({ training: { ...training }, corpus: { corpusId: corpus.corpusId, files: contentOf(corpus.files) } });
}

function hashOf(what: Record<string, unknown>): string {
  const all = canonicalJson({ format: FORMAT, numericsVersion: NUMERICS_VERSION, ...what });
  return createHash('sha256').update(all).digest('hex');
}

function contentOf(files: { name: string; sha256: string }[]): { name: string; sha256: string }[] {
  return files.map(({ name, sha256 }) => ({ name, sha256 }));
}

export function newManifest(facts: Omit<CheckpointManifest, 'format' | 'createdAt'>): CheckpointManifest {
  return { format: FORMAT, ...facts, createdAt: new Date().toISOString() };
}

export function manifestNameOf(step: number): string {
  return `step-${step}.json`;
}

/** Losses may be infinite or no number, which JSON cannot hold: they are written as words. */
export function formatManifest(manifest: CheckpointManifest): string {
  return JSON.stringify(manifest, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? `#${value}` : value,
  );
}

/** The manifest in a text; undefined when it is none of this format. */
export function parseManifest(text: string): CheckpointManifest | undefined {
  try {
    const value = JSON.parse(text, (_, item: unknown) =>
      typeof item === 'string' && /^#(NaN|-?Infinity)$/.test(item) ? Number(item.slice(1)) : item,
    ) as Partial<CheckpointManifest> | null;
    const isWhole = value?.format === FORMAT && value.job && value.trialIds && value.state && value.tensors?.tensors;
    return isWhole && value.models ? (value as CheckpointManifest) : undefined;
  } catch {
    return undefined;
  }
}

/** Files that belong to a checkpoint, besides its manifest. */
export function filesOf(manifest: CheckpointManifest): CheckpointFile[] {
  return [manifest.tensors, ...manifest.models];
}

/** Manifests in a folder by their names alone, newest step first. */
export async function manifestNames(folder: string): Promise<string[]> {
  const stepOf = (name: string) => Number(MANIFEST_NAME.exec(name)?.[1] ?? -1);
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => MANIFEST_NAME.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
}

/**
 * The newest checkpoint of this job in a folder that is whole: every file there, of its size and hash. What is passed over is
 * told with the reason.
 */
export async function findCheckpoint(
  folder: string,
  job: string,
  onRefused: (sentence: string, manifestName: string) => void,
): Promise<FoundCheckpoint | undefined> {
  for (const manifestName of await manifestNames(folder)) {
    const manifest = parseManifest(await readFile(join(folder, manifestName), 'utf8').catch(() => ''));
    const fault = !manifest
      ? 'its manifest is damaged or of another format'
      : manifest.job !== job
        ? 'it is of another job'
        : await faultOf(folder, manifest);
    if (manifest && !fault) return { manifest, manifestName };
    onRefused(`checkpoint ${manifestName} is not used: ${fault}`, manifestName);
  }
  return undefined;
}

async function faultOf(folder: string, manifest: CheckpointManifest): Promise<string | undefined> {
  for (const file of filesOf(manifest)) {
    const path = join(folder, file.name);
    const found = await stat(path).catch(() => undefined);
    if (found?.size !== file.size)
      return `${file.name} has ${found?.size ?? 'no'} bytes where ${file.size} were written`;
    if ((await sha256Of(path)) !== file.sha256) return `${file.name} is damaged`;
  }
  return undefined;
}
