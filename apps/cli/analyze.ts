// `semdistill analyze A B`: two models on the same sentences and noise; what differs, how sure that is, and the worst sentences.
import { writeFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import {
  type AnalysisOfChannel,
  type AnalysisReport,
  alignWords,
  differenceTable,
  parseAnalysisRequest,
  type SentenceComparison,
  wordsOf,
} from '#experiment';
import type { AnalysisView, ApiClient } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { fileTrouble } from './download.js';
import { waitForPreparation } from './prepare.js';
import { analysisBody, checked, type Flags } from './request-flags.js';
import { REPORT_FORMATS } from './results.js';
import { plainTable } from './sweep-table.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';

export interface AnalyzeFlags extends Flags {
  corpus?: string;
  worst?: string;
  output?: string;
  wait?: boolean;
}

const OUTPUTS = ['html', 'json', 'csv', 'md'] as const;
type Output = (typeof OUTPUTS)[number];
const WORST_SHOWN = 5;
const MOST_WORST = 20;

export async function analyze(
  context: Context,
  [a, b]: [string | undefined, string | undefined],
  flags: AnalyzeFlags,
): Promise<void> {
  const { texts, terminal, interrupted } = context;
  const { corpus } = flags;
  const models = { ...(a === undefined ? {} : { reference: a }), ...(b === undefined ? {} : { other: b }) };
  const body = { ...models, ...(corpus === undefined ? {} : { corpus }), ...analysisBody(flags) };
  const format = outputFormat(context, flags);
  const most = worstShown(context, flags.worst);
  inModels(() => checked(() => parseAnalysisRequest(body), texts, flags));
  const client = openClient(context);
  const asked = await inModels(() =>
    client.json<AnalysisView>('/v1/analyses', { method: 'POST', body, signal: interrupted }),
  );
  for (const { message } of context.json ? [] : asked.warnings) terminal.say(texts.warning(message));
  if (flags.wait === false) {
    if (context.json) terminal.print(JSON.stringify(asked, null, 2));
    else terminal.say(texts.analysisAccepted(asked.analysisId, texts.status(asked.state)));
    return;
  }
  await waitForPreparation(context, client, await client.preparation(asked.analysisId, interrupted));
  const done = await client.analysis(asked.analysisId, interrupted);
  if (format) await writeReport(context, client, { analysisId: done.analysisId, format, file: flags.output ?? '' });
  if (context.json) {
    terminal.print(JSON.stringify(done, null, 2));
    return;
  }
  if (done.result) tell(context, done.result, most);
  terminal.say(texts.analysisReady(done.analysisId, `${client.url}/v1/analyses/${done.analysisId}/report.html`));
}

export async function listAnalyses(context: Context): Promise<void> {
  const { terminal, texts } = context;
  const analyses = await openClient(context).analyses();
  if (context.json) {
    terminal.print(JSON.stringify(analyses, null, 2));
    return;
  }
  const table = plainTable(['A', 'B', texts.columnState, texts.columnCreated, texts.columnId]);
  for (const { reference, other, state, createdAt, analysisId } of analyses) {
    const created = createdAt.slice(0, 19).replace('T', ' ');
    table.push([plain(reference.label), plain(other.label), texts.status(state), created, analysisId]);
  }
  terminal.print(analyses.length > 0 ? table.toString() : texts.noAnalyses(context.command));
}

/** By the ending of the file; nothing is asked for that could not be written. */
function outputFormat({ texts }: Context, { output, wait }: AnalyzeFlags): Output | undefined {
  if (output === undefined) return undefined;
  const ending = extname(output).slice(1).toLowerCase();
  const format = OUTPUTS.find((name) => name === ending);
  const refuse = (message: string) =>
    new Trouble(texts.wrongRequest, EXIT_WRONG_REQUEST, [{ path: '--output', message }]);
  if (!format) throw refuse(texts.outputFormat(OUTPUTS.map((name) => `.${name}`).join(', '), output));
  if (wait === false) throw refuse(texts.outputNeedsEnd);
  return format;
}

function worstShown({ texts }: Context, typed: string | undefined): number {
  if (typed === undefined) return WORST_SHOWN;
  const value = /^\d{1,3}$/.test(typed) ? Number(typed) : Number.NaN;
  if (value <= MOST_WORST) return value;
  const message = texts.wholeNumber(0, MOST_WORST, typed);
  throw new Trouble(texts.wrongRequest, EXIT_WRONG_REQUEST, [{ path: '--worst', message }]);
}

/** Faults speak of A and B, as the command does. */
function inModels<T>(work: () => T): T {
  const spoken = (error: unknown) => {
    if (!(error instanceof Trouble)) return error;
    const names: Record<string, string> = { reference: 'A', other: 'B', corpus: '--corpus' };
    const faults = error.faults.map(({ path, message }) => ({ path: names[path] ?? path, message }));
    return new Trouble(error.message, error.exitCode, faults, { cause: error.cause });
  };
  try {
    const result = work();
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => {
      throw spoken(error);
    }) as T;
  } catch (error) {
    throw spoken(error);
  }
}

