// `semdistill pull`: the files of a sweep, a trial or a teacher, four at a time, into one folder a trial.
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { StoredFile, TeacherRecord } from '#experiment';
import type { ApiClient, ArtifactView, SweepView, TrialView } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { type Download, type DownloadOutcome, download, fileTrouble } from './download.js';
import { plainTable } from './sweep-table.js';
import { exportFormat, exportInto } from './teacher-export.js';
import { EXIT_WRONG_REQUEST, Gone, Trouble } from './trouble.js';
import { shownBytes, shownSetting, varyingNames } from './wording.js';

const PARALLEL = 4;
const DRAW_EVERY_MS = 250;
const LINE_EVERY_MS = 5_000;
const SAFE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export interface PulledFile {
  /** The trial or the teacher that the file is of. */
  ownerId: string;
  name: string;
  file: string;
  size: number;
  sha256: string;
  outcome: PullOutcome;
}

/** Removed: by the retention policy, so that there is nothing to fetch. */
export type PullOutcome = DownloadOutcome | 'removed';

export interface Planned extends Download {
  ownerId: string;
  name: string;
}

export async function pull(
  context: Context,
  id: string,
  options: { to?: string; only?: string; format?: string },
): Promise<void> {
  const format = options.format === undefined ? undefined : exportFormat(context, options.format);
  const client = openClient(context);
  const { texts, terminal } = context;
  const { planned, folder, only } = await planFor(context, client, id, options);
  if (planned.length === 0) throw new Trouble(texts.nothingToPull(id, only?.join(', ')), EXIT_WRONG_REQUEST);
  const files = await downloadAll(context, client, planned, folder);
  // Each model once more as other programs load it, in a folder of its own beside the file.
  for (const { file, ownerId, name, outcome } of format === undefined ? [] : files) {
    const folderOf = /^(.*)\.safetensors$/.exec(file)?.[1];
    if (folderOf === undefined || format === undefined || outcome === 'removed') continue;
    // A teacher has one model and is named by its id alone.
    const reference = name === 'model.safetensors' ? ownerId : `${ownerId}/${name}`;
    await exportInto(context, client, { reference, format, folder: folderOf });
  }
  if (context.json) {
    terminal.print(JSON.stringify({ folder, files }, null, 2));
    return;
  }
  const table = plainTable([texts.columnFile, texts.columnSize, 'SHA-256', texts.columnState], [1]);
  for (const file of files) {
    table.push([
      file.file.slice(folder.length + 1),
      shownBytes(file.size),
      file.sha256.slice(0, 12),
      texts.outcome(file.outcome),
    ]);
  }
  terminal.print(table.toString());
  const fetched = files.filter(({ outcome }) => outcome !== 'removed');
  terminal.say(texts.pulled(fetched.length, shownBytes(fetched.reduce((sum, file) => sum + file.size, 0)), folder));
}

/** Which files there are of this id, and where they would go: a sweep's, a trial's or a teacher's. */
export async function planFor(
  context: Context,
  client: ApiClient,
  id: string,
  options: { to?: string; only?: string },
): Promise<{ planned: Planned[]; folder: string; only: string[] | undefined }> {
  const only = options.only
    ?.split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  const { trials, teacher, name } = await filesOf(client, id, context);
  const folder = resolve(context.workingFolder, options.to ?? name);
  const refuse = context.texts.notAFileName;
  const planned = teacher
    ? planTeacherDownloads(teacher, folder, only, refuse)
    : planDownloads(trials, folder, only, refuse);
  return { planned, folder, only };
}

/** An id may be a sweep's, a trial's, or a teacher's id or name. */
async function filesOf(
  client: ApiClient,
  id: string,
  context: Context,
): Promise<{ trials: TrialView[]; teacher?: PulledTeacher; name: string }> {
  const sweep = await orNotFound<SweepView>(client.sweep(id, context.interrupted));
  if (sweep)
    return {
      trials: await Promise.all(sweep.trials.map((trial) => withArtifacts(client, trial))),
      name: `sweep-${id.slice(0, 12)}`,
    };
  const trial = await orNotFound<TrialView>(client.trial(id, context.interrupted));
  if (trial) return { trials: [trial], name: `trial-${id.slice(0, 12)}` };
  const teacher = await orNotFound(client.teacher(id, context.interrupted));
  if (teacher?.teacherId !== undefined && teacher.files !== undefined) {
    const { teacherId, files } = teacher;
    return { trials: [], teacher: { teacherId, files }, name: `teacher-${(teacher.name ?? teacherId).slice(0, 40)}` };
  }
  throw new Trouble(context.texts.neitherSweepNorTrial(id), EXIT_WRONG_REQUEST);
}

type PulledTeacher = Pick<TeacherRecord, 'teacherId' | 'files'>;

