// Files in and out as a user moves them: the built command against the real API, a real worker and real trainers.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { INestApplicationContext } from '@nestjs/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NamedTensor, readCheckpoint, writePyTorch, writeSafetensors } from '#checkpoint';
import type { CorpusRecord, HybridRecord, TeacherRecord, TrialResult, TrialSpec, Warning } from '#experiment';
import { getJson, keys, putJson } from '#storage';
import { startWorker } from '../../apps/worker/start-worker.js';
import { runCli } from '../support/cli-process.js';
import { putTinyCorpus, TINY } from '../support/corpus-records.js';
import { putResult, specOf } from '../support/fleet-records.js';
import { findPython } from '../support/python.js';
import { API_KEY, type ApiServer, startTestApi } from './api-server.js';

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

const run = (...command: string[]) => runCli(command, { folder, url: api.url, apiKey: API_KEY });

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

  // Said again where students would learn from it.
  const sweep = await run('sweep', '--teacher', 'raw', '--temperature', '2,4', '--student-layers', '1', '--dry-run');
  expect(sweep.code).toBe(0);
  expect(sweep.err).toMatch(
    /warning: Teacher raw: BLEU-1 0\.\d{3} at 18 dB: this is not a trained model .* import it again/,
  );
  const distillation = { teacher: 'raw', temperature: 2, studentLayers: 1, epochs: 1 };
  const { status, body: accepted } = await api.post('/v1/distillations', distillation);
  expect(status).toBe(202);
  expect(accepted.warnings.map(({ code }: Warning) => code)).toContain('teacher-untrained');
  await api.post(`/v1/sweeps/${accepted.sweepId}/cancel`, {});
});

