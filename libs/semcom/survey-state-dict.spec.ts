import { describe, expect, it } from 'vitest';
import { type DeepscShape, parameterShapes } from './architecture.js';
import { headsThatDivide, surveyStateDict } from './survey-state-dict.js';

const SHAPE: DeepscShape = {
  vocabularySize: 60,
  dModel: 32,
  dff: 64,
  heads: 4,
  encoderLayers: 2,
  decoderLayers: 3,
};

function shapesOf(shape: DeepscShape): Map<string, number[]> {
  const all = parameterShapes(shape).map(({ name, kind, shape: own }): [string, number[]] => [
    name,
    kind === 'kernel' ? [...own].reverse() : own,
  ]);
  return new Map([...all, ['encoder.pos_encoding.pe', [1, 60, 32]], ['decoder.pos_encoding.pe', [1, 30, 32]]]);
}

describe('surveyStateDict', () => {
  it('reads every size but the heads from the shapes', () => {
    const { heads: _, ...sizes } = SHAPE;
    expect(surveyStateDict(shapesOf(SHAPE))).toEqual({
      sizes,
      positions: { transmitter: 60, receiver: 30 },
      missing: [],
      extra: [],
      mismatched: [],
    });
  });

  it('names what is missing, extra and of another shape', () => {
    const shapes = shapesOf(SHAPE);
    shapes.delete('channel_encoder.0.bias');
    shapes.set('dense.weight', [61, 32]);
    shapes.set('mine.dense1.weight', [10, 2]);
    expect(surveyStateDict(shapes)).toMatchObject({
      missing: ['channel_encoder.0.bias'],
      extra: ['mine.dense1.weight'],
      mismatched: [{ name: 'dense.weight', found: [61, 32], expected: [60, 32] }],
    });
  });

  it('a gap among the layers is a layer whose tensors are missing', () => {
    const shapes = shapesOf(SHAPE);
    for (const name of [...shapes.keys()]) if (name.startsWith('decoder.dec_layers.1.')) shapes.delete(name);
    const { missing } = surveyStateDict(shapes);
    expect(missing).toHaveLength(26);
    expect(missing.every((name) => name.startsWith('decoder.dec_layers.1.'))).toBe(true);
  });

  it('an absurd layer index is an extra name and costs nothing', () => {
    const shapes = shapesOf(SHAPE).set('encoder.enc_layers.999999999.mha.wq.weight', [32, 32]);
    expect(surveyStateDict(shapes)).toMatchObject({
      sizes: { encoderLayers: 2 },
      missing: [],
      extra: ['encoder.enc_layers.999999999.mha.wq.weight'],
    });
  });

  it('tensors of something else have no sizes', () => {
    expect(surveyStateDict(new Map([['fc.weight', [10, 10]]]))).toEqual({
      positions: {},
      missing: [],
      extra: ['fc.weight'],
      mismatched: [],
    });
  });
});

it('heads must divide the width', () => {
  expect(headsThatDivide(12)).toEqual([1, 2, 3, 4, 6, 12]);
});