/** A sweep's view may list its trials without their files. */
async function withArtifacts(client: ApiClient, trial: TrialView): Promise<TrialView> {
  return trial.artifacts !== undefined && (trial.artifacts.length > 0 || trial.status !== 'completed')
    ? trial
    : await client.trial(trial.trialId);
}

async function orNotFound<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Trouble && error.exitCode === EXIT_WRONG_REQUEST) return undefined;
    throw error;
  }
}

/** Which file goes where: a trial's folder is named by what sets it apart and by its id. */
export function planDownloads(
  trials: TrialView[],
  folder: string,
  only: string[] | undefined,
  refuse: (name: string) => string,
): Planned[] {
  const names = varyingNames(trials);
  return trials.flatMap((trial) =>
    (trial.artifacts ?? [])
      .filter((artifact) => isWanted(artifact, only))
      .map((artifact) => {
        if (!SAFE_NAME.test(artifact.name)) throw new Trouble(refuse(artifact.name));
        return {
          ownerId: trial.trialId,
          name: artifact.name,
          path: `/v1/trials/${encodeURIComponent(trial.trialId)}/artifacts/${encodeURIComponent(artifact.name)}`,
          size: artifact.size,
          sha256: artifact.sha256,
          file: join(folder, trials.length > 1 ? trialFolder(trial, names) : '', artifact.name),
        };
      }),
  );
}

function planTeacherDownloads(
  teacher: PulledTeacher,
  folder: string,
  only: string[] | undefined,
  refuse: (name: string) => string,
): Planned[] {
  return teacher.files
    .filter((file) => isWanted(file, only))
    .map(({ name, size, sha256 }) => {
      if (!SAFE_NAME.test(name)) throw new Trouble(refuse(name));
      const path = `/v1/teachers/${encodeURIComponent(teacher.teacherId)}/artifacts/${encodeURIComponent(name)}`;
      return { ownerId: teacher.teacherId, name, path, size, sha256, file: join(folder, name) };
    });
}

function isWanted({ name }: ArtifactView | StoredFile, only: string[] | undefined): boolean {
  return only === undefined || only.some((wanted) => name === wanted || name.replace(/\.[^.]+$/, '') === wanted);
}

function trialFolder(trial: TrialView, names: ReturnType<typeof varyingNames>): string {
  const parts = [
    trial.role === 'baseline' ? 'baseline' : '',
    shownSetting(trial, names),
    `seed${trial.hyperparameters.seed}`,
    trial.trialId.slice(0, 8),
  ];
  return parts
    .filter(Boolean)
    .join('-')
    .replace(/[^A-Za-z0-9._-]+/g, '-');
}

/** Downloads with progress; the first failure stops the rest. */
export async function downloadAll(
  context: Context,
  client: ApiClient,
  planned: Planned[],
  folder: string,
): Promise<PulledFile[]> {
  const { texts, terminal } = context;
  const positions = new Map<string, number>();
  const total = planned.reduce((sum, file) => sum + file.size, 0);
  const startedAt = performance.now();
  const line = () => {
    const have = [...positions.values()].reduce((sum, bytes) => sum + bytes, 0);
    const rate = have / Math.max(0.001, (performance.now() - startedAt) / 1000);
    return texts.pulling(
      shownBytes(have),
      shownBytes(total),
      Math.floor((100 * have) / Math.max(1, total)),
      shownBytes(rate),
    );
  };
  const draw = terminal.interactive
    ? setInterval(() => terminal.live([line()]), DRAW_EVERY_MS)
    : setInterval(() => terminal.say(line()), LINE_EVERY_MS);
  const failure = new AbortController();
  const signal = AbortSignal.any([context.interrupted, failure.signal]);
  const waiting = [...planned];
  const done = new Map<string, PulledFile>();
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { file, ownerId, name, size, sha256 } = next;
      const onPosition = (bytes: number) => positions.set(file, bytes);
      const outcome = await download(client, next, { texts, signal, onPosition }).catch((error: unknown) => {
        if (error instanceof Gone) return 'removed' as const;
        throw error;
      });
      done.set(file, { ownerId, name, file, size, sha256, outcome });
    }
  };
  try {
    await mkdir(folder, { recursive: true });
    const workers = Array.from({ length: PARALLEL }, async () => {
      try {
        await work();
      } catch (error) {
        failure.abort();
        throw error;
      }
    });
    const ended = await Promise.allSettled(workers);
    const reasons = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    // The others were broken off because of the first one.
    const first = reasons.find((reason) => reason instanceof Trouble) ?? reasons[0];
    if (first !== undefined) throw first;
  } catch (error) {
    throw fileTrouble(error, folder, texts);
  } finally {
    clearInterval(draw);
    terminal.live([]);
  }
  return planned.flatMap((file) => done.get(file.file) ?? []);
}
