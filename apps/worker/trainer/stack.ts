// Models of one shape side by side in one set of tensors, as bundles are measured.
import * as tf from '@tensorflow/tfjs-core';
import type { Sided } from '#distillation';
import { parameterShapes, type Side } from '#semcom';
import type { Model } from './files.js';

/** K models as one stack, or one side of each; a side that is the teacher's for all is the teacher's own single one. */
export function stack(models: Model[], only?: Side): Sided {
  const shape = (models[0] as Model).shape;
  const weights = new Map<string, tf.Tensor>();
  for (const { name, side, shape: dimensions } of parameterShapes(shape)) {
    if (only !== undefined && side !== only) continue;
    const size = dimensions.reduce((product, n) => product * n, 1);
    const values = new Float32Array(size * models.length);
    models.forEach((model, k) => {
      values.set(model.arrays.get(name) as Float32Array, k * size);
    });
    weights.set(name, tf.tensor(values, [models.length, ...dimensions]));
  }
  return { shape, weights };
}
