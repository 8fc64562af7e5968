// `semdistill sweep` and `semdistill distill`: ask, watch, say what came out and where it is.
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type CostEstimate, HYPERPARAMETER_FIELDS, parseDistillationRequest, parseSweepRequest } from '#experiment';
import type { AcceptedDistillation, AcceptedSweep, ApiClient, TrialView } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { DEMO } from './demo-sweep.js';
import { download } from './download.js';
import { followSweep } from './follow-sweep.js';
import { ensureBuiltins } from './prepare.js';
import { downloadAll, planDownloads } from './pull.js';
import { checked, distillationBody, type Flags, inFlags, sweepBody } from './request-flags.js';
import { fetchReport, sayVerdict } from './results.js';
import { plainTable, trialLabel } from './sweep-table.js';
import { EXIT_FAILED, EXIT_WRONG_REQUEST, systemCode, Trouble } from './trouble.js';
import { shownSeconds, shownSetting, varyingNames } from './wording.js';

export interface SweepFlags extends Flags {
  teacher?: string;
  corpus?: string;
  dryRun?: boolean;
  wait?: boolean;
  idempotencyKey?: string;
}

export interface DistillFlags extends Flags {
  teacher?: string;
  teacherCheckpoint?: string;
  wait?: boolean;
  outputPath?: string;
  hybridOutput?: string;
}

/** What a sweep varies when neither a file nor a flag says so. */
const DEFAULT_TEMPERATURES = [1, 2, 4, 8];
const HYBRID = 'hybrid_model';

export async function sweep(context: Context, file: string | undefined, flags: SweepFlags): Promise<void> {
  const { texts, terminal } = context;
  const body = sweepBody(flags, file === undefined ? {} : await readRequestFile(context, file));
  if (flags.teacher !== undefined || body.teacher === undefined) body.teacher = flags.teacher ?? DEMO.teacher;
  if (flags.corpus !== undefined) body.corpus = flags.corpus;
  const asksNothing =
    file === undefined && Object.keys(HYPERPARAMETER_FIELDS).every((name) => !names(body).includes(name));
  if (asksNothing) body.vary = { temperature: DEFAULT_TEMPERATURES };
  checked(() => parseSweepRequest(body), texts, flags);
  const client = openClient(context);
  await ensureTeacher(context, client, body.teacher, flags.dryRun === true);
  const headers: Record<string, string> =
    flags.idempotencyKey === undefined ? {} : { 'idempotency-key': flags.idempotencyKey };
  const accepted = await told(flags, () =>
    client.json<AcceptedSweep>('/v1/sweeps', {
      method: 'POST',
      body,
      headers,
      query: { dryRun: flags.dryRun || undefined },
      signal: context.interrupted,
    }),
  );
  if (flags.dryRun) {
    sayPlan(context, accepted);
    return;
  }
  terminal.say(
    texts.sweepAccepted({
      id: accepted.sweepId,
      trials: accepted.trials.length,
      bundles: accepted.bundles,
      reused: accepted.reused,
    }),
  );
  sayEstimate(context, accepted.estimate);
  for (const warning of accepted.warnings) terminal.say(terminal.colour('yellow', texts.warning(warning.message)));
  for (const sentence of accepted.waitsFor ?? []) terminal.say(terminal.colour('yellow', texts.waitsFor(sentence)));
  if (flags.wait === false) {
    if (context.json) terminal.print(JSON.stringify(accepted, null, 2));
    else terminal.say(texts.notWaiting(accepted.sweepId, context.command));
    return;
  }
  await watchSweep(context, client, accepted.sweepId);
}

/** Follows a sweep to its end and says what came out; a trial that failed makes the exit code 1. */
export async function watchSweep(context: Context, client: ApiClient, sweepId: string): Promise<void> {
  const { texts, terminal } = context;
  const followed = await followSweep(context, client, sweepId);
  const report = await fetchReport(client, sweepId);
  if (context.json) terminal.print(JSON.stringify({ sweep: followed.sweep, report }, null, 2));
  else if (report) sayVerdict(context, report);
  terminal.say(texts.workersTookPart(followed.workers));
  const { expected, deviceSeconds } = report?.run.cost ?? {};
  if (expected && deviceSeconds)
    terminal.say(texts.costCompared(shownSeconds(deviceSeconds), shownSeconds(expected.deviceSeconds)));
  if (report) {
    terminal.say(
      texts.whereResultsAre(
        `${client.url}/v1/sweeps/${sweepId}/report`,
        sweepId,
        context.command,
        shownSeconds(followed.seconds),
      ),
    );
  }
  const { trials, counts, status } = followed.sweep;
  if (status === 'cancelled') throw new Trouble(texts.sweepWasCancelled(sweepId), EXIT_FAILED);
  const pruned = counts.pruned ?? 0;
  if (pruned > 0) terminal.say(texts.trialsPruned(pruned, trials.length));
  const failed = trials.length - (counts.completed ?? 0) - pruned;
  if (failed > 0) throw new Trouble(texts.trialsFailed(failed, trials.length), EXIT_FAILED);
}

