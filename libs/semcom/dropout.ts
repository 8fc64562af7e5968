// Dropout as a pure function of a named random stream: which units a site drops depends on (seed, step, site) and the element's
// place, not on the backend, nor on how many models are trained side by side.
import * as tf from '@tensorflow/tfjs-core';
import type { RandomStream } from './philox.js';

/** One application of dropout. Element e of the row-major [rows, width] takes word e of the stream. */
export interface DropoutSite {
  rate: number;
  stream: RandomStream;
  /** Which sentences of the whole batch these are, where a batch is computed in parts: `count` of them from `from`. */
  part?: { from: number; count: number } | undefined;
}

/** The next site while training, null when measuring. Called in a fixed order, once per site. */
export type Dropout = () => DropoutSite | null;

export const noDropout: Dropout = () => null;

/** The row of the whole batch that the first of `rows` rows is. */
export function firstRow({ part }: DropoutSite, rows: number): number {
  return part ? (rows / part.count) * part.from : 0;
}

/** Zeroes x [G, N, width] where the site's uniform number is below the rate and divides the rest by 1 - rate; one mask for all G. */
export function dropOut(x: tf.Tensor3D, site: DropoutSite | null): tf.Tensor3D {
  if (!site || site.rate === 0) return x;
  const [, rows, width] = x.shape;
  const skipped = firstRow(site, rows) * width;
  const draws = site.stream.fillUniform(new Float32Array(skipped + rows * width)).subarray(skipped);
  const factors = draws.map((u) => (u >= Math.fround(site.rate) ? 1 : 0));
  return tf.mul(x, tf.div(tf.tensor(factors, [1, rows, width]), 1 - site.rate));
}
