// The tiny teacher and student of the golden files, in our layout, with the variants the files speak of.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPyTorch, readSafetensors, toFloat32 } from '#checkpoint';
import { type DeepscShape, fromStateDict } from '#semcom';

export const GOLDEN = import.meta.dirname ?? new URL('.', import.meta.url).pathname;

export function golden<T>(file: string): T {
  return JSON.parse(readFileSync(join(GOLDEN, file), 'utf8')) as T;
}

export interface TinyModel {
  shape: DeepscShape;
  arrays: Map<string, Float32Array>;
}

const SIZES = { vocabularySize: 60, dModel: 32, dff: 64, heads: 4 };

/** `teacher`, `student`, or one of them `-loud`: the channel encoder's last layer times 1.5 or 4. */
export function tinyModel(name: string): TinyModel {
  const isTeacher = name.startsWith('teacher');
  const layers = isTeacher ? 4 : 2;
  const shape = { ...SIZES, encoderLayers: layers, decoderLayers: layers };
  const { tensors } = isTeacher
    ? readSafetensors(readFileSync(join(GOLDEN, 'tiny/teacher.safetensors')))
    : readPyTorch(readFileSync(join(GOLDEN, 'tiny/student.pth')));
  const state = new Map([...tensors].map(([key, tensor]) => [key, { shape: tensor.shape, data: toFloat32(tensor) }] as const));
  const arrays = fromStateDict(shape, state);
  if (name.endsWith('-loud')) {
    const factor = isTeacher ? 1.5 : 4;
    for (const key of ['channel_encoder.2.weight', 'channel_encoder.2.bias'])
      arrays.set(key, (arrays.get(key) as Float32Array).map((x) => x * factor));
  }
  return { shape, arrays };
}

/** Tensors of a safetensors file as float32. */
export function goldenTensors(file: string): Map<string, Float32Array> {
  const { tensors } = readSafetensors(readFileSync(join(GOLDEN, file)));
  return new Map([...tensors].map(([name, tensor]) => [name, toFloat32(tensor)] as const));
}
