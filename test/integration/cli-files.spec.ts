// Files in and out as a user moves them: the built command against the real API, a real worker and real trainers.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
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
