// Validation while training: cross-entropy of each student on held-out sentences, in batches of like length with fixed draws, so
// that every epoch and every student meets the same.
import { type Batch, type ChannelUse, collate, longestFirst, RandomStream } from '#semcom';
import type { TrainedParameters } from './adam.js';
import { drawUse } from './draws.js';
import { lossesInParts, realTargets } from './micro-batches.js';
import type { BundleModel } from './step.js';
import type { TrainingSettings } from './train.js';

/** sigma of validation, the reference's 0.1 (a label of 16.99 dB). */
export const VALIDATION_DEVIATION = 0.1;

export interface ValidationBatch {
  batch: Batch;
  use: ChannelUse;
  real: number;
}

export function validationBatches(sentences: readonly number[][], settings: TrainingSettings): ValidationBatch[] {
  const order = longestFirst(
    sentences.map((row) => row.length),
    sentences.map((_, i) => i),
  );
  const out: ValidationBatch[] = [];
  for (let from = 0; from < order.length; from += 256) {
    const batch = collate(sentences, order.subarray(from, from + 256));
    const use = drawUse(
      batch,
      { channel: settings.channel, profile: settings.channelProfile, deviation: VALIDATION_DEVIATION },
      (purpose) => new RandomStream(0, `validation-${purpose}`, from),
    );
    out.push({ batch, use, real: realTargets(batch) });
  }
  return out;
}

/** Cross-entropy a real token of each student over the validation sentences, nats; each batch in `parts` micro-batches. */
export function validationLosses(
  model: Omit<BundleModel, 'dropout'>,
  parameters: TrainedParameters,
  batches: ValidationBatch[],
  parts: number,
): number[] {
  const sums = model.temperature.map(() => 0);
  let tokens = 0;
  for (const { batch, use, real } of batches) {
    const { crossEntropy } = parameters.withValues((trained) => lossesInParts(model, trained, batch, use, parts));
    crossEntropy.forEach((loss, k) => {
      sums[k] = (sums[k] as number) + loss * real;
    });
    tokens += real;
  }
  return sums.map((sum) => sum / tokens);
}
