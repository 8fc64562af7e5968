// One step in parts, for machines whose memory does not hold a whole batch: rows are cut out of the batch and out of its draws,
// gradients are added up weighted by real tokens. Same effective batch; only the power normalisation sees the part alone.
import * as tf from '@tensorflow/tfjs-core';
import { type Batch, CHANNEL_WIDTH, type ChannelUse, type Weights } from '#semcom';
import type { BatchRows } from './draws.js';
import type { LossValues } from './loss.js';
import { type BundleModel, bundleGradients, bundleLosses, type StepResult } from './step.js';

/** The rows of each part, as even as they come; never more parts than rows. */
export function splitRows(size: number, parts: number): BatchRows[] {
  const count = Math.min(parts, size);
  return Array.from({ length: count }, (_, part) => {
    const from = Math.floor((part * size) / count);
    return { from, count: Math.floor(((part + 1) * size) / count) - from, of: size };
  });
}

/** Some rows of a batch, as wide as the whole, so that its draws can be cut at the same places. */
export function cutBatch(batch: Batch, { from, count }: BatchRows): Batch {
  const { tokens, ids } = batch;
  return { ids: ids.subarray(from * tokens, (from + count) * tokens), size: count, tokens };
}

/** The draws of some rows. A fading block of the whole batch stays the block of each part. */
export function cutUse(use: ChannelUse, tokens: number, { from, count, of }: BatchRows): ChannelUse {
  const perSentence = tokens * CHANNEL_WIDTH;
  const { fading, deviation } = use;
  const isPerSentence = fading !== undefined && of > 1 && fading.length === 2 * of;
  return {
    ...use,
    noise: use.noise.subarray(from * perSentence, (from + count) * perSentence),
    deviation: typeof deviation === 'number' ? deviation : deviation.subarray(from, from + count),
    ...(isPerSentence ? { fading: fading.subarray(2 * from, 2 * (from + count)) } : {}),
  };
}

/** Target tokens of a batch that are no pads: every row's length minus one. */
export function realTargets(batch: Batch): number {
  let real = 0;
  for (const id of batch.ids) real += id === 0 ? 0 : 1;
  return real - batch.size;
}

/**
 * Losses and gradients of a batch in `parts` micro-batches. Each part's means are weighted by its share of the real tokens,
 * so sums and gradients are those of the whole batch, but for rounding and for the power normalisation: it divides by the
 * mean power of the rows it sees (only where it changes nothing, as the cap of 'deepsc-pytorch' on quiet symbols, is the
 * result the same). `modelOf` gives the model with the dropout of those rows.
 */
export function gradientsInParts(
  modelOf: (rows?: BatchRows) => BundleModel,
  trained: Weights,
  batch: Batch,
  use: ChannelUse,
  parts: number,
): StepResult {
  const pieces = splitRows(batch.size, parts);
  if (pieces.length === 1) return bundleGradients(modelOf(), trained, batch, use);
  const real = realTargets(batch);
  const values = emptyValues(modelOf().temperature.length);
  const sums = new Map<string, tf.Tensor>();
  try {
    for (const rows of pieces) {
      const part = cutBatch(batch, rows);
      const share = realTargets(part) / real;
      const model = partOf(modelOf(rows), batch);
      const found = bundleGradients(model, trained, part, cutUse(use, batch.tokens, rows));
      addShare(values, found.values, share);
      try {
        for (const [name, gradient] of found.gradients) addTo(sums, name, gradient, share);
      } finally {
        tf.dispose([...found.gradients.values()]);
      }
    }
    return { values, gradients: sums };
  } catch (error) {
    tf.dispose([...sums.values()]);
    throw error;
  }
}

/** The model as a part of the batch sees it: features are counted by the whole. */
function partOf(model: BundleModel, batch: Batch): BundleModel {
  if (!model.features) return model;
  const real = realTargets(batch);
  return { ...model, features: { ...model.features, sourcePerTarget: (real + batch.size) / real } };
}

/** Losses of a batch in `parts` micro-batches, without gradients. */
export function lossesInParts(
  model: BundleModel,
  trained: Weights,
  batch: Batch,
  use: ChannelUse,
  parts: number,
): LossValues {
  const pieces = splitRows(batch.size, parts);
  if (pieces.length === 1) return bundleLosses(model, trained, batch, use);
  const real = realTargets(batch);
  const values = emptyValues(model.temperature.length);
  for (const rows of pieces) {
    const part = cutBatch(batch, rows);
    const found = bundleLosses(model, trained, part, cutUse(use, batch.tokens, rows));
    addShare(values, found, realTargets(part) / real);
  }
  return values;
}

/** Whether an error says that there was not enough memory: TensorFlow's allocators, WebAssembly's memory, JavaScript's own. */
export function isOutOfMemory(error: unknown): boolean {
  const message = error instanceof Error ? error.message : String(error);
  return /\bOOM\b|Resource ?Exhausted|failed to allocate|out of memory|allocation failed|memory access out of bounds/i.test(
    message,
  );
}

/**
 * Gives back what a backward pass that failed had saved. tfjs keeps the tensors of its tape until the pass is over, and
 * an error means that it never is.
 */
export function discardTape(): void {
  const { state } = tf.engine();
  for (const node of state.activeTape ?? []) tf.dispose(node.saved ?? []);
  state.activeTape = [];
}

function emptyValues(students: number): LossValues {
  const zeros = () => new Array<number>(students).fill(0);
  return { total: zeros(), crossEntropy: zeros(), distillation: zeros() };
}

function addShare(values: LossValues, part: LossValues, share: number): void {
  for (const kind of ['total', 'crossEntropy', 'distillation'] as const)
    part[kind].forEach((value, k) => {
      values[kind][k] = (values[kind][k] as number) + share * value;
    });
  if (part.features) values.features = part.features.map((value, k) => (values.features?.[k] ?? 0) + share * value);
}

function addTo(sums: Map<string, tf.Tensor>, name: string, gradient: tf.Tensor, share: number): void {
  const before = sums.get(name);
  const after = tf.tidy(() => {
    const scaled = tf.mul(gradient, share);
    return before ? tf.add(before, scaled) : scaled;
  });
  before?.dispose();
  sums.set(name, after);
}
