// A corpus as vocab.json and the token ids of both splits: made from text by the reference pipeline, or checked where the
// ids were made elsewhere.
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CheckpointError, readPickledLists } from '#checkpoint';
import type { CorpusRecord } from '#experiment';
import {
  type Corpus,
  CorpusBuilder,
  CorpusError,
  END,
  formatVocabulary,
  LineSplitter,
  parseVocabulary,
  START,
  splitSentences,
  tokenStatistics,
  type Vocabulary,
  VocabularyError,
} from '#semcom';
import type { TrainerJob } from '../trainer-protocol.js';
import { JSON_TYPE, makeFolder } from './files.js';
import { ImpossibleJob, type TrainerPort, throttled } from './port.js';

type CorpusJob = Extract<TrainerJob, { kind: 'prepare-corpus' }>;
type TokensJob = Extract<TrainerJob, { kind: 'import-corpus' }>;
type CorpusFacts = Pick<CorpusRecord, 'name' | 'source' | 'options'> & {
  text?: NonNullable<CorpusRecord['statistics']>['text'];
};

export async function prepareCorpus(job: CorpusJob, workFolder: string, port: TrainerPort): Promise<void> {
  const { name, source, options } = job;
  const corpus = await inWords(() => corpusOfText(job, port));
  const { lines, inLength, unique, kept, testLeftOut } = corpus.counts;
  const text = { lines, inLength, unique, kept, ...(testLeftOut === undefined ? {} : { testLeftOut }) };
  await keep(corpus, { name, source, options, text }, workFolder, port);
}

/** The reference's train_data.pkl, test_data.pkl and vocab.json, held against each other. */
export async function importCorpus(job: TokensJob, workFolder: string, port: TrainerPort): Promise<void> {
  const { name, source, files } = job;
  const corpus = await inWords(async () => {
    const vocabulary = parseVocabulary(await readFile(files.vocabulary.path, 'utf8'));
    const read = async ({ path, fileName }: TokensJob['files']['train']) => {
      const sentences = readPickledLists(await readFile(path));
      refuseUnfit(sentences, vocabulary, fileName);
      return sentences;
    };
    return { vocabulary, train: await read(files.train), test: await read(files.test) };
  });
  await keep(corpus, { name, source }, workFolder, port);
}

async function corpusOfText(job: CorpusJob, port: TrainerPort): Promise<Corpus> {
  const builder = new CorpusBuilder(job.options);
  if (job.source.kind === 'builtin') {
    // Speeches are running prose; a user's file has one sentence or paragraph a line, as the reference takes it.
    for (const line of splitSentences(await readFile(job.textFile, 'utf8'))) builder.add(line);
    return builder.finish();
  }
  const { size } = await stat(job.textFile);
  const tell = throttled((fraction: number) => port.send({ type: 'reading', fraction }));
  const decoder = new TextDecoder();
  const splitter = new LineSplitter();
  let done = 0;
  for await (const bytes of createReadStream(job.textFile, { highWaterMark: 1024 * 1024 })) {
    for (const line of splitter.push(decoder.decode(bytes as Buffer, { stream: true }))) builder.add(line);
    done += (bytes as Buffer).length;
    tell(done / size);
  }
  for (const line of splitter.finish()) builder.add(line);
  return builder.finish();
}

/** Ids beyond the vocabulary, sentences without START and END, and splits without sentences are no corpus. */
function refuseUnfit(sentences: number[][], vocabulary: Vocabulary, fileName: string): void {
  if (sentences.length === 0) throw new CorpusError(`${fileName} holds no sentence.`);
  for (const [place, ids] of sentences.entries()) {
    const beyond = ids.find((id) => id >= vocabulary.size);
    if (beyond !== undefined) {
      throw new CorpusError(
        `Sentence ${place} of ${fileName} holds the id ${beyond}, but the vocabulary has ${vocabulary.size} words: the files do not belong together.`,
      );
    }
    if (ids.length < 3 || ids[0] !== START || ids.at(-1) !== END) {
      throw new CorpusError(
        `Sentence ${place} of ${fileName} is not <START> (${START}), words, <END> (${END}): give the file as the reference pipeline writes it, unpadded.`,
      );
    }
  }
}

async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CorpusError || error instanceof CheckpointError || error instanceof VocabularyError)
      throw new ImpossibleJob(error.message);
    throw error;
  }
}

async function keep(
  corpus: Pick<Corpus, 'vocabulary' | 'train' | 'test'>,
  { text, ...facts }: CorpusFacts,
  workFolder: string,
  port: TrainerPort,
): Promise<void> {
  const { vocabulary, train, test } = corpus;
  const folder = await makeFolder(workFolder, 'corpus');
  await writeFile(join(folder, 'vocab.json'), formatVocabulary(vocabulary));
  await writeSentences(join(folder, 'train.json'), train);
  await writeSentences(join(folder, 'test.json'), test);
  const tokens = (split: number[][]) => split.reduce((sum, ids) => sum + ids.length, 0);
  const statistics = tokenStatistics(corpus, vocabulary.size);
  port.send({
    type: 'corpus-completed',
    corpus: {
      ...facts,
      vocabularySize: vocabulary.size,
      maxTokens: statistics.tokensPerSentence.max,
      sentences: { train: train.length, test: test.length },
      tokens: { train: tokens(train), test: tokens(test) },
      statistics: { ...(text ? { text } : {}), ...statistics },
    },
    files: ['vocab.json', 'train.json', 'test.json'].map((name) => ({ name, contentType: JSON_TYPE })),
  });
}

const PIECE_SENTENCES = 4096;

/** The bytes of JSON.stringify, in pieces: millions of sentences do not fit one string. */
async function writeSentences(path: string, sentences: number[][]): Promise<void> {
  await pipeline(function* () {
    yield '[';
    for (let at = 0; at < sentences.length; at += PIECE_SENTENCES) {
      const piece = JSON.stringify(sentences.slice(at, at + PIECE_SENTENCES));
      yield `${at === 0 ? '' : ','}${piece.slice(1, -1)}`;
    }
    yield ']';
  }, createWriteStream(path));
}
