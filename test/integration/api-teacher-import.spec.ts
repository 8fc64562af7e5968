// POST /v1/teachers/import on the real API: what is told of a file before anything is kept, and what is refused.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromFloat32, type NamedTensor, readCheckpoint, writePyTorch, writeSafetensors } from '#checkpoint';
import type { CorpusRecord, PreparationRecord } from '#experiment';
import { formatVocabulary, Vocabulary } from '#semcom';
import { keys } from '#storage';
import { putTinyCorpus, TINY, tinyVocabulary } from '../support/corpus-records.js';
import { type Answer, type ApiServer, startTestApi } from './api-server.js';

const teacherFile = readFileSync(new URL('teacher.safetensors', TINY));
const studentFile = readFileSync(new URL('student.pth', TINY));
const vocabularyFile = Buffer.from(formatVocabulary(tinyVocabulary()));

let api: ApiServer;
let corpus: CorpusRecord;

beforeEach(async () => {
  api = await startTestApi();
  corpus = await putTinyCorpus(api.store);
});

afterEach(() => api?.close());

type Part = string | number | boolean | { bytes: Uint8Array; fileName: string };

async function send(parts: Record<string, Part>): Promise<Answer> {
  const form = new FormData();
  for (const [name, part] of Object.entries(parts)) {
    if (typeof part === 'object') form.set(name, new Blob([new Uint8Array(part.bytes)]), part.fileName);
    else form.set(name, String(part));
  }
  const encoded = new Response(form);
  const headers = { 'content-type': encoded.headers.get('content-type') ?? '' };
  const body = new Uint8Array(await encoded.arrayBuffer());
  return api.request('/v1/teachers/import', { method: 'POST', body, headers });
}

const model = { bytes: teacherFile, fileName: 'my teacher.safetensors' };
const vocabulary = { bytes: vocabularyFile, fileName: 'vocab.json' };

function without(name: string, extra: NamedTensor[] = []): Uint8Array {
  const tensors = [...readCheckpoint(teacherFile).tensors.values()].filter((tensor) => tensor.name !== name);
  return writeSafetensors([...tensors, ...extra]);
}

test('a dry run tells what the file holds and keeps nothing', async () => {
  const before = await api.stored();
  const { status, body } = await send({ model, vocabulary, heads: 4, dryRun: true });
  expect(status).toBe(202);
  expect(body).toMatchObject({
    name: 'my-teacher',
    corpusId: corpus.corpusId,
    inspection: {
      format: 'safetensors',
      fileName: 'my teacher.safetensors',
      tensors: 186,
      parameters: 137_804,
      architecture: { vocabularySize: 60, dModel: 32, dff: 64, heads: 4, encoderLayers: 4, decoderLayers: 4 },
      positions: { transmitter: 60, receiver: 60 },
      missing: [],
      extra: [],
      mismatched: [],
      faults: [],
    },
  });
  expect(body.preparation).toBeUndefined();
  expect(await api.stored()).toEqual(before);
});

test('an accepted file is stored once and becomes a preparation with its sizes', async () => {
  const first = await send({ model, vocabulary, heads: 4, name: 'mine' });
  expect(first.status).toBe(202);
  const { preparation } = first.body;
  expect(preparation).toMatchObject({ kind: 'teacher', name: 'mine', status: 'queued' });
  const record = JSON.parse((await api.store.get(keys.preparation(preparation.preparationId))).toString());
  expect((record as PreparationRecord).request).toMatchObject({
    name: 'mine',
    corpusId: corpus.corpusId,
    architecture: { heads: 4, encoderLayers: 4 },
    model: { name: 'my teacher.safetensors', size: teacherFile.length },
  });
  const again = await send({ model: { ...model, fileName: model.fileName }, vocabulary, heads: 4, name: 'mine' });
  expect(again.body.preparation.preparationId).toBe(preparation.preparationId);
  expect((await api.stored()).filter((key) => key.startsWith('uploads/'))).toHaveLength(1);
  expect((await api.fleet.counts()).waiting).toBe(1);
});

test('the corpus alone is enough, and wrappers are looked through', async () => {
  const tensors = [...readCheckpoint(studentFile).tensors.values()].map((tensor) => ({
    ...tensor,
    name: `module.${tensor.name}`,
  }));
  const wrapped = { bytes: writePyTorch(tensors), fileName: 'student.pth' };
  const { status, body } = await send({ model: wrapped, corpus: 'tiny', heads: 4, dryRun: true });
  expect(status).toBe(202);
  expect(body.inspection).toMatchObject({
    format: 'pytorch-zip',
    wrapper: { prefix: 'module.' },
    architecture: { encoderLayers: 2, decoderLayers: 2 },
    positions: { transmitter: 30, receiver: 30 },
    faults: [],
  });
});

test('heads that nobody told are asked for, with the numbers that fit', async () => {
  const before = await api.stored();
  const asked = await send({ model, vocabulary });
  expect(asked.status).toBe(400);
  expect(asked.body.errors).toEqual([
    {
      path: 'heads',
      message:
        'the tensors do not tell the number of attention heads; give it (--heads): width 32 can have 1, 2, 4, 8, 16, 32',
    },
  ]);
  const wrong = await send({ model, vocabulary, heads: 5 });
  expect(wrong.body.errors[0]).toMatchObject({ path: 'heads', message: expect.stringContaining('5 heads do not') });
  expect(await api.stored()).toEqual(before);
  const ours = writeSafetensors(readCheckpoint(teacherFile).tensors.values(), { architecture: '{"heads":8}' });
  const told = await send({ model: { ...model, bytes: ours }, vocabulary, dryRun: true });
  expect(told.body.inspection.architecture.heads).toBe(8);
});

