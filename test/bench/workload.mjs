// What a learning benchmark trains: sizes of the models, temperatures, and which sentences its steps take. The same for us and
// for the peers (torch_sweep.py), so that the rates may be compared.

export const SIZES = { dModel: 128, dff: 512, heads: 8 };
export const TEACHER_LAYERS = 4;
export const STUDENT_LAYERS = 2;
export const DROPOUT = 0.1;
export const DISTILL_WEIGHT = 0.7;
export const LEARNING_RATE = 1e-4;
export const TRAIN_SNR_DB = [5, 10];

export function shapeOf(vocabularySize, layers) {
  return { vocabularySize, ...SIZES, encoderLayers: layers, decoderLayers: layers };
}

/** One student learns at 4, several at 1, 2, 4, … */
export function temperaturesOf(students) {
  return students === 1 ? [4] : Array.from({ length: students }, (_, k) => 2 ** k);
}

/** Which of `count` batches a run of `steps` takes: evenly over all of them (torch_sweep.py, spread). */
export function spread(count, steps) {
  if (steps >= count) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: steps }, (_, i) => Math.floor((i * count) / steps));
}

/**
 * The sentences of `steps` batches of near-equal length, taken evenly over the whole split (torch_sweep.py, bucket_batches).
 * As a list of batches, shortest first; the order of training is the trainer's own.
 */
export function pickBatches(lengths, { batchSize, steps }) {
  const order = Array.from(lengths.keys()).sort((a, b) => lengths[a] - lengths[b]);
  const batches = Math.ceil(order.length / batchSize);
  return spread(batches, steps).map((batch) => order.slice(batch * batchSize, (batch + 1) * batchSize));
}