export async function distill(context: Context, flags: DistillFlags): Promise<void> {
  const { texts, terminal } = context;
  const teacher = flags.teacherCheckpoint ?? flags.teacher ?? DEMO.teacher;
  if (/\.(pt|pth|safetensors)$/.test(teacher))
    throw new Trouble(texts.teacherIsAFile(teacher, context.command), EXIT_WRONG_REQUEST);
  const body = { ...distillationBody(flags), teacher };
  // Whoever names a file for the hybrid wants one.
  if (flags.hybridOutput !== undefined && flags.createHybrid === undefined) Object.assign(body, { createHybrid: true });
  checked(() => parseDistillationRequest(body), texts, flags);
  const client = openClient(context);
  await ensureTeacher(context, client, teacher, false);
  const accepted = await told(flags, () =>
    client.json<AcceptedDistillation>('/v1/distillations', { method: 'POST', body, signal: context.interrupted }),
  );
  terminal.say(texts.distillationAccepted(accepted.trialId));
  for (const warning of accepted.warnings) terminal.say(terminal.colour('yellow', texts.warning(warning.message)));
  for (const sentence of accepted.waitsFor ?? []) terminal.say(terminal.colour('yellow', texts.waitsFor(sentence)));
  if (flags.wait === false) {
    if (context.json) terminal.print(JSON.stringify(accepted, null, 2));
    else terminal.say(texts.notWaiting(accepted.sweepId, context.command));
    return;
  }
  await followSweep(context, client, accepted.sweepId);
  const trial = await client.trial(accepted.trialId);
  if (trial.status !== 'completed')
    throw new Trouble(
      texts.trialFailed(trialLabel(trial, [], texts), trial.failure?.reason ?? texts.status(trial.status)),
      EXIT_FAILED,
    );
  const files = await fetchOutputs(context, client, trial, flags);
  if (context.json) terminal.print(JSON.stringify({ trial, files }, null, 2));
  else sayDistillation(context, trial, files);
}

/** The demo's teacher is made when it is asked for; any other must be there. */
async function ensureTeacher(context: Context, client: ApiClient, teacher: unknown, isDryRun: boolean): Promise<void> {
  if (teacher !== DEMO.teacher) return;
  if (isDryRun) {
    // A plan needs the teacher's sizes, and a dry run makes nothing.
    const isThere = (await client.teachers()).some(
      (known) => known.name === DEMO.teacher && known.teacherId !== undefined,
    );
    if (!isThere) throw new Trouble(context.texts.demoTeacherMissing(context.command), EXIT_WRONG_REQUEST);
    return;
  }
  const { seconds } = await ensureBuiltins(context, client, DEMO);
  if (seconds > 2) context.terminal.say(context.texts.demoPrepared(shownSeconds(seconds)));
}

/** The API's faults with their paths told as flags. */
async function told<T>(flags: Flags, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Trouble) || error.faults.length === 0) throw error;
    throw new Trouble(
      error.message,
      error.exitCode,
      error.faults.map((fault) => inFlags(fault, flags)),
      { cause: error },
    );
  }
}

function names(body: Record<string, unknown>): string[] {
  return [body.base, body.vary, body.space].flatMap((part) =>
    typeof part === 'object' && part !== null ? Object.keys(part) : [],
  );
}

async function readRequestFile({ texts, workingFolder }: Context, file: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(resolve(workingFolder, file), 'utf8');
  } catch (error) {
    throw new Trouble(texts.cannotRead(file, systemCode(error) ?? String(error)), EXIT_WRONG_REQUEST, [], {
      cause: error,
    });
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new Trouble(texts.notJson(file, error instanceof Error ? error.message : ''), EXIT_WRONG_REQUEST, [], {
      cause: error,
    });
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Trouble(texts.notJson(file, texts.notAnObject), EXIT_WRONG_REQUEST);
  return { ...body };
}

