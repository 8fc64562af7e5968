// `semdistill corpus add` and `corpus show`: text or token ids of a user on their way into the store, and what the corpus
// made of them is like.
import { basename, resolve } from 'node:path';
import {
  type CorpusRecord,
  type Fault,
  InvalidRequest,
  parseCorpusTokens,
  parseCorpusUpload,
  TextFileCheck,
} from '#experiment';
import type { ApiClient, PreparationView } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { type CorpusSource, openSource } from './corpus-source/corpus-source.js';
import { ENCODINGS, type Encoding, SourceFault } from './corpus-source/decode.js';
import { formBody } from './form-body.js';
import { waitForPreparation } from './prepare.js';
import { EXIT_WRONG_REQUEST, Interrupted, systemCode, Trouble } from './trouble.js';
import { shownBytes } from './wording.js';

const DRAW_EVERY_MS = 250;
const OPTIONS = ['name', 'minWords', 'maxWords', 'minCount', 'topWords', 'split'] as const;

type TextSource = Extract<CorpusSource, { kind: 'text' }>;
export type CorpusFlags = Partial<Record<(typeof OPTIONS)[number] | 'encoding' | 'column', string>> & {
  wait?: boolean;
};

export async function addCorpus(context: Context, file: string, flags: CorpusFlags): Promise<void> {
  const { texts, terminal, workingFolder } = context;
  const query = Object.fromEntries(
    OPTIONS.flatMap((name) => (flags[name] === undefined ? [] : [[name, String(flags[name])]])),
  );
  const faults: Fault[] = [];
  const encoding = encodingOf(flags.encoding, faults, context);
  const path = resolve(workingFolder, file);
  const options = {
    ...(encoding === undefined ? {} : { encoding }),
    ...(flags.column === undefined ? {} : { column: flags.column }),
  };
  const source = await inSentences(context, file, faults, () => openSource(path, options));
  const parse = source?.kind === 'tokens' ? parseCorpusTokens : parseCorpusUpload;
  faults.push(...faultsIn(() => parse(query)).map((fault) => ({ ...fault, path: flagOf(fault.path) })));
  // Looked through before it is sent: what the server would refuse costs no upload.
  if (source?.kind === 'text') {
    await inSentences(context, file, faults, () => lookThrough(context, source));
  }
  if (!source || faults.length > 0) throw new Trouble(texts.wrongRequest, EXIT_WRONG_REQUEST, faults);
  const client = openClient(context);
  const view = await send(context, client, source, query);
  const done = flags.wait === false ? view : await waitForPreparation(context, client, view);
  const corpus = done.corpusId === undefined ? undefined : await corpusOf(client, done.corpusId);
  if (context.json) terminal.print(JSON.stringify({ ...done, ...(corpus ? { corpus } : {}) }, null, 2));
  else if (done.status !== 'completed') terminal.say(texts.preparationQueued(done.preparationId));
  else {
    for (const line of corpus ? statisticsLines(context, { ...corpus, name: done.name }) : []) terminal.say(line);
    terminal.say(texts.corpusReady(done.name, done.corpusId ?? ''));
  }
}

export async function showCorpus(context: Context, idOrName: string): Promise<void> {
  const corpus = await corpusOf(openClient(context), idOrName);
  if (context.json) context.terminal.print(JSON.stringify(corpus, null, 2));
  else for (const line of statisticsLines(context, corpus)) context.terminal.print(line);
}

function corpusOf(client: ApiClient, idOrName: string): Promise<CorpusRecord> {
  return client.json<CorpusRecord>(`/v1/corpora/${encodeURIComponent(idOrName)}`);
}

function statisticsLines({ texts }: Context, corpus: CorpusRecord): string[] {
  const { sentences, statistics, vocabularySize, name } = corpus;
  if (sentences === undefined) return [];
  const lines = [texts.corpusSizes({ name, ...sentences, words: vocabularySize })];
  if (!statistics) return lines;
  if (statistics.text) lines.push(texts.corpusText(statistics.text));
  lines.push(texts.corpusLengths(statistics));
  if (statistics.testInTraining > 0) {
    lines.push(texts.warning(texts.corpusLeak(statistics.testInTraining, sentences.test)));
  }
  return lines;
}

async function send(
  context: Context,
  client: ApiClient,
  source: CorpusSource,
  query: Record<string, string>,
): Promise<PreparationView> {
  const signal = context.interrupted;
  if (source.kind === 'tokens') {
    const raw = formBody({ fields: query, files: source.files });
    return client.json<PreparationView>('/v1/corpora', { method: 'POST', raw, signal });
  }
  const pieces = withProgress(context, source, context.texts.sendingText);
  const raw = { body: ReadableStream.from(pieces) as ReadableStream, contentType: 'text/plain; charset=utf-8' };
  return client.json<PreparationView>('/v1/corpora', { method: 'POST', query, raw, signal });
}

async function lookThrough(context: Context, source: TextSource): Promise<void> {
  const check = new TextFileCheck();
  for await (const piece of withProgress(context, source, context.texts.readingText)) check.push(piece);
  check.finish();
}

async function* withProgress(
  { terminal, interrupted }: Context,
  source: TextSource,
  line: (have: string, total: string, percent: number) => string,
): AsyncGenerator<Buffer> {
  let read = 0;
  let drawnAt = performance.now();
  const onRead = (bytes: number) => {
    read += bytes;
  };
  try {
    for await (const piece of source.read(onRead)) {
      if (interrupted.aborted) throw new Interrupted();
      yield piece;
      if (performance.now() - drawnAt < DRAW_EVERY_MS) continue;
      drawnAt = performance.now();
      const percent = Math.floor((100 * read) / Math.max(1, source.size));
      terminal.live([line(shownBytes(read), shownBytes(source.size), percent)]);
    }
  } finally {
    terminal.live([]);
  }
}

function encodingOf(typed: string | undefined, faults: Fault[], { texts }: Context): Encoding | undefined {
  const wanted = typed
    ?.toLowerCase()
    .replace(/^utf8$/, 'utf-8')
    .replace(/^(latin-1|iso-?8859-1)$/, 'latin1');
  const found = ENCODINGS.find((encoding) => encoding === wanted);
  if (typed !== undefined && !found) {
    faults.push({ path: '--encoding', message: texts.oneOf(ENCODINGS.join(', '), typed) });
  }
  return found;
}

/** What is wrong with the file becomes a fault under its name; what cannot be read at all ends the command. */
async function inSentences<T>(
  { texts }: Context,
  file: string,
  faults: Fault[],
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SourceFault) faults.push({ path: basename(file), message: error.message });
    else if (error instanceof InvalidRequest) {
      faults.push(...error.faults.map(({ message }) => ({ path: basename(file), message })));
    } else if (systemCode(error) !== undefined) {
      throw new Trouble(texts.cannotRead(file, systemCode(error) ?? ''), EXIT_WRONG_REQUEST, [], { cause: error });
    } else throw error;
    return undefined;
  }
}

function faultsIn(parse: () => unknown): Fault[] {
  try {
    parse();
    return [];
  } catch (error) {
    if (error instanceof InvalidRequest) return error.faults;
    throw error;
  }
}

function flagOf(field: string): string {
  return `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
