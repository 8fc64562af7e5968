// The prediction against peaks that were measured (VmHWM of `test/bench/sweep-run.mjs`), and how it follows the sizes.
import { expect, it } from 'vitest';
import { type BundleSizes, predictMemory } from './memory.js';

function sizesOf(vocabularySize: number, students: number, batchSize: number): BundleSizes {
  const shape = { vocabularySize, dModel: 128, dff: 512, heads: 8 };
  return {
    kind: { part: 'full', freezeKeptSide: false },
    student: { ...shape, encoderLayers: 2, decoderLayers: 2 },
    teacher: { ...shape, encoderLayers: 4, decoderLayers: 4 },
    students,
    batchSize,
    tokens: 31,
    fusedLayers: true,
  };
}

it.each([
  [22_234, 5, 128, 3.21e9],
  [22_234, 5, 32, 1.84e9],
  [4_019, 5, 64, 1.25e9],
  [4_019, 1, 128, 0.86e9],
  [22_234, 1, 128, 1.9e9],
])('%d words, %d students, batches of %d: within 20 %% of the measured peak', (words, students, batch, measured) => {
  const { total } = predictMemory(sizesOf(words, students, batch));
  expect(total / measured).toBeGreaterThan(0.8);
  expect(total / measured).toBeLessThan(1.2);
});

it('a frozen side is not counted, parts of a batch take less, and the parts add up', () => {
  const full = predictMemory(sizesOf(4_000, 5, 64));
  const decoder = predictMemory({ ...sizesOf(4_000, 5, 64), kind: { part: 'decoder', freezeKeptSide: true } });
  const halves = predictMemory({ ...sizesOf(4_000, 5, 64), parts: 2 });
  expect(decoder.parameters).toBeLessThan(full.parameters);
  expect(decoder.activations).toBeLessThan(full.activations);
  expect(halves.activations).toBeCloseTo(full.activations / 2, -3);
  expect(halves.parameters).toBe(full.parameters);
  const { total, ...parts } = full;
  expect(total - Object.values(parts).reduce((sum, bytes) => sum + bytes, 0)).toBe(350e6);
});