/** The trials of a plan, and how many are done. */
export function sayPlan(context: Context, plan: AcceptedSweep): void {
  const { terminal, texts } = context;
  if (context.json) {
    terminal.print(JSON.stringify(plan, null, 2));
    return;
  }
  const varying = varyingNames(plan.trials);
  const table = plainTable([texts.columnSetting, texts.columnSeed, texts.columnRole]);
  for (const trial of plan.trials)
    table.push([shownSetting(trial, varying) || '-', String(trial.hyperparameters.seed), texts.role(trial.role)]);
  terminal.print(table.toString());
  terminal.say(texts.planned(plan.trials.length, plan.bundles, plan.reused));
  sayEstimate(context, plan.estimate);
  for (const warning of plan.warnings) terminal.say(terminal.colour('yellow', texts.warning(warning.message)));
  for (const sentence of plan.waitsFor ?? []) terminal.say(terminal.colour('yellow', texts.waitsFor(sentence)));
}

/** What it will take, and how that is known. */
export function sayEstimate({ terminal, texts }: Context, estimate: CostEstimate | undefined): void {
  if (!estimate) return;
  const { deviceSeconds, wallSeconds, workers, source } = estimate;
  const time = { device: shownSeconds(deviceSeconds), wall: shownSeconds(wallSeconds) };
  terminal.say(texts.costEstimate({ ...time, workers, source: texts.costSource(source) }));
}

/** --output-path takes all files, --hybrid-output the hybrid alone, both under the names users know. */
async function fetchOutputs(
  context: Context,
  client: ApiClient,
  trial: TrialView,
  flags: DistillFlags,
): Promise<string[]> {
  const { texts, workingFolder, interrupted } = context;
  const files: string[] = [];
  if (flags.outputPath !== undefined) {
    const folder = resolve(workingFolder, flags.outputPath);
    const pulled = await downloadAll(
      context,
      client,
      planDownloads([trial], folder, undefined, texts.notAFileName),
      folder,
    );
    files.push(...pulled.map((file) => file.file));
  }
  if (flags.hybridOutput !== undefined) {
    const file = resolve(workingFolder, flags.hybridOutput);
    const [planned] = planDownloads([trial], '', [HYBRID], texts.notAFileName);
    if (planned === undefined) throw new Trouble(texts.noHybrid, EXIT_FAILED);
    await download(client, { ...planned, file }, { texts, signal: interrupted, onPosition: () => undefined });
    files.push(file);
  }
  return files;
}

function sayDistillation(context: Context, trial: TrialView, files: string[]): void {
  const { terminal, texts, command } = context;
  const { summary } = trial;
  if (summary) {
    const { evaluation } = summary;
    const at =
      evaluation.student.snrDb.indexOf(12) >= 0
        ? evaluation.student.snrDb.indexOf(12)
        : evaluation.student.snrDb.length - 1;
    const rows: [string, string][] = [
      [texts.bestLoss, `${summary.bestLoss.toFixed(4)} (${texts.columnEpoch} ${summary.bestEpoch})`],
      [
        texts.compression,
        `${summary.compressionRatio.toFixed(3)}x (${texts.withoutEmbeddings} ${summary.compressionRatioCore.toFixed(3)}x)`,
      ],
      [`BLEU-1, ${evaluation.student.snrDb[at]} dB`, bleuLine(texts, evaluation, at)],
      [
        texts.divergence,
        `KL ${evaluation.divergence.kl[at]?.toFixed(4)}, JSD ${evaluation.divergence.jsd[at]?.toFixed(4)}`,
      ],
    ];
    const table = plainTable(['', '']);
    table.push(...rows);
    terminal.print(table.toString().split('\n').slice(1).join('\n'));
  }
  for (const file of files) terminal.print(file);
  if (files.length === 0)
    terminal.say(texts.pullHint(trial.trialId, command, trial.artifacts.map((artifact) => artifact.name).join(', ')));
  else terminal.say(texts.filesAre(files.length, basename(join(files[0] ?? '', '..'))));
}

function bleuLine(
  texts: Context['texts'],
  evaluation: NonNullable<TrialView['summary']>['evaluation'],
  at: number,
): string {
  const shown = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(4));
  const hybrid = evaluation.hybrid ? `, ${texts.hybrid} ${shown(evaluation.hybrid.bleu1[at])}` : '';
  return `${texts.student} ${shown(evaluation.student.bleu1[at])}${hybrid}, ${texts.teacher} ${shown(evaluation.teacher.bleu1[at])}`;
}
