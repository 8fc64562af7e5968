// Sentences to batches: an epoch's order as a pure function of a random stream, and rows padded to one length.
import type { Batch } from './deepsc.js';
import type { RandomStream } from './philox.js';
import { PAD } from './tokens.js';

/** Sentences are sorted by length within windows of this many batches: enough for little padding, few enough to stay mixed. */
const WINDOW_BATCHES = 64;

export interface EpochRequest {
  /** tokens of each sentence */
  lengths: ArrayLike<number>;
  batchSize: number;
  /** How many sentences the epoch takes (the first of the shuffled order); all when absent or more than there are. */
  sentences?: number;
  stream: RandomStream;
  /** Whether sentences of like length share a batch. */
  buckets: boolean;
}

/**
 * The batches of one epoch, as indices into `lengths`: shuffled, each sentence at most once, all batches full but one. With
 * buckets the order of the batches is shuffled again; within a batch the longest sentence stands first.
 */
export function planEpoch(request: EpochRequest): Int32Array[] {
  const { lengths, batchSize, stream, buckets } = request;
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new RangeError(`A batch holds at least 1 sentence, not ${batchSize}.`);
  const order = stream.shuffle(lengths.length).subarray(0, request.sentences ?? lengths.length);
  if (!buckets) return cut(order, batchSize, order.length).map((batch) => longestFirst(lengths, batch));
  const batches: Int32Array[] = [];
  const windowSize = WINDOW_BATCHES * batchSize;
  for (let start = 0; start < order.length; start += windowSize) {
    const window = longestFirst(lengths, order.subarray(start, start + windowSize));
    // The batch that is not full comes at a random length, else it would always be the shortest sentences'.
    const full = Math.floor(window.length / batchSize);
    batches.push(...cut(window, batchSize, stream.integer(full + 1) * batchSize));
  }
  return Array.from(stream.shuffle(batches.length), (i) => batches[i] as Int32Array);
}

/** Cuts into full batches, with the one that is not full starting at `shortAt`, a multiple of the batch size. */
function cut(order: Int32Array, batchSize: number, shortAt: number): Int32Array[] {
  const batches: Int32Array[] = [];
  const short = order.length % batchSize;
  for (let start = 0; start < order.length; ) {
    const size = short > 0 && start === Math.min(shortAt, order.length - short) ? short : batchSize;
    batches.push(order.slice(start, start + size));
    start += size;
  }
  return batches;
}

/** The indices, longest sentence first; equal lengths keep their order. */
export function longestFirst(lengths: ArrayLike<number>, indices: ArrayLike<number>): Int32Array {
  const length = (index: number) => lengths[index] as number;
  return Int32Array.from(Array.from(indices).sort((a, b) => length(b) - length(a)));
}

/** The sentences of `indices`, in that order, filled up with `pad` to the longest of them (and to `minLength`). */
export function collate(
  sentences: readonly ArrayLike<number>[],
  indices: ArrayLike<number>,
  options: { pad?: number; minLength?: number } = {},
): Batch {
  let tokens = options.minLength ?? 0;
  const rows = Array.from(indices, (index) => {
    const row = sentences[index];
    if (row === undefined) throw new RangeError(`Sentence ${index} lies outside the corpus of ${sentences.length}.`);
    tokens = Math.max(tokens, row.length);
    return row;
  });
  const ids = new Int32Array(rows.length * tokens).fill(options.pad ?? PAD);
  for (const [i, row] of rows.entries()) ids.set(row, i * tokens);
  return { ids, size: rows.length, tokens };
}
