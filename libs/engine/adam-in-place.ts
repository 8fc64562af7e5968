// Adam on TensorFlow's resource variables; the plain twin is plainAdam of libs/distillation, and a test holds both together.
import * as tf from '@tensorflow/tfjs-core';
import type { OpAttribute, TensorflowBackend } from './raw-operations.js';

interface AdamOptions {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  clipNorm?: number;
}

/**
 * Adam on resource variables: TensorFlow's fused kernel updates parameter and moments in place (27 times faster than a chain of
 * element-wise ops on large tables). Same update as the plain twin.
 */
export function adamInPlace(backend: TensorflowBackend, typeAttribute: (name: string) => OpAttribute) {
  let created = 0;
  const variable = (value: tf.Tensor): tf.Tensor => {
    created += 1;
    const { TF_ATTR_SHAPE, TF_ATTR_STRING } = backend.binding as { TF_ATTR_SHAPE: number; TF_ATTR_STRING: number };
    const handle = backend.executeSingleOutput(
      'VarHandleOp',
      [
        typeAttribute('dtype'),
        { name: 'shape', type: TF_ATTR_SHAPE, value: value.shape },
        { name: 'container', type: TF_ATTR_STRING, value: '' },
        { name: 'shared_name', type: TF_ATTR_STRING, value: `semdistill-${process.pid}-${created}` },
      ],
      [],
    );
    backend.executeMultipleOutputs('AssignVariableOp', [typeAttribute('dtype')], [handle, value], 0);
    return tf.keep(handle);
  };
  const read = (handle: tf.Tensor): tf.Tensor =>
    backend.executeSingleOutput('ReadVariableOp', [typeAttribute('dtype')], [handle]);
  const destroy = (handle: tf.Tensor): void => {
    const ignoreAttribute = { name: 'ignore_lookup_error', type: backend.binding.TF_ATTR_BOOL as number, value: true };
    backend.executeMultipleOutputs('DestroyResourceOp', [ignoreAttribute], [handle], 0);
    handle.dispose();
  };
  const applyAttributes: OpAttribute[] = [
    typeAttribute('T'),
    { name: 'use_locking', type: backend.binding.TF_ATTR_BOOL as number, value: false },
    { name: 'use_nesterov', type: backend.binding.TF_ATTR_BOOL as number, value: false },
  ];

  return (
    start: ReadonlyMap<string, tf.Tensor>,
    options: AdamOptions,
    /** the plain twin's arithmetic: step-dependent scalars, clipping, decay */
    arithmetic: {
      correctedStep(options: AdamOptions, step: number): { rate: number; epsilon: number };
      clipFactors(gradients: ReadonlyMap<string, tf.Tensor>, clipNorm: number): tf.Tensor1D;
      effectiveGradient(g: tf.Tensor, w: tf.Tensor, factors: tf.Tensor1D | null, weightDecay: number): tf.Tensor;
    },
  ) => {
    const slots = new Map<string, { w: tf.Tensor; m: tf.Tensor; v: tf.Tensor }>();
    for (const [name, tensor] of start) {
      const zeros = tf.zerosLike(tensor);
      slots.set(name, { w: variable(tensor), m: variable(zeros), v: variable(zeros) });
      zeros.dispose();
    }
    let steps = 0;
    return {
      withValues<T>(use: (values: ReadonlyMap<string, tf.Tensor>) => T): T {
        const values = new Map([...slots].map(([name, slot]) => [name, tf.keep(read(slot.w))] as const));
        try {
          return use(values);
        } finally {
          // A value still referenced would make the in-place update copy.
          for (const value of values.values()) value.dispose();
        }
      },
      step(gradients: ReadonlyMap<string, tf.Tensor>): void {
        steps += 1;
        const { rate, epsilon } = arithmetic.correctedStep(options, steps);
        const factors = options.clipNorm === undefined ? null : arithmetic.clipFactors(gradients, options.clipNorm);
        const scalars = [0, 0, rate, options.beta1, options.beta2, epsilon].map((x) => tf.scalar(x));
        for (const [name, gradient] of gradients) {
          const slot = slots.get(name);
          if (!slot) throw new Error(`no trained parameter ${name}`);
          const isPlain = options.weightDecay === 0 && !factors;
          const value = isPlain ? null : read(slot.w);
          const g = value ? arithmetic.effectiveGradient(gradient, value, factors, options.weightDecay) : gradient;
          value?.dispose();
          backend.executeMultipleOutputs(
            'ResourceApplyAdam',
            applyAttributes,
            [slot.w, slot.m, slot.v, ...scalars, g],
            0,
          );
          if (g !== gradient) g.dispose();
        }
        tf.dispose([...scalars, factors ?? []]);
      },
      dispose(): void {
        for (const { w, m, v } of slots.values()) for (const handle of [w, m, v]) destroy(handle);
        slots.clear();
      },
    };
  };
}