test('teacher import: what is noted and warned of is said in Chinese too', async () => {
  const command = ['teacher', 'import', 'wide.safetensors', '--corpus', 'tiny', '--name', 'raw', '--language', 'zh'];
  const student = [...readCheckpoint(readFileSync(at('student.pth'))).tensors.values()];
  const table = student.find(({ name }) => name === 'encoder.pos_encoding.pe') as NamedTensor;
  const wrong = { ...table, bytes: new Uint8Array(table.bytes.length) };
  const tensors = student.map((tensor) => (tensor === table ? wrong : tensor));
  writeFileSync(join(folder, 'wide.safetensors'), writeSafetensors(tensors, { architecture: '{"heads":8}' }));
  const done = await run(...command, '--heads', '4');
  expect(done.code).toBe(0);
  expect(done.err).toContain('注意：文件写明 8 个注意力头；按要求取 4 个。');
  expect(done.err).toContain('注意：encoder.pos_encoding.pe 不是参考实现的正弦表（第 0 行）');
  expect(done.err).toMatch(/警告：18 dB 时 BLEU-1 为 0\.\d{3}：对于此词表，这不是训练好的模型。/);
  const english = await run(...command.slice(0, -2), '--heads', '4', '--dry-run');
  expect(english.err).toContain('note: The file says 8 heads; 4 are taken, as asked.');
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
  expect(packed.err).toContain('corpus packed: 40 sentences (37 train, 3 test), vocabulary of 12');
  expect(packed.err).toContain('of 42 lines 41 have the right length, 40 of them are different, 40 are kept');
  expect(packed.err).toMatch(/the vocabulary covers 100\.00 % .* 0 test sentences stand in training too/);

  writeFileSync(join(folder, 'table.csv'), `id,speech\n${lines.map((line, i) => `${i},"${line}"\n`).join('')}`);
  const table = await run(
    'corpus',
    'add',
    'table.csv',
    '--name',
    'table',
    '--column',
    'speech',
    '--split',
    'order',
    '--json',
  );
  expect(table.code).toBe(0);
  expect(JSON.parse(table.out).corpus).toMatchObject({
    options: { split: 'order' },
    sentences: { train: 36, test: 4 },
  });
  expect((await run('corpus', 'add', 'table.csv', '--name', 'x')).err).toContain('its columns are "id", "speech"');

  writeFileSync(join(folder, 'latin.txt'), Buffer.from(lines.join('\n').replaceAll('every', 'éverý'), 'latin1'));
  const latin = await run('corpus', 'add', 'latin.txt', '--name', 'latin', '--encoding', 'latin1');
  expect(latin.code).toBe(0);
  // Without its accents the text is the one above, so the corpus is too.
  const [packedIs, latinIs] = [await api.get('/v1/corpora/packed'), await api.get('/v1/corpora/latin')];
  expect(latinIs.body.corpusId).toBe(packedIs.body.corpusId);
  expect((await run('corpus', 'show', 'latin')).out).toContain('40 sentences (37 train, 3 test)');
  const unknown = await run('corpus', 'add', 'table.csv', '--name', 'x', '--column', 'speech', '--split', 'random');
  expect(unknown).toMatchObject({ code: 2, out: '' });
  expect(unknown.err).toContain('--split: must be one of hash, order');
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

/** What the loader of an export makes of it, with a DeepSC of the reference's layout. */
const LOADED = `
import hashlib, json, sys
import torch
sys.path[:0] = sys.argv[1:]
from torch_deepsc import DeepSC
import load_model
state = load_model.load(DeepSC).state_dict()
digest = lambda tensor: hashlib.sha256(bytes(tensor.contiguous().view(-1).view(torch.uint8).tolist())).hexdigest()
print(json.dumps({name: [list(tensor.shape), digest(tensor)] for name, tensor in state.items()}))
`;

const original = () => readCheckpoint(readFileSync(at('teacher.safetensors'))).tensors;

test('teacher export: the state_dict whole and in order, with what one needs to load it', async () => {
  for (const [format, ending] of [
    ['pytorch', 'pth'],
    ['safetensors', 'safetensors'],
  ] as const) {
    const done = await run('teacher', 'export', 'teacher', '--format', format, '--to', `out-${format}`);
    expect(done.code).toBe(0);
    const file = readFileSync(join(folder, `out-${format}`, `model.${ending}`));
    const { tensors } = readCheckpoint(file);
    expect(tensors.size).toBe(186);
    for (const [name, { shape, bytes }] of original()) {
      const found = tensors.get(name);
      expect(found?.shape, name).toEqual(shape);
      if (name.endsWith('.pe')) continue;
      expect(Buffer.from(found?.bytes ?? []).equals(bytes), name).toBe(true);
    }
    if (format === 'pytorch') {
      const student = readCheckpoint(readFileSync(at('student.pth')));
      expect([...tensors.keys()].slice(0, 4)).toEqual([...student.tensors.keys()].slice(0, 4));
    }
    const config = JSON.parse(readFileSync(join(folder, `out-${format}`, 'config.json'), 'utf8'));
    expect(config).toMatchObject({ layers: 4, d_model: 32, heads: 4, dff: 64, vocabulary_size: 60, positions: 60 });
    const vocabulary = JSON.parse(readFileSync(join(folder, `out-${format}`, 'vocab.json'), 'utf8'));
    expect(vocabulary).toEqual(JSON.parse(readFileSync(at('vocab.json'), 'utf8')));
  }
  const unknown = await run('teacher', 'export', 'nobody');
  expect(unknown).toMatchObject({ code: 2 });
  expect(unknown.err).toContain('There is no teacher "nobody"');
});

const python = findPython('torch');
const pythonWithSafetensors = findPython('torch, safetensors.torch');
const skipped = (program: string | undefined, what: string) => (program ? '' : ` (skipped: no Python with ${what})`);

function expectLoaded(program: string, format: string): void {
  const support = new URL('../support', import.meta.url).pathname;
  const out = execFileSync(program, ['-B', '-c', LOADED, join(folder, `out-${format}`), support], { encoding: 'utf8' });
  const state = JSON.parse(out) as Record<string, [number[], string]>;
  expect(Object.keys(state)).toHaveLength(186);
  for (const [name, { shape, bytes }] of original()) {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(state[name]?.[0], name).toEqual(shape);
    if (!name.endsWith('.pe')) expect(state[name]?.[1], name).toBe(sha256);
  }
}

test.skipIf(!python)(
  `teacher export: the loader fills the reference's modules strictly from the .pth${skipped(python, 'torch')}`,
  () => expectLoaded(python as string, 'pytorch'),
);

test.skipIf(!pythonWithSafetensors)(
  `teacher export: and from safetensors${skipped(pythonWithSafetensors, 'torch and safetensors')}`,
  () => expectLoaded(pythonWithSafetensors as string, 'safetensors'),
);

/** A trial whose student learned its receiver behind this teacher, with the teacher's own weights as its model. */
async function putTrial(teacher: TeacherRecord, trialId: string, freezeKeptSide: boolean): Promise<void> {
  const spec: TrialSpec = { ...specOf(4, 1), teacherId: teacher.teacherId, corpusId: corpus.corpusId };
  Object.assign(spec.hyperparameters, { distillPart: 'decoder', freezeKeptSide });
  const architecture = JSON.stringify(teacher.architecture);
  // Another file than the teacher's: this one says so in its metadata.
  const tensors = [...original().values()].filter(({ name }) => !name.endsWith('.pe'));
  const bytes = writeSafetensors(tensors, { architecture, trial: trialId });
  const key = keys.trialArtifact(trialId, '1-00000000', 'final_student_model.safetensors');
  const { size, sha256 } = await api.store.put(key, bytes);
  const file = { name: 'final_student_model.safetensors', key, size, sha256, contentType: 'application/octet-stream' };
  await putJson(api.store, keys.trial(trialId), { trialId, spec, createdAt: '2026-01-02T03:04:05.000Z' });
  await putResult(api.store, trialId, spec);
  const result = await getJson<TrialResult>(api.store, keys.trialResult(trialId));
  await putJson(api.store, keys.trialResult(trialId), { ...result, artifacts: [file] });
}

test('hybrid list: without any it says how one is made', async () => {
  expect((await run('hybrid', 'list')).out).toMatch(
    /^no hybrids yet; .*hybrid --transmitter A --receiver B' makes one/,
  );
  expect((await run('hybrid', 'list', '--language', 'zh')).out).toContain('还没有混合模型');
});

test('hybrid: any two models of one vocabulary and width are scored; a pair that never met is called broken', async () => {
  const teacher = (await api.get('/v1/teachers/teacher')).body as TeacherRecord;
  const broken = await run('hybrid', '--transmitter', 'teacher', '--receiver', 'raw', '--json');
  expect(broken.code).toBe(0);
  const record = JSON.parse(broken.out) as HybridRecord;
  expect(record.warnings.map(({ code }) => code)).toEqual(['unfrozen-pair', 'broken-link']);
  expect(record.architecture).toMatchObject({ encoderLayers: 4, decoderLayers: 2 });
  expect((await api.get(`/v1/hybrids/${record.hybridId}`)).body).toEqual(record);
  const again = await run('hybrid', '--transmitter', 'teacher', '--receiver', 'raw', '--language', 'zh');
  expect(again.err).toContain('警告：raw 没有在 teacher 冻结的发射端之后训练');
  expect(again.err).toMatch(/警告：18 dB 时 BLEU-1 为 0\.\d{3}：链路断开，两端互不理解。/);
  const file = record.files.find(({ name }) => name === 'hybrid_model.safetensors');
  const { tensors } = readCheckpoint(await api.store.get(file?.key ?? ''));
  const sent = 'encoder.enc_layers.3.mha.wq.weight';
  expect(tensors.get(sent)?.bytes).toEqual(original().get(sent)?.bytes);
  const heard = readCheckpoint(readFileSync(at('student.pth'))).tensors.get('dense.weight');
  expect(Buffer.from(tensors.get('dense.weight')?.bytes ?? []).equals(heard?.bytes ?? Buffer.alloc(0))).toBe(true);

  await putTrial(teacher, 'frozen', true);
  const frozen = await run('hybrid', '--transmitter', 'teacher', '--receiver', 'frozen/final_student_model');
  expect(frozen.code).toBe(0);
  expect(frozen.err).not.toContain('warning');
  // The same weights on both sides: it scores what the teacher does.
  for (const score of teacher.scores.bleu1) expect(frozen.out).toContain(score.toFixed(4));

  const listed = await run('hybrid', 'list');
  expect(listed).toMatchObject({ code: 0, err: '' });
  expect(listed.out).toMatch(new RegExp(`hybrid .*teacher .*raw .*0\\.\\d{3} \\(18 dB\\) .*${record.hybridId}`));
  expect(listed.out).toContain('/final_student_model');
  expect(JSON.parse((await run('hybrid', 'list', '--json')).out)).toContainEqual(record);
  const page = await api.get('/v1/hybrids?limit=1');
  expect(page.body.items).toHaveLength(1);
  expect((await api.get(`/v1/hybrids?limit=1&cursor=${page.body.nextCursor}`)).body.items).toHaveLength(1);

  const exported = await run('teacher', 'export', record.hybridId, '--to', 'hybrid');
  expect(exported.code).toBe(0);
  expect(readCheckpoint(readFileSync(join(folder, 'hybrid', 'model.pth'))).tensors.has('dense.bias')).toBe(true);
  expect(JSON.parse(readFileSync(join(folder, 'hybrid', 'config.json'), 'utf8'))).toMatchObject({
    layers: null,
    encoder_layers: 4,
    decoder_layers: 2,
  });
  const pulled = await run('pull', 'frozen', '--to', 'pulled', '--format', 'pytorch');
  expect(pulled.code).toBe(0);
  const model = readCheckpoint(readFileSync(join(folder, 'pulled', 'final_student_model', 'model.pth')));
  expect(model).toMatchObject({ format: 'pytorch-zip' });
  expect(model.tensors.size).toBe(186);

  await putTrial(teacher, 'unfrozen', false);
  const unfrozen = await run('hybrid', '--transmitter', 'teacher', '--receiver', 'unfrozen', '--no-wait');
  expect(unfrozen).toMatchObject({ code: 0 });
  expect(unfrozen.err).toMatch(/warning: .* an unfrozen pair is a broken link/);
});

test('hybrid: what does not fit, or is not there, is said before anything is started', async () => {
  const preparations = async () => (await api.stored()).filter((key) => key.endsWith('/preparation.json'));
  const before = await preparations();
  const nobody = await run('hybrid', '--transmitter', 'nobody', '--receiver', 'teacher');
  expect(nobody).toMatchObject({ code: 2, out: '' });
  expect(nobody.err).toContain('There is no teacher "nobody"');
  const noFile = await run('hybrid', '--transmitter', 'frozen/best_student_model', '--receiver', 'teacher');
  expect(noFile.err).toContain('has no model "best_student_model"; it has: final_student_model');
  const none = await run('hybrid');
  expect(none.code).toBe(2);
  expect(none.err).toMatch(/--transmitter: is required[\s\S]*--receiver: is required/);

  const teacher = (await api.get('/v1/teachers/teacher')).body as TeacherRecord;
  const architecture = { ...teacher.architecture, dModel: 64, heads: 8 };
  const wider: TeacherRecord = { ...teacher, teacherId: 'wider', name: 'wider', architecture };
  await putJson(api.store, keys.teacher('wider'), wider);
  const unfit = await run('hybrid', '--transmitter', 'teacher', '--receiver', 'wider');
  expect(unfit.code).toBe(2);
  expect(unfit.err).toContain('receiver: wider has 64 as width, teacher has 32: one model cannot hold both sides');
  expect(unfit.err).toContain('receiver: wider has 8 attention heads, teacher has 4');
  expect(await preparations()).toEqual(before);
});
