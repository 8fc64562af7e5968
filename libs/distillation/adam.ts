// Adam as PyTorch computes it (coupled weight decay, bias correction, optional clipping per student), on the parameters of K
// students at once. The engine has one that updates in place; this one is plain tfjs arithmetic for every backend.
import * as tf from '@tensorflow/tfjs-core';
import type { Weights } from '#semcom';

/** One value for all students, or one a student. */
export type PerStudent = number | readonly number[];

export interface AdamOptions {
  learningRate: PerStudent;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** g += weightDecay * w, on every parameter, biases and norms too */
  weightDecay: PerStudent;
  /** Largest L2 norm of one student's whole gradient; n > clip: g *= clip / (n + 1e-6), before the decay. */
  clipNorm?: number;
}

/** The reference's settings. */
export const REFERENCE_ADAM = { beta1: 0.9, beta2: 0.98, epsilon: 1e-8 } as const;

/** A parameter with Adam's two moments, all [K, …]. */
export interface AdamSlot<Values> {
  w: Values;
  m: Values;
  v: Values;
}

/** Everything the next update depends on besides its gradients. */
export interface AdamState<Values> {
  /** updates so far */
  steps: number;
  slots: ReadonlyMap<string, AdamSlot<Values>>;
}

/** Parameters that learn: whoever holds them decides where they lie. Tensors are [K, …]. */
export interface TrainedParameters {
  /** Lends the current values for the time of the call; they must not be kept or disposed. */
  withValues<T>(use: (values: Weights) => T): T;
  /** One update. `gradients` are by name, of the same shapes, and stay the caller's. */
  step(gradients: ReadonlyMap<string, tf.Tensor>): void;
  /** The state of this moment by reference, without a copy: it stays as it is while training goes on. The caller disposes its tensors. */
  hold(): AdamState<tf.Tensor>;
  /** Takes up a state that was held: same names, same sizes; copied. Throws when it does not fit. */
  restore(state: AdamState<Float32Array>): void;
  dispose(): void;
}

/** Makes trained parameters out of start values, which it copies. */
export type OptimizerFactory = (start: Weights, options: AdamOptions) => TrainedParameters;

/** Step t's scalars: w -= rate * m / (sqrt(v) + epsilon) equals PyTorch's lr (m / (1 - b1^t)) / (sqrt(v) / sqrt(1 - b2^t) + eps). */
export function correctedStep(
  options: Pick<AdamOptions, 'beta1' | 'beta2' | 'epsilon'>,
  learningRate: number,
  step: number,
): { rate: number; epsilon: number } {
  const root = Math.sqrt(1 - options.beta2 ** step);
  return { rate: (learningRate * root) / (1 - options.beta1 ** step), epsilon: options.epsilon * root };
}

/** The one value, when it is the same for all students. */
export function commonValue(value: PerStudent): number | undefined {
  if (typeof value === 'number') return value;
  return value.every((one) => one === value[0]) ? value[0] : undefined;
}

/** One value a student as a column that multiplies tensors [K, …] of this rank: [K, 1, …]. */
export function perStudentColumn(values: readonly number[], rank: number): tf.Tensor {
  return tf.tensor(Float32Array.from(values), [values.length, ...new Array<number>(rank - 1).fill(1)]);
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
  weightDecay: PerStudent,
): tf.Tensor {
  return tf.tidy(() => {
    const ones = new Array<number>(gradient.rank - 1).fill(1);
    const clipped = factors ? tf.mul(gradient, tf.reshape(factors, [-1, ...ones])) : gradient;
    const common = commonValue(weightDecay);
    if (common === 0) return tf.clone(clipped);
    const decay = common ?? perStudentColumn(weightDecay as readonly number[], gradient.rank);
    return tf.add(clipped, tf.mul(value, decay));
  });
}

/** Throws unless the state has exactly these parameters with these sizes. */
export function assertFits(state: AdamState<Float32Array>, shapes: ReadonlyMap<string, number[]>): void {
  const sizeOf = (shape: number[]) => shape.reduce((product, n) => product * n, 1);
  for (const [name, shape] of shapes) {
    const slot = state.slots.get(name);
    const isFit = slot && [slot.w, slot.m, slot.v].every((values) => values.length === sizeOf(shape));
    if (!isFit) throw new Error(`the saved state does not fit parameter ${name} of shape [${shape.join(', ')}]`);
  }
  if (state.slots.size !== shapes.size) throw new Error('the saved state has parameters that do not learn here');
}

