// Model and corpus files of a job: safetensors with the reference's names in, the same out, and the corpus as token ids.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromFloat32, type NamedTensor, readSafetensors, toFloat32, writeSafetensors } from '#checkpoint';
import { wordsOf } from '#experiment';
import { type DeepscShape, fromStateDict, parseVocabulary, START, toStateDict, type Vocabulary } from '#semcom';

export const MODEL_TYPE = 'application/octet-stream';
export const JSON_TYPE = 'application/json';

export interface Model {
  shape: DeepscShape;
  /** whole model in our layout */
  arrays: Map<string, Float32Array>;
}

export interface CorpusData {
  vocabulary: Vocabulary;
  train: number[][];
  test: number[][];
}

/** Reads a model whose sizes are known; throws when the file does not hold exactly that model. */
export async function readModel(path: string, shape: DeepscShape): Promise<Model> {
  const { tensors } = readSafetensors(await readFile(path));
  return { shape, arrays: fromStateDict(shape, float32State(tensors)) };
}

/** Tensors of any dtype as a state_dict of float32. */
export function float32State(tensors: ReadonlyMap<string, NamedTensor>) {
  return new Map(
    [...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: toFloat32(tensor) }] as const),
  );
}

/** A model's file under the reference's parameter names; `metadata` says what it is and where it comes from. */
export function modelBytes(model: Model, metadata: Record<string, string>): Uint8Array {
  const tensors = toStateDict(model.shape, model.arrays).map(({ name, shape, data }) => fromFloat32(name, shape, data));
  return writeSafetensors(tensors, { format: 'semdistill', architecture: JSON.stringify(model.shape), ...metadata });
}

export async function writeModel(path: string, model: Model, metadata: Record<string, string>): Promise<void> {
  await writeFile(path, modelBytes(model, metadata));
}

export async function readCorpus(folder: string): Promise<CorpusData> {
  const json = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8')) as number[][];
  return {
    vocabulary: parseVocabulary(await readFile(join(folder, 'vocab.json'), 'utf8')),
    train: await json('train.json'),
    test: await json('test.json'),
  };
}

export async function makeFolder(...path: string[]): Promise<string> {
  const folder = join(...path);
  await mkdir(folder, { recursive: true });
  return folder;
}

export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Words as they stand in the vocabulary, <UNK> and <PAD> by name; without the empty word, which no score counts. */
export function textOf(vocabulary: Vocabulary, ids: number[]): string {
  return wordsOf(vocabulary.decode(ids[0] === START ? ids.slice(1) : ids)).join(' ');
}
