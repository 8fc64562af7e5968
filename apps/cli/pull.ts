// `semdistill pull`: the files of a sweep or a trial, four at a time, into one folder a trial.
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ApiClient, SweepView, TrialView } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { type Download, type DownloadOutcome, download, fileTrouble } from './download.js';
import { plainTable } from './sweep-table.js';
import { exportFormat, exportInto } from './teacher-export.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';
import { shownBytes, shownSetting, varyingNames } from './wording.js';

const PARALLEL = 4;
const DRAW_EVERY_MS = 250;
const LINE_EVERY_MS = 5_000;
const SAFE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export interface PulledFile {
  trialId: string;
  name: string;
  file: string;
  size: number;
  sha256: string;
  outcome: DownloadOutcome;
}

interface Planned extends Download {
  trialId: string;
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
  const { trials, name } = await trialsOf(client, id, context);
  const folder = resolve(context.workingFolder, options.to ?? name);
  const only = options.only
    ?.split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  const planned = planDownloads(trials, folder, only, texts.notAFileName);
  if (planned.length === 0) throw new Trouble(texts.nothingToPull(id, only?.join(', ')), EXIT_WRONG_REQUEST);
  const files = await downloadAll(context, client, planned, folder);
  // Each model once more as other programs load it, in a folder of its own beside the file.
  for (const { file, trialId, name } of format === undefined ? [] : files) {
    const folderOf = /^(.*)\.safetensors$/.exec(file)?.[1];
    if (folderOf === undefined || format === undefined) continue;
    await exportInto(context, client, { reference: `${trialId}/${name}`, format, folder: folderOf });
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
  terminal.say(texts.pulled(files.length, shownBytes(files.reduce((sum, file) => sum + file.size, 0)), folder));
}

/** An id may be a sweep's or a trial's. */
async function trialsOf(
  client: ApiClient,
  id: string,
  context: Context,
): Promise<{ trials: TrialView[]; name: string }> {
  const sweep = await orNotFound<SweepView>(client.sweep(id, context.interrupted));
  if (sweep)
    return {
      trials: await Promise.all(sweep.trials.map((trial) => withArtifacts(client, trial))),
      name: `sweep-${id.slice(0, 12)}`,
    };
  const trial = await orNotFound<TrialView>(client.trial(id, context.interrupted));
  if (trial) return { trials: [trial], name: `trial-${id.slice(0, 12)}` };
  throw new Trouble(context.texts.neitherSweepNorTrial(id), EXIT_WRONG_REQUEST);
}

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
      .filter(
        (artifact) =>
          only === undefined ||
          only.some((wanted) => artifact.name === wanted || artifact.name.replace(/\.[^.]+$/, '') === wanted),
      )
      .map((artifact) => {
        if (!SAFE_NAME.test(artifact.name)) throw new Trouble(refuse(artifact.name));
        return {
          trialId: trial.trialId,
          name: artifact.name,
          path: `/v1/trials/${encodeURIComponent(trial.trialId)}/artifacts/${encodeURIComponent(artifact.name)}`,
          size: artifact.size,
          sha256: artifact.sha256,
          file: join(folder, trials.length > 1 ? trialFolder(trial, names) : '', artifact.name),
        };
      }),
  );
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
      const { file, trialId, name, size, sha256 } = next;
      const outcome = await download(client, next, {
        texts,
        signal,
        onPosition: (bytes) => positions.set(file, bytes),
      });
      done.set(file, { trialId, name, file, size, sha256, outcome });
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