/** What every Adam has in common with the plain one: handed to the engine's, which may import nothing of ours. */
export const ADAM_ARITHMETIC = {
  correctedStep,
  commonValue,
  perStudentColumn,
  clipFactors,
  effectiveGradient,
  assertFits,
};

/** Adam in plain tfjs operations. */
export const plainAdam: OptimizerFactory = (start, options) => {
  const slots = new Map<string, AdamSlot<tf.Tensor>>();
  for (const [name, tensor] of start)
    slots.set(name, {
      w: tf.keep(tf.clone(tensor)),
      m: tf.keep(tf.zerosLike(tensor)),
      v: tf.keep(tf.zerosLike(tensor)),
    });
  let steps = 0;
  const replace = (name: string, slot: AdamSlot<tf.Tensor>) => {
    const old = slots.get(name) as AdamSlot<tf.Tensor>;
    tf.dispose([old.w, old.m, old.v]);
    slots.set(name, { w: tf.keep(slot.w), m: tf.keep(slot.m), v: tf.keep(slot.v) });
  };
  return {
    withValues: (use) => use(new Map([...slots].map(([name, slot]) => [name, slot.w] as const))),
    step(gradients) {
      steps += 1;
      const factors = options.clipNorm === undefined ? null : clipFactors(gradients, options.clipNorm);
      for (const [name, gradient] of gradients) {
        const old = slots.get(name);
        if (!old) throw new Error(`no trained parameter ${name}`);
        const [w, m, v] = tf.tidy(() => {
          const g = effectiveGradient(gradient, old.w, factors, options.weightDecay);
          const { rate, epsilon } = ratesOf(options, steps, gradient.rank);
          const first = tf.add(tf.mul(old.m, options.beta1), tf.mul(g, 1 - options.beta1));
          const second = tf.add(tf.mul(old.v, options.beta2), tf.mul(tf.square(g), 1 - options.beta2));
          const change = tf.div(tf.mul(first, rate), tf.add(tf.sqrt(second), epsilon));
          return [tf.sub(old.w, change), first, second];
        }) as [tf.Tensor, tf.Tensor, tf.Tensor];
        replace(name, { w, m, v });
      }
      factors?.dispose();
    },
    // Tensors never change here: holding one more reference is all it takes.
    hold: () => ({
      steps,
      slots: new Map(
        [...slots].map(([name, { w, m, v }]) => {
          const [heldW, heldM, heldV] = [w, m, v].map((x) => tf.keep(tf.clone(x))) as [tf.Tensor, tf.Tensor, tf.Tensor];
          return [name, { w: heldW, m: heldM, v: heldV }] as const;
        }),
      ),
    }),
    restore(state) {
      assertFits(state, new Map([...slots].map(([name, { w }]) => [name, w.shape])));
      for (const [name, { w }] of [...slots]) {
        const saved = state.slots.get(name) as AdamSlot<Float32Array>;
        replace(name, {
          w: tf.tensor(saved.w, w.shape),
          m: tf.tensor(saved.m, w.shape),
          v: tf.tensor(saved.v, w.shape),
        });
      }
      steps = state.steps;
    },
    dispose() {
      for (const { w, m, v } of slots.values()) tf.dispose([w, m, v]);
      slots.clear();
    },
  };
};

/** The step's rate, a number or a column [K, 1, …], and epsilon. */
function ratesOf(options: AdamOptions, step: number, rank: number): { rate: tf.Tensor | number; epsilon: number } {
  const common = commonValue(options.learningRate);
  if (common !== undefined) return correctedStep(options, common, step);
  const each = (options.learningRate as readonly number[]).map((one) => correctedStep(options, one, step));
  return {
    rate: perStudentColumn(
      each.map(({ rate }) => rate),
      rank,
    ),
    epsilon: each[0]?.epsilon as number,
  };
}
