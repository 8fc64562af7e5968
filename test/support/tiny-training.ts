// A model and sentences so small that a training takes a moment, for the training core.
import { type DeepscShape, initialArrays, RandomStream } from '#semcom';

export const SHAPE: DeepscShape = {
  vocabularySize: 30,
  dModel: 16,
  dff: 32,
  heads: 2,
  encoderLayers: 1,
  decoderLayers: 1,
};

/** Sentences of 5 to 9 tokens, START and END included. */
export function sentences(count: number): number[][] {
  const stream = new RandomStream(3, 'sentences');
  return Array.from({ length: count }, () => [
    1,
    ...Array.from({ length: 3 + stream.integer(5) }, () => 4 + stream.integer(SHAPE.vocabularySize - 4)),
    2,
  ]);
}

export const arraysOf = (seed: number, shape = SHAPE) => initialArrays(shape, (name) => new RandomStream(seed, name));
