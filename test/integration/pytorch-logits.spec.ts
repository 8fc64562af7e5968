// The same logits here and in PyTorch, both ways: a teacher exported by the real API and loaded strictly by a DeepSC of the
// reference's layout, and a model saved by torch and taken in by what an import runs. Ideal channel, so nothing is random.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEngine } from '#engine';
import type { Architecture, TeacherRecord } from '#experiment';
import * as semcom from '#semcom';
import { keys, putJson } from '#storage';
import { inspectModel } from '../../apps/api/teachers/inspect-model.js';
import { type Model, modelBytes, readModel, writeModel } from '../../apps/worker/trainer/files.js';
import { readForeign } from '../../apps/worker/trainer/teacher.js';
import { tinyModel } from '../golden/tiny-models.js';
import { putTinyCorpus } from '../support/corpus-records.js';
import { findPython } from '../support/python.js';
import { API_KEY, type ApiServer, startTestApi } from './api-server.js';

const python = findPython('torch, numpy');
const skipped = python ? '' : ' (skipped: no Python with torch and numpy was found; PEER_PYTHON names one)';

/** Of the largest logit's size: float32 itself is good to 1e-7 of it, and forty layers of sums lie between. */
const TOLERANCE = 1e-5;
const EUROPARL: Architecture = {
  vocabularySize: 22_234,
  dModel: 128,
  dff: 512,
  heads: 8,
  encoderLayers: 4,
  decoderLayers: 4,
};
const ODD: Architecture = { vocabularySize: 211, dModel: 60, dff: 90, heads: 5, encoderLayers: 3, decoderLayers: 3 };

const folder = mkdtempSync(join(tmpdir(), 'semdistill-logits-'));
const at = (name: string) => join(folder, name);
let api: ApiServer;

beforeAll(async () => {
  if (!python) return;
  api = await startTestApi();
  await startEngine({ backend: 'auto' });
});

