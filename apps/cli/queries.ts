// The small commands: status, report, corpus, teacher.
import { parseTeacherRequest } from '#experiment';
import type { PreparationView, SweepView } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { isSettled } from './follow-sweep.js';
import { waitForPreparation } from './prepare.js';
import { checked, type Flags, teacherTrainingBody } from './request-flags.js';
import { fetchReportText, REPORT_FORMATS, type ReportFormat } from './results.js';
import { plainTable, sweepProgress, trialLabel } from './sweep-table.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';
import { shownRate, varyingNames } from './wording.js';

const SWEEPS_SHOWN = 20;

export async function status(context: Context, sweepId: string | undefined): Promise<void> {
  const client = openClient(context);
  const { terminal, texts } = context;
  if (sweepId !== undefined) {
    showSweep(context, await client.sweep(sweepId, context.interrupted));
    return;
  }
  const [workers, sweeps] = [await client.workers(), (await client.sweeps(SWEEPS_SHOWN)).items];
  if (context.json) {
    terminal.print(JSON.stringify({ url: client.url, workers, sweeps }, null, 2));
    return;
  }
  terminal.print(texts.serverLine(client.url, workers.length));
  const workerTable = plainTable([
    texts.columnWorker,
    texts.columnState,
    texts.columnHost,
    texts.columnTrials,
    texts.columnRate,
  ]);
  for (const worker of workers) {
    workerTable.push([
      worker.workerId,
      texts.workerState(worker.state),
      worker.host,
      String(worker.trialIds.length),
      shownRate(worker.tokensPerSecond),
    ]);
  }
  if (workers.length > 0) terminal.print(workerTable.toString());
  const sweepTable = plainTable([
    texts.columnSweep,
    texts.columnName,
    texts.columnState,
    texts.columnTrials,
    texts.columnCreated,
  ]);
  for (const sweep of sweeps) {
    sweepTable.push([
      sweep.sweepId,
      sweep.name,
      texts.status(sweep.status),
      countsOf(sweep.counts),
      sweep.createdAt.slice(0, 19).replace('T', ' '),
    ]);
  }
  terminal.print(sweeps.length > 0 ? sweepTable.toString() : texts.noSweeps(context.command));
}

function showSweep(context: Context, sweep: SweepView): void {
  const { terminal, texts } = context;
  if (context.json) {
    terminal.print(JSON.stringify(sweep, null, 2));
    return;
  }
  const { done, fraction } = sweepProgress(sweep, 0);
  terminal.print(
    `${sweep.name} (${sweep.sweepId}): ${texts.status(sweep.status)}, ${texts.trialsDone(done, sweep.trials.length)}, ${Math.floor(fraction * 100)} %`,
  );
  const names = varyingNames(sweep.trials);
  const table = plainTable([
    texts.columnTrial,
    texts.columnSetting,
    texts.columnState,
    texts.columnWorker,
    texts.columnLoss,
  ]);
  for (const trial of sweep.trials) {
    const loss = trial.summary?.bestLoss ?? trial.progress?.validationLoss ?? trial.progress?.trainLoss;
    table.push([
      trial.trialId,
      trialLabel(trial, names, texts),
      texts.status(trial.status),
      trial.worker ?? trial.progress?.workerId ?? '',
      loss?.toFixed(4) ?? '',
    ]);
  }
  terminal.print(table.toString());
  for (const trial of sweep.trials) {
    if (trial.failure) terminal.print(texts.trialFailed(trialLabel(trial, names, texts), trial.failure.reason));
  }
  for (const sentence of sweep.waitsFor ?? []) terminal.say(terminal.colour('yellow', texts.waitsFor(sentence)));
  if (isSettled(sweep)) terminal.say(texts.reportHint(sweep.sweepId, context.command));
}

function countsOf(counts: SweepView['counts']): string {
  const total = Object.values(counts).reduce((sum, count) => sum + (count ?? 0), 0);
  return `${counts.completed ?? 0}/${total}`;
}

