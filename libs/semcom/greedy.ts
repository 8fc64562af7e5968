// Greedy decoding: START, then the likeliest token again and again, with a key/value cache, for several receivers side by
// side. Stops as soon as every row of every receiver has said END.
import * as tf from '@tensorflow/tfjs-core';
import type { DeepscShape } from './architecture.js';
import type { Batch } from './deepsc.js';
import { hasFusedLayers } from './fused-layers.js';
import { fusedDecoderSteps } from './greedy-fused.js';
import { plainDecoderSteps } from './greedy-plain.js';
import { parameter } from './layers.js';
import type { Weights } from './weights.js';

const PAD = 0;
const START = 1;
const END = 2;

export interface GreedyOptions {
  /** Tokens to generate at most, START not counted (the reference: 29). */
  maxTokens: number;
  /** Whether pads of the source are hidden; the reference trains with the mask but decodes without. Default true. */
  memoryMask?: boolean;
  /** Go on to maxTokens although all rows have ended, as the reference does. Default false. */
  runOn?: boolean;
}

/** What decoding starts from. */
export interface DecoderStart {
  weights: Weights;
  shape: DeepscShape;
  /** [G, size*sourceTokens, d] */
  memory: tf.Tensor3D;
  source: Batch;
  isMasked: boolean;
}

/** A decoder that goes one position at a time and remembers keys and values. */
export interface DecoderSteps {
  /** Logits [G, size, V] after position t, given its token in each row. */
  logits(current: Int32Array, t: number): tf.Tensor3D;
  dispose(): void;
}

/**
 * Token ids without START, [G][size][<= maxTokens], row-major in one array: result[(g * size + b) * maxTokens + t]; positions
 * after an early stop are PAD. memory [G, size*sourceTokens, d] is not disposed. Ties go to the lowest id. A PAD that a row
 * emits is hidden from its later positions, as the reference's mask does.
 */
export function greedyDecode(
  weights: Weights,
  shape: DeepscShape,
  memory: tf.Tensor3D,
  source: Batch,
  options: GreedyOptions,
): Int32Array {
  const start = { weights, shape, memory, source, isMasked: options.memoryMask !== false };
  // The fused attention sees the first so many positions and cannot leave one out; a PAD in between is rare.
  const fused = hasFusedLayers() ? decode(start, fusedDecoderSteps(start), options, true) : null;
  return fused ?? (decode(start, plainDecoderSteps(start), options, false) as Int32Array);
}

/** Null when a row emitted a PAD before its END and `stopsAtPad`. */
function decode(
  { weights, source }: DecoderStart,
  steps: DecoderSteps,
  options: GreedyOptions,
  stopsAtPad: boolean,
): Int32Array | null {
  const rows = (parameter(weights, 'decoder.embedding.weight').shape[0] as number) * source.size;
  const out = new Int32Array(rows * options.maxTokens);
  const ended = new Uint8Array(rows);
  let current = new Int32Array(rows).fill(START);
  try {
    for (let t = 0; t < options.maxTokens; t++) {
      const next = tf.tidy(() => tf.reshape(tf.argMax(steps.logits(current, t), -1), [rows]));
      current = next.dataSync().slice() as Int32Array<ArrayBuffer>;
      next.dispose();
      let open = 0;
      for (let row = 0; row < rows; row++) {
        out[row * options.maxTokens + t] = current[row] as number;
        if (current[row] === END) ended[row] = 1;
        open += ended[row] ? 0 : 1;
      }
      if (open === 0 && !options.runOn) break;
      if (stopsAtPad && current.some((id, row) => id === PAD && (options.runOn || !ended[row]))) return null;
    }
  } finally {
    steps.dispose();
  }
  return out;
}