afterAll(async () => {
  await api?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Sentences of several lengths, so that pads are hidden on both sides. */
function batchOf(words: number): semcom.Batch {
  const [size, tokens] = [5, 31];
  const ids = new Int32Array(size * tokens);
  for (let row = 0; row < size; row++) {
    const length = tokens - 6 * row;
    for (let t = 0; t < length; t++) ids[row * tokens + t] = 3 + ((row * 7919 + t * t * 104_729) % (words - 3));
    ids[row * tokens] = 1;
    ids[row * tokens + length - 1] = 2;
  }
  return { ids, size, tokens };
}

function rowsOf({ ids, size, tokens }: semcom.Batch): number[][] {
  return Array.from({ length: size }, (_, row) => [...ids.subarray(row * tokens, (row + 1) * tokens)]);
}

function logitsOf({ shape, arrays }: Model): Float32Array {
  return tf.tidy(() => {
    const weights = semcom.weightsFromArrays(shape, arrays);
    const use = { channel: 'ideal', profile: 'deepsc-pytorch', deviation: 0, noise: new Float32Array(0) } as const;
    return semcom.forward(weights, shape, batchOf(shape.vocabularySize), use).logits.dataSync() as Float32Array;
  });
}

function inTorch(architecture: Architecture, task: Record<string, unknown>): Float32Array {
  const { vocabularySize: words, dModel: d, dff, heads, encoderLayers: layers } = architecture;
  const sizes = { words, rows: words, d, dff, heads, layers };
  const out = at('logits.bin');
  const whole = { ...task, sizes, ids: rowsOf(batchOf(words)), out };
  const program = new URL('../support/torch_deepsc.py', import.meta.url).pathname;
  execFileSync(python as string, [program], { input: JSON.stringify([whole]) });
  const bytes = readFileSync(out);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

function expectSame(ours: Float32Array, theirs: Float32Array): void {
  expect(ours.length).toBe(theirs.length);
  let [scale, difference] = [1, 0];
  for (let i = 0; i < ours.length; i++) {
    const [a, b] = [ours[i] as number, theirs[i] as number];
    scale = Math.max(scale, Math.abs(b));
    // Written so that a NaN on either side is the largest difference of all.
    if (!(Math.abs(a - b) <= difference)) difference = Math.abs(a - b);
  }
  // Models without anything to tell would agree too.
  expect(scale).toBeGreaterThan(2);
  expect(difference / scale, `of logits up to ${scale.toFixed(1)}`).toBeLessThan(TOLERANCE);
}

async function putTeacher(name: string, model: Model): Promise<void> {
  const corpus = await putTinyCorpus(api.store);
  const teacherId = `teacher-${name}`;
  const key = keys.teacherFile(teacherId, 'model.safetensors');
  const { size, sha256 } = await api.store.put(key, modelBytes(model, { role: 'teacher' }));
  const bleu = { bleu1: [1], bleu2: [1], bleu3: [1], bleu4: [1] };
  const record: TeacherRecord = {
    teacherId,
    name,
    architecture: model.shape,
    corpusId: corpus.corpusId,
    origin: { kind: 'builtin', builtin: name },
    parameters: { total: 1, core: 1 },
    scores: { snrDb: [18], ...bleu, channel: 'awgn', channelProfile: 'exact', sentences: 1 },
    files: [{ name: 'model.safetensors', key, size, sha256, contentType: 'application/octet-stream' }],
    numerics: { backend: '', library: '', threads: 1, device: '' },
    createdAt: '2026-01-02T03:04:05.000Z',
  };
  await putJson(api.store, keys.teacher(teacherId), record);
  await putJson(api.store, keys.teacherName(name), { id: teacherId });
}

const EXPORTS = [
  { format: 'pytorch', ending: 'pth' },
  { format: 'safetensors', ending: 'safetensors' },
];

async function exported(name: string, { format, ending }: (typeof EXPORTS)[number]): Promise<string> {
  const answer = await fetch(`${api.url}/v1/models/export?model=${name}&format=${format}`, {
    headers: { authorization: `Bearer ${API_KEY}` },
  });
  expect(answer.status).toBe(200);
  const file = at(`${name}.${ending}`);
  writeFileSync(file, new Uint8Array(await answer.arrayBuffer()));
  return file;
}

/** Random, with an output layer that says something: as drawn, many words have logits near zero. */
function drawn(shape: Architecture): Model {
  const arrays = semcom.initialArrays(shape, (name) => new semcom.RandomStream(11, name));
  arrays.set(
    'dense.weight',
    (arrays.get('dense.weight') as Float32Array).map((x) => 20 * x),
  );
  return { shape, arrays };
}

describe.skipIf(!python)(`logits equal PyTorch's to ${TOLERANCE} of the largest${skipped}`, () => {
  test.each([
    ['a trained teacher', 'trained', () => tinyModel('teacher-loud')],
    ['a teacher of other sizes', 'odd', () => drawn(ODD)],
    ['a teacher of the sizes for Europarl', 'europarl', () => drawn(EUROPARL)],
  ] as const)('%s, exported here, in torch', async (_, name, make) => {
    const model = make();
    await putTeacher(name, model);
    // Fetched before the long calculations: a server drops a connection that idles.
    const files = await Promise.all(EXPORTS.map((one) => exported(name, one)));
    const ours = logitsOf(model);
    for (const file of files) expectSame(ours, inTorch(model.shape, { model: file }));
  });

  test.each([
    ['zip', ODD],
    ['legacy', ODD],
    ['wrapped', EUROPARL],
  ] as const)('a model that torch saved (%s), imported here', async (style, shape) => {
    const file = at(`made-${style}.pth`);
    const theirs = inTorch(shape, { saveAs: file, style, seed: 5 });
    const described = { path: file, fileName: 'made.pth', size: 0, sha256: '' };
    const { architecture, faults } = inspectModel(readFileSync(file), described, { heads: shape.heads }, semcom);
    expect(faults).toEqual([]);
    expect(architecture).toEqual(shape);
    const imported = await readForeign(file, architecture as Architecture);
    await writeModel(at('kept.safetensors'), imported, { role: 'teacher' });
    expectSame(logitsOf(await readModel(at('kept.safetensors'), shape)), theirs);
  });
});