export async function report(context: Context, sweepId: string, format: string): Promise<void> {
  if (!Object.hasOwn(REPORT_FORMATS, format)) {
    throw new Trouble(context.texts.wrongRequest, EXIT_WRONG_REQUEST, [
      { path: '--format', message: context.texts.oneOf(Object.keys(REPORT_FORMATS).join(', '), format) },
    ]);
  }
  context.terminal.print(await fetchReportText(openClient(context), sweepId, format as ReportFormat));
}

export async function listCorpora(context: Context): Promise<void> {
  const corpora = await openClient(context).corpora();
  const { terminal, texts } = context;
  if (context.json) {
    terminal.print(JSON.stringify(corpora, null, 2));
    return;
  }
  const table = plainTable([
    texts.columnName,
    texts.columnState,
    texts.columnSentences,
    texts.columnVocabulary,
    texts.columnId,
  ]);
  for (const corpus of corpora) {
    const sentences = corpus.sentences ? String(corpus.sentences.train + corpus.sentences.test) : '';
    table.push([
      corpus.name,
      texts.readiness(corpus.state ?? corpus.status ?? 'ready'),
      sentences,
      String(corpus.vocabularySize ?? ''),
      corpus.corpusId ?? '',
    ]);
  }
  terminal.print(table.toString());
}

export async function makeBuiltinCorpus(context: Context, builtin: string): Promise<void> {
  await prepareAndTell(context, '/v1/corpora', { builtin }, true);
}

export async function listTeachers(context: Context): Promise<void> {
  const teachers = await openClient(context).teachers();
  const { terminal, texts } = context;
  if (context.json) {
    terminal.print(JSON.stringify(teachers, null, 2));
    return;
  }
  const table = plainTable([
    texts.columnName,
    texts.columnState,
    texts.columnLayers,
    texts.columnParameters,
    'BLEU-1',
    texts.columnId,
  ]);
  for (const teacher of teachers) {
    const { architecture, scores, parameters } = teacher;
    const best = scores ? `${scores.bleu1.at(-1)?.toFixed(4) ?? '-'} (${scores.snrDb.at(-1)} dB)` : '';
    const layers = architecture ? `${architecture.encoderLayers}+${architecture.decoderLayers}` : '';
    table.push([
      teacher.name,
      texts.readiness(teacher.state ?? teacher.status ?? 'ready'),
      layers,
      parameters ? shownRate(parameters.total) : '',
      best,
      teacher.teacherId ?? '',
    ]);
  }
  terminal.print(teachers.length > 0 ? table.toString() : texts.noTeachers(context.command));
}

export async function trainTeacher(
  context: Context,
  flags: Flags & { name?: string; corpus?: string; builtin?: string; wait?: boolean },
): Promise<void> {
  const body = {
    ...teacherTrainingBody(flags),
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.corpus === undefined ? {} : { corpus: flags.corpus }),
    ...(flags.builtin === undefined ? {} : { builtin: flags.builtin }),
  };
  checked(() => parseTeacherRequest(body), context.texts, flags);
  await prepareAndTell(context, '/v1/teachers', body, flags.wait !== false);
}

async function prepareAndTell(context: Context, path: string, body: object, waits: boolean): Promise<void> {
  const { texts, terminal, interrupted } = context;
  const client = openClient(context);
  const view = await client.json<PreparationView>(path, { method: 'POST', body, signal: interrupted });
  const done = waits ? await waitForPreparation(context, client, view) : view;
  if (context.json) terminal.print(JSON.stringify(done, null, 2));
  else if (done.status !== 'completed') terminal.say(texts.preparationQueued(done.preparationId));
  else
    terminal.say(
      done.kind === 'corpus'
        ? texts.corpusReady(done.name, done.corpusId ?? '')
        : texts.teacherReady(done.name, done.teacherId ?? ''),
    );
}