test('missing, extra and misshapen tensors are each named', async () => {
  const extra = [
    fromFloat32('dense.bias', [59], new Float32Array(59)),
    fromFloat32('mine.dense1.bias', [3], new Float32Array(3)),
  ];
  const broken = { bytes: without('dense.bias', extra), fileName: 'broken.safetensors' };
  const dry = await send({ model: broken, vocabulary, heads: 4, dryRun: true });
  expect(dry.body.inspection).toMatchObject({
    extra: ['mine.dense1.bias'],
    mismatched: [{ name: 'dense.bias', found: [59], expected: [60] }],
  });
  const { status, body } = await send({ model: broken, vocabulary, heads: 4 });
  expect(status).toBe(400);
  expect(body.errors).toEqual([
    { path: 'dense.bias', message: 'is [59], expected [60]' },
    { path: 'mine.dense1.bias', message: 'does not belong to a DeepSC of these sizes' },
  ]);
  const lacking = await send({ model: { ...broken, bytes: without('dense.bias') }, vocabulary, heads: 4 });
  expect(lacking.body.errors).toEqual([{ path: 'dense.bias', message: 'is missing' }]);
});

test('NaN among the weights is refused', async () => {
  const poisoned = fromFloat32('dense.bias', [60], new Float32Array(60).fill(Number.NaN, 3, 5));
  const bytes = without('dense.bias', [poisoned]);
  const { status, body } = await send({ model: { ...model, bytes }, vocabulary, heads: 4 });
  expect(status).toBe(400);
  expect(body.errors[0].message).toContain('"dense.bias" (2)');
});

test("a vocabulary that is not the corpus's shows the first differences", async () => {
  const words = [...tinyVocabulary().words];
  [words[10], words[11]] = [words[11] as string, words[10] as string];
  const other = { bytes: Buffer.from(formatVocabulary(new Vocabulary(words))), fileName: 'vocab.json' };
  const { status, body } = await send({ model, vocabulary: other, corpus: 'tiny', heads: 4 });
  expect(status).toBe(400);
  expect(body.errors).toHaveLength(1);
  const [a, b] = [JSON.stringify(words[11]), JSON.stringify(words[10])];
  expect(body.errors[0].message).toContain(`id 10 is ${b} in the file, ${a} in corpus "tiny"`);
  const unknown = await send({ model, vocabulary: other, heads: 4 });
  expect(unknown.status).toBe(400);
  expect(unknown.body.errors[0].message).toContain('no stored corpus has this vocabulary of 60 words');
});

test('a vocabulary of another size than the model is told once for both', async () => {
  const words = tinyVocabulary().words.slice(0, -1);
  const shorter = { bytes: Buffer.from(formatVocabulary(new Vocabulary(words))), fileName: 'vocab.json' };
  const { body } = await send({ model, vocabulary: shorter, corpus: 'tiny', heads: 4 });
  expect(body.errors.map(({ message }: { message: string }) => message)).toEqual([
    'has 59 words, the model has 60: they do not belong together',
    expect.stringContaining('the file has 59 words, corpus "tiny" has 60'),
  ]);
});

test.each([
  ['hostile/os_system.pth', /posix|os/],
  ['hostile/html_page.pth', /web page/],
  ['hostile/lfs_pointer.pth', /LFS/],
])('%s is refused in a sentence, and nothing is kept', async (file, words) => {
  const bytes = readFileSync(new URL(`../golden/checkpoints/${file}`, import.meta.url));
  const before = await api.stored();
  const { status, body } = await send({ model: { bytes, fileName: 'model.pth' }, vocabulary, heads: 4 });
  expect(status).toBe(400);
  expect(body.errors[0].path).toBe('model');
  expect(body.errors[0].message).toMatch(words);
  expect(await api.stored()).toEqual(before);
});

test('forms that lack files, or carry what is not known, are refused with every fault', async () => {
  const none = await send({ heads: 4 });
  expect(none.body.errors.map(({ path }: { path: string }) => path)).toEqual(['model', 'vocabulary']);
  const odd = await send({ model, vocabulary, heads: 'many', layers: 4, __proto__x: '1' });
  expect(odd.body.errors.map(({ path }: { path: string }) => path).sort()).toEqual(['__proto__x', 'heads', 'layers']);
  const json = await api.post('/v1/teachers/import', { model: 'x' });
  expect(json.status).toBe(415);
  const broken = await api.request('/v1/teachers/import', {
    method: 'POST',
    body: 'no form at all',
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
  });
  expect(broken.status).toBe(400);
  expect(broken.body.detail).toContain('the form cannot be read');
});

test('token ids need all three files and a name', async () => {
  const form = new FormData();
  form.set('train', new Blob(['x']), 'train_data.pkl');
  const encoded = new Response(form);
  const headers = { 'content-type': encoded.headers.get('content-type') ?? '' };
  const body = new Uint8Array(await encoded.arrayBuffer());
  const nameless = await api.request('/v1/corpora', { method: 'POST', body, headers });
  expect(nameless.status).toBe(400);
  expect(nameless.body.errors[0].path).toBe('name');
});
