// What `corpus add` is pointed at: a text, a compressed text, a column of a table, a folder of texts (Europarl), or the
// reference's pickled token ids; told by name and content, and turned into one UTF-8 text, a paragraph a line.
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MAX_TEXT_BYTES } from '#experiment';
import { bytesOf, type Encoding, firstBytes, markedEncoding, SourceFault, textOf } from './decode.js';
import { columnOfJsonLines, columnOfRows, linesOf, separatedRows } from './records.js';

export interface SourceOptions {
  encoding?: Encoding;
  /** Of a CSV, TSV or JSON lines file. */
  column?: string;
}

export type CorpusSource =
  | {
      kind: 'text';
      /** Bytes of the files as they lie on the disk. */
      size: number;
      /** UTF-8; `onRead` hears how many bytes of the files have been read. Can be called again. */
      read(onRead: (bytes: number) => void): AsyncGenerator<Buffer>;
    }
  | { kind: 'tokens'; files: { train: string; test: string; vocabulary: string } };

const DEFAULT_COLUMN = 'text';
const TABLE = /\.(csv|tsv|jsonl|ndjson)(?:\.gz)?$/i;
const LINE_END = Buffer.from('\n');

/** Looks at the path. Throws SourceFault when nothing there can be a corpus, system errors when it cannot be read. */
export async function openSource(path: string, options: SourceOptions): Promise<CorpusSource> {
  if (/\.(pkl|pickle)$/i.test(path)) return tokensBeside(dirname(path), basename(path));
  const facts = await stat(path);
  if (!facts.isDirectory()) {
    if (facts.size > MAX_TEXT_BYTES && !(await mayShrink(path, options))) {
      throw new SourceFault(`it has ${facts.size} bytes; a text may have ${MAX_TEXT_BYTES} (2 GiB): send a part of it`);
    }
    return { kind: 'text', size: facts.size, read: (onRead) => readFile(path, options, onRead) };
  }
  const names = (await readdir(path)).sort();
  if (names.includes('train_data.pkl')) return tokensBeside(path, 'train_data.pkl');
  const files = names.filter((name) => /\.txt(\.gz)?$/i.test(name)).map((name) => join(path, name));
  if (files.length === 0) {
    throw new SourceFault(
      `the folder holds no .txt file and no train_data.pkl; it holds ${names.length === 0 ? 'nothing' : names.slice(0, 8).join(', ')} (of Europarl, name the folder of one language: txt/en)`,
    );
  }
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return {
    kind: 'text',
    size: sizes.reduce((sum, size) => sum + size, 0),
    async *read(onRead) {
      for (const file of files) {
        try {
          yield* readFile(file, options, onRead);
        } catch (error) {
          if (error instanceof SourceFault) throw new SourceFault(`${basename(file)}: ${error.message}`);
          throw error;
        }
        yield LINE_END;
      }
    },
  };
}

/** Whether the text in UTF-8 may be shorter than its file: one column of a table, or two bytes a letter. */
async function mayShrink(path: string, { encoding }: SourceOptions): Promise<boolean> {
  if (TABLE.test(path)) return true;
  return (encoding ?? markedEncoding(await firstBytes(path)) ?? 'utf-8').startsWith('utf-16');
}

/** train_data.pkl with test_data.pkl beside it, and vocab.json beside it or one folder up, as the reference leaves them. */
async function tokensBeside(folder: string, train: string): Promise<CorpusSource> {
  if (!/train/i.test(train)) {
    throw new SourceFault(
      `of the reference's files name the training split (train_data.pkl); test_data.pkl and vocab.json are looked for beside it`,
    );
  }
  const present = async (...paths: string[]) => {
    for (const path of paths) if (await stat(path).catch(() => undefined)) return path;
    return undefined;
  };
  const test = await present(join(folder, train.replace(/train/i, 'test')));
  const vocabulary = await present(join(folder, 'vocab.json'), join(dirname(folder), 'vocab.json'));
  const missing = [test ? '' : train.replace(/train/i, 'test'), vocabulary ? '' : 'vocab.json'].filter(Boolean);
  if (test === undefined || vocabulary === undefined) {
    throw new SourceFault(`${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} missing beside ${train}`);
  }
  return { kind: 'tokens', files: { train: join(folder, train), test, vocabulary } };
}

async function* readFile(
  path: string,
  { encoding, column }: SourceOptions,
  onRead: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  const bytes = bytesOf(path, onRead);
  const kind = TABLE.exec(path)?.[1]?.toLowerCase();
  if (kind === undefined) {
    if (column !== undefined) throw new SourceFault('--column is for .csv, .tsv and .jsonl files');
    yield* inUtf8(textOf(bytes, encoding));
    return;
  }
  const text = textOf(bytes, encoding);
  const wanted = column ?? DEFAULT_COLUMN;
  const cells =
    kind === 'csv' || kind === 'tsv'
      ? columnOfRows(separatedRows(text, kind === 'csv' ? ',' : '\t'), wanted)
      : columnOfJsonLines(linesOf(text), wanted);
  yield* inUtf8(withLineEnds(cells));
}

async function* withLineEnds(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let held = '';
  for await (const line of lines) {
    held += `${line}\n`;
    if (held.length < 65_536) continue;
    yield held;
    held = '';
  }
  yield held;
}

async function* inUtf8(text: AsyncIterable<string>): AsyncGenerator<Buffer> {
  for await (const piece of text) if (piece !== '') yield Buffer.from(piece);
}
