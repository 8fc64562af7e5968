// Adam as PyTorch computes it (coupled weight decay, bias correction, optional clipping per student), on the parameters of K
// students at once. The engine has one that updates in place; this one is plain tfjs arithmetic for every backend.
import * as tf from '@tensorflow/tfjs-core';
import type { Weights } from '#semcom';

export interface AdamOptions {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** g += weightDecay * w, on every parameter, biases and norms too */
  weightDecay: number;
  /** Largest L2 norm of one student's whole gradient; n > clip: g *= clip / (n + 1e-6), before the decay. */
  clipNorm?: number;
}

/** The reference's settings. */
export const REFERENCE_ADAM = { beta1: 0.9, beta2: 0.98, epsilon: 1e-8 } as const;

/** Parameters that learn: whoever holds them decides where they lie. Tensors are [K, …]. */
export interface TrainedParameters {
  /** Lends the current values for the time of the call; they must not be kept or disposed. */
  withValues<T>(use: (values: Weights) => T): T;
  /** One update. `gradients` are by name, of the same shapes, and stay the caller's. */
  step(gradients: ReadonlyMap<string, tf.Tensor>): void;
  dispose(): void;
}

/** Makes trained parameters out of start values, which it copies. */
export type OptimizerFactory = (start: Weights, options: AdamOptions) => TrainedParameters;

/** Step t's scalars: w -= rate * m / (sqrt(v) + epsilon) equals PyTorch's lr (m / (1 - b1^t)) / (sqrt(v) / sqrt(1 - b2^t) + eps). */
export function correctedStep(options: AdamOptions, step: number): { rate: number; epsilon: number } {
  const root = Math.sqrt(1 - options.beta2 ** step);
  return {
    rate: (options.learningRate * root) / (1 - options.beta1 ** step),
    epsilon: options.epsilon * root,
  };
}

/** Factors [K] by which each student's gradient is scaled so that its L2 norm is at most `clipNorm`. */
export function clipFactors(gradients: ReadonlyMap<string, tf.Tensor>, clipNorm: number): tf.Tensor1D {
  return tf.tidy(() => {
    const norm = gradientNorms(gradients);
    const scaled = tf.div(clipNorm, tf.add(norm, 1e-6));
    return tf.where(tf.greater(norm, clipNorm), scaled, tf.onesLike(norm)) as tf.Tensor1D;
  });
}

/** L2 norm of each student's whole gradient, [K]. */
export function gradientNorms(gradients: ReadonlyMap<string, tf.Tensor>): tf.Tensor1D {
  return tf.tidy(() => {
    const squares = [...gradients.values()].map((g) => tf.sum(tf.square(tf.reshape(g, [g.shape[0] as number, -1])), 1));
    return tf.sqrt(tf.addN(squares)) as tf.Tensor1D;
  });
}

/** What the update really uses of a gradient: clipped, then decayed. */
export function effectiveGradient(
  gradient: tf.Tensor,
  value: tf.Tensor,
  factors: tf.Tensor1D | null,
  weightDecay: number,
): tf.Tensor {
  return tf.tidy(() => {
    const ones = new Array<number>(gradient.rank - 1).fill(1);
    const clipped = factors ? tf.mul(gradient, tf.reshape(factors, [-1, ...ones])) : gradient;
    return weightDecay === 0 ? tf.clone(clipped) : tf.add(clipped, tf.mul(value, weightDecay));
  });
}

/** Adam in plain tfjs operations. */
export const plainAdam: OptimizerFactory = (start, options) => {
  const values = new Map<string, tf.Tensor>();
  const moments = new Map<string, { m: tf.Tensor; v: tf.Tensor }>();
  for (const [name, tensor] of start) {
    values.set(name, tf.keep(tf.clone(tensor)));
    moments.set(name, { m: tf.keep(tf.zerosLike(tensor)), v: tf.keep(tf.zerosLike(tensor)) });
  }
  let steps = 0;
  return {
    withValues: (use) => use(values),
    step(gradients) {
      steps += 1;
      const { rate, epsilon } = correctedStep(options, steps);
      const factors = options.clipNorm === undefined ? null : clipFactors(gradients, options.clipNorm);
      for (const [name, gradient] of gradients) {
        const old = { w: values.get(name) as tf.Tensor, ...(moments.get(name) as { m: tf.Tensor; v: tf.Tensor }) };
        const [w, m, v] = tf.tidy(() => {
          const g = effectiveGradient(gradient, old.w, factors, options.weightDecay);
          const first = tf.add(tf.mul(old.m, options.beta1), tf.mul(g, 1 - options.beta1));
          const second = tf.add(tf.mul(old.v, options.beta2), tf.mul(tf.square(g), 1 - options.beta2));
          const change = tf.div(tf.mul(first, rate), tf.add(tf.sqrt(second), epsilon));
          return [tf.sub(old.w, change), first, second];
        }) as [tf.Tensor, tf.Tensor, tf.Tensor];
        tf.dispose([old.w, old.m, old.v]);
        values.set(name, tf.keep(w));
        moments.set(name, { m: tf.keep(m), v: tf.keep(v) });
      }
      factors?.dispose();
    },
    dispose() {
      for (const tensor of values.values()) tensor.dispose();
      for (const { m, v } of moments.values()) tf.dispose([m, v]);
    },
  };
};
