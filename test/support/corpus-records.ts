// Stored corpora and models for tests, made the way a worker makes them: the tiny golden text through the real pipeline.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type CorpusOptions, type CorpusRecord, corpusIdOf, type StoredFile } from '#experiment';
import { buildCorpus, formatVocabulary, parseVocabulary, splitLines, type Vocabulary } from '#semcom';
import { keys, type ObjectStore, putJson } from '#storage';

export const TINY = new URL('../golden/tiny/', import.meta.url);
const OPTIONS: CorpusOptions = { minWords: 5, maxWords: 29, minCount: 1, trainShare: 0.8 };

export function tinyVocabulary(): Vocabulary {
  return parseVocabulary(readFileSync(new URL('vocab.json', TINY), 'utf8'));
}

/** Stores the tiny corpus and points its name at it. */
export async function putTinyCorpus(store: ObjectStore, name = 'tiny'): Promise<CorpusRecord> {
  const corpus = buildCorpus(splitLines(readFileSync(new URL('corpus.txt', TINY), 'utf8')), OPTIONS);
  const texts = {
    'vocab.json': formatVocabulary(corpus.vocabulary),
    'train.json': JSON.stringify(corpus.train),
    'test.json': JSON.stringify(corpus.test),
  };
  const described = Object.entries(texts).map(([file, text]) => ({
    name: file,
    text,
    size: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest('hex'),
  }));
  const corpusId = corpusIdOf({ options: OPTIONS, files: described });
  const files: StoredFile[] = [];
  for (const { text, ...file } of described) {
    const key = keys.corpusFile(corpusId, file.name);
    await store.put(key, Buffer.from(text));
    files.push({ ...file, key, contentType: 'application/json' });
  }
  const record: CorpusRecord = {
    corpusId,
    name,
    source: { kind: 'text', sha256: '0'.repeat(64), fileName: 'corpus.txt' },
    options: OPTIONS,
    vocabularySize: corpus.vocabulary.size,
    maxTokens: corpus.counts.maxTokens,
    sentences: { train: corpus.train.length, test: corpus.test.length },
    tokens: { train: corpus.counts.trainTokens, test: corpus.counts.testTokens },
    files,
    createdAt: '2026-01-02T03:04:05.000Z',
  };
  await putJson(store, keys.corpus(corpusId), record);
  await putJson(store, keys.corpusName(name), { id: corpusId });
  return record;
}
