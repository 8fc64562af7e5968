// Files in and out as a user moves them: the built command against the real API, a real worker and real trainers.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { INestApplicationContext } from '@nestjs/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCheckpoint, writePyTorch } from '#checkpoint';
import type { CorpusRecord } from '#experiment';
import { startWorker } from '../../apps/worker/start-worker.js';
import { putTinyCorpus, TINY } from '../support/corpus-records.js';
import { API_KEY, type ApiServer, startTestApi } from './api-server.js';

const MAIN = resolve(import.meta.dirname, '../../dist/apps/cli/main.js');
const at = (file: string) => fileURLToPath(new URL(file, TINY));

let api: ApiServer;
let worker: INestApplicationContext;
let folder: string;
let corpus: CorpusRecord;

beforeAll(async () => {
  api = await startTestApi();
  corpus = await putTinyCorpus(api.store);
  folder = mkdtempSync(join(tmpdir(), 'semdistill-files-'));
  worker = await startWorker({ ...api.config, cacheFolder: join(folder, 'cache'), logLevel: 'error', threads: 1 });
});

afterAll(async () => {
  await worker?.close();
  await api?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(...command: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const env = { ...process.env, LC_ALL: 'C', NO_COLOR: '1', SEMDISTILL_URL: api.url, SEMDISTILL_API_KEY: API_KEY };
  const child = spawn(process.execPath, [MAIN, ...command], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const result = { code: null as number | null, out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    result.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    result.err += chunk;
  });
  result.code = await new Promise((done) => child.once('close', (code) => done(code)));
  return result;
}

test('teacher import: a dry run tells, the import measures and warns, the heads are asked for', async () => {
  const wrapped = [...readCheckpoint(readFileSync(at('teacher.safetensors'))).tensors.values()];
  writeFileSync(
    join(folder, 'teacher.pth'),
    writePyTorch(wrapped.map((tensor) => ({ ...tensor, name: `module.${tensor.name}` }))),
  );
  const asked = await run('teacher', 'import', 'teacher.pth', '--vocab', at('vocab.json'), '--dry-run');
  expect(asked.code).toBe(2);
  expect(asked.err).toContain('a DeepSC of 4+4 layers, width 32, feed-forward 64, ? heads, 60 words');
  expect(asked.err).toContain('give it (--heads): width 32 can have 1, 2, 4, 8, 16, 32');

  const dry = await run('teacher', 'import', 'teacher.pth', '--vocab', at('vocab.json'), '--heads', '4', '--dry-run');
  expect(dry).toMatchObject({ code: 0, out: '' });
  expect(dry.err).toContain('teacher.pth: pytorch-zip');
  expect(dry.err).toContain('(under module.*)');

  const done = await run('teacher', 'import', 'teacher.pth', '--vocab', at('vocab.json'), '--heads', '4');
  expect(done.code).toBe(0);
  expect(done.out).toMatch(/BLEU-1.*0\.\d{4}/);
  expect(done.err).toContain('teacher teacher is ready');
  expect(done.err).not.toContain('not a trained model');
  const { body } = await api.get('/v1/teachers/teacher');
  expect(body).toMatchObject({ corpusId: corpus.corpusId, origin: { kind: 'imported', fileName: 'teacher.pth' } });

  const random = await run('teacher', 'import', at('student.pth'), '--corpus', 'tiny', '--heads', '4', '--name', 'raw');
  expect(random.code).toBe(0);
  expect(random.err).toMatch(/warning: BLEU-1 0\.\d{3} at 18 dB: this is not a trained model for this vocabulary/);
});

test('teacher import: faults are told as flags, and a file that is none is named', async () => {
  const wrong = await run('teacher', 'import', 'nowhere.pth', '--heads', 'x');
  expect(wrong.code).toBe(2);
  expect(wrong.err).toMatch(/--heads: must be a whole number/);
  expect(wrong.err).toMatch(/--vocab: is required/);
  const missing = await run('teacher', 'import', 'nowhere.pth', '--corpus', 'tiny');
  expect(missing).toMatchObject({ code: 2, out: '' });
  expect(missing.err).toContain('nowhere.pth cannot be read (ENOENT)');
  const text = await run('teacher', 'import', at('corpus.txt'), '--corpus', 'tiny');
  expect(text.code).toBe(2);
  expect(text.err).toMatch(/model: .*not/);
});

/** Lists of ids as Python's pickle writes them. */
function pickled(sentences: number[][]): Buffer {
  const list = (items: Buffer[]) => Buffer.concat([Buffer.from([0x5d, 0x28]), ...items, Buffer.from([0x65])]);
  const lists = sentences.map((ids) => list(ids.map((id) => Buffer.from([0x4b, id]))));
  return Buffer.concat([Buffer.from([0x80, 2]), list(lists), Buffer.from([0x2e])]);
}

const WORDS = ['the', 'house', 'votes', 'on', 'every', 'motion', 'today'];
const sentence = (i: number) => `${WORDS.join(' ')} ${WORDS[i % 7]} ${WORDS[Math.floor(i / 7) % 7]} .`;

test('corpus add: a compressed text, a table and Latin-1 become corpora, with statistics', async () => {
  const lines = Array.from({ length: 40 }, (_, i) => sentence(i));
  writeFileSync(join(folder, 'speeches.txt.gz'), gzipSync([...lines, 'too short', lines[0]].join('\n')));
  const packed = await run('corpus', 'add', 'speeches.txt.gz', '--name', 'packed');
  expect(packed).toMatchObject({ code: 0, out: '' });
  expect(packed.err).toContain('corpus packed: 40 sentences (36 train, 4 test), vocabulary of 12');
  expect(packed.err).toContain('of 42 lines 41 have the right length, 40 of them are different, 40 are kept');
  expect(packed.err).toMatch(/the vocabulary covers 100\.00 % .* 0 test sentences stand in training too/);

  writeFileSync(join(folder, 'table.csv'), `id,speech\n${lines.map((line, i) => `${i},"${line}"\n`).join('')}`);
  const table = await run('corpus', 'add', 'table.csv', '--name', 'table', '--column', 'speech', '--json');
  expect(table.code).toBe(0);
  expect(JSON.parse(table.out).corpus).toMatchObject({ sentences: { train: 36, test: 4 } });
  expect((await run('corpus', 'add', 'table.csv', '--name', 'x')).err).toContain('its columns are "id", "speech"');

  writeFileSync(join(folder, 'latin.txt'), Buffer.from(lines.join('\n').replaceAll('every', 'éverý'), 'latin1'));
  const latin = await run('corpus', 'add', 'latin.txt', '--name', 'latin', '--encoding', 'latin1');
  expect(latin.code).toBe(0);
  const shown = await run('corpus', 'show', 'latin');
  expect(shown.out).toContain('corpus latin: 40 sentences');
  const refused = await run('corpus', 'add', 'latin.txt', '--name', 'latin');
  expect(refused.code).toBe(2);
  expect(refused.err).toMatch(/ {2}- latin\.txt: it is not utf-8; name its encoding with --encoding/);
});

test("corpus add: the reference's pickles are checked, kept to the id, and repetitions between splits are told", async () => {
  const train = Array.from({ length: 20 }, (_, i) => [1, 4 + (i % 50), 10, 11, 2]);
  const test = [train[3] as number[], [1, 59, 58, 57, 56, 2]];
  writeFileSync(join(folder, 'train_data.pkl'), pickled(train));
  writeFileSync(join(folder, 'test_data.pkl'), pickled(test));
  writeFileSync(join(folder, 'vocab.json'), readFileSync(at('vocab.json')));
  const done = await run('corpus', 'add', 'train_data.pkl', '--name', 'pickles');
  expect(done.code).toBe(0);
  expect(done.err).toContain('corpus pickles: 22 sentences (20 train, 2 test), vocabulary of 60');
  expect(done.err).toContain('warning: 1 of 2 test sentences stand in training too');
  const { body } = await api.get('/v1/corpora/pickles');
  expect(body.source.files.map(({ fileName }: { fileName: string }) => fileName)).toEqual([
    'train_data.pkl',
    'test_data.pkl',
    'vocab.json',
  ]);
  const file = (body as CorpusRecord).files.find(({ name }) => name === 'train.json');
  expect(JSON.parse((await api.store.get(file?.key ?? '')).toString())).toEqual(train);

  writeFileSync(join(folder, 'test_data.pkl'), pickled([[1, 60, 2]]));
  const beyond = await run('corpus', 'add', 'train_data.pkl', '--name', 'beyond');
  expect(beyond.code).toBe(1);
  expect(beyond.err).toContain('Sentence 0 of test_data.pkl holds the id 60, but the vocabulary has 60 words');
  writeFileSync(join(folder, 'test_data.pkl'), pickled([[4, 5, 6]]));
  const bare = await run('corpus', 'add', 'train_data.pkl', '--name', 'bare');
  expect(bare.err).toContain('Sentence 0 of test_data.pkl is not <START> (1), words, <END> (2)');
  writeFileSync(join(folder, 'test_data.pkl'), Buffer.from('cposix\nsystem\n(S"true"\ntR.'));
  const hostile = await run('corpus', 'add', 'train_data.pkl', '--name', 'hostile');
  expect(hostile.code).toBe(1);
  expect(hostile.err).toMatch(/posix.system/);
});