async function writeReport(
  { texts, terminal, workingFolder, interrupted }: Context,
  client: ApiClient,
  { analysisId, format, file }: { analysisId: string; format: Output; file: string },
): Promise<void> {
  // Markdown is in one language; the page holds both.
  const name = format === 'md' && texts.language === 'zh' ? 'report/report.zh.md' : `report.${format}`;
  const response = await client.send(`/v1/analyses/${encodeURIComponent(analysisId)}/${name}`, {
    accept: `${REPORT_FORMATS[format]}, */*`,
    signal: interrupted,
  });
  try {
    await writeFile(resolve(workingFolder, file), Buffer.from(await response.arrayBuffer()));
  } catch (error) {
    throw fileTrouble(error, file, texts);
  }
  terminal.say(texts.analysisWritten(file));
}

/** Table, findings and worst sentences, on stdout. */
function tell(context: Context, report: AnalysisReport, most: number): void {
  const { texts, terminal } = context;
  const { reference, other, corpus, conditions, findings } = report;
  const [labelA, labelB] = [plain(reference.label), plain(other.label)];
  const { sentences } = conditions;
  terminal.print(texts.analysisModels({ a: labelA, b: labelB, corpus: plain(corpus.name), sentences }));
  for (const channel of report.channels) {
    if (report.channels.length > 1) terminal.print(`\n${texts.analysisOver(channel.channel)}`);
    const { columns, rows } = differenceTable(channel, texts.language);
    const table = plainTable(columns, [1, 2, 3, 5, 6]);
    table.push(...rows);
    terminal.print(`\n${table.toString()}\n`);
    tellWorst(context, channel, { snrDb: conditions.headlineSnrDb, most });
  }
  terminal.print('');
  for (const { text } of findings) terminal.print(text[texts.language]);
}

function tellWorst(
  { texts, terminal }: Context,
  channel: AnalysisOfChannel,
  { snrDb, most }: { snrDb: number; most: number },
): void {
  if (most === 0) return;
  const shown = channel.worst.slice(0, most).flatMap((place) => channel.sentences[place] ?? []);
  terminal.print(shown.length > 0 ? texts.analysisWorst(snrDb) : texts.analysisNoWorst);
  for (const sentence of shown) {
    const { source, reference, other } = sentence;
    terminal.print(`  ${texts.analysisSent}  ${plain(source)}`);
    for (const [name, received] of [
      ['A', reference],
      ['B', other],
    ] as const)
      terminal.print(
        `  ${name.padEnd(texts.analysisSent.length)}  ${marked(terminal, sentence, received.text)}  (BLEU-1 ${received.bleu1.toFixed(3)})`,
      );
    terminal.print('');
  }
}

/** Wrong words in stars, missing ones in brackets; red where there is colour. */
function marked(terminal: Context['terminal'], { source }: SentenceComparison, received: string): string {
  return alignWords(wordsOf(source), wordsOf(received))
    .map(({ kind, word }) => {
      if (kind === 'same') return plain(word);
      return terminal.colour('red', kind === 'missing' ? `[${plain(word)}]` : `*${plain(word)}*`, 'out');
    })
    .join(' ');
}

/** Words come from outside: nothing in them steers the terminal. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '\ufffd');
}
