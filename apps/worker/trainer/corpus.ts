// Text to a corpus: the reference pipeline, then vocab.json and the token ids of both splits.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildCorpus, CorpusError, formatVocabulary, splitLines, splitSentences } from '#semcom';
import type { TrainerJob } from '../trainer-protocol.js';
import { JSON_TYPE, makeFolder } from './files.js';
import { ImpossibleJob, type TrainerPort } from './port.js';

export async function prepareCorpus(
  job: Extract<TrainerJob, { kind: 'prepare-corpus' }>,
  workFolder: string,
  port: TrainerPort,
): Promise<void> {
  const text = await readFile(job.textFile, 'utf8');
  // Speeches are running prose; a user's file has one sentence or paragraph a line, as the reference takes it.
  const lines = job.source.kind === 'builtin' ? splitSentences(text) : splitLines(text);
  let corpus: ReturnType<typeof buildCorpus>;
  try {
    corpus = buildCorpus(lines, job.options);
  } catch (error) {
    if (error instanceof CorpusError) throw new ImpossibleJob(error.message);
    throw error;
  }
  const folder = await makeFolder(workFolder, 'corpus');
  await writeFile(join(folder, 'vocab.json'), formatVocabulary(corpus.vocabulary));
  await writeFile(join(folder, 'train.json'), JSON.stringify(corpus.train));
  await writeFile(join(folder, 'test.json'), JSON.stringify(corpus.test));
  port.send({
    type: 'corpus-completed',
    corpus: {
      name: job.name,
      source: job.source,
      options: job.options,
      vocabularySize: corpus.vocabulary.size,
      maxTokens: corpus.counts.maxTokens,
      sentences: { train: corpus.train.length, test: corpus.test.length },
      tokens: { train: corpus.counts.trainTokens, test: corpus.counts.testTokens },
    },
    files: ['vocab.json', 'train.json', 'test.json'].map((name) => ({ name, contentType: JSON_TYPE })),
  });
}
