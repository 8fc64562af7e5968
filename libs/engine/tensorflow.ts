// TensorFlow's raw operations through tfjs-node: our fused loss, Adam in place on resource variables, stateless random numbers.
// Each has a plain tfjs twin elsewhere, and a test that the two agree.
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';

interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

/** The part of tfjs-node's backend that calls any TensorFlow op by name. */
interface TensorflowBackend {
  binding: Record<string, number>;
  isUsingGpuDevice?: boolean;
  executeSingleOutput(name: string, attributes: OpAttribute[], inputs: tf.Tensor[]): tf.Tensor;
  executeMultipleOutputs(name: string, attributes: OpAttribute[], inputs: tf.Tensor[], outputs: number): tf.Tensor[];
}

interface LossChunk {
  student: tf.Tensor3D;
  teacher: tf.Tensor2D;
  labels: Int32Array;
  temperature: tf.Tensor1D;
  softWeight: tf.Tensor1D;
  hardWeight: tf.Tensor1D;
}

interface AdamOptions {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  clipNorm?: number;
}

const require = createRequire(import.meta.url);

/** Opens the raw operations of a TensorFlow backend that tfjs-node has registered; loads our addon when there is one. */
export function openTensorflow(opsAddon: string | null) {
  const backend = tf.backend() as unknown as TensorflowBackend;
  const float = backend.binding.TF_FLOAT as number;
  const typeAttribute = (name: string, value = float): OpAttribute => ({
    name,
    type: backend.binding.TF_ATTR_TYPE as number,
    value,
  });
  // The first op creates TensorFlow's context; our op must be registered after its libraries are loaded.
  tf.ones([1]).dispose();
  const isGpu = backend.isUsingGpuDevice === true;
  if (opsAddon && !isGpu) require(opsAddon);

  /** The distillation loss of a chunk in one pass; see native/distillation-loss.cc for formula and shapes. */
  const lossKernel = (chunk: LossChunk): { gradient: tf.Tensor3D; sums: tf.Tensor2D } => {
    const labels = tf.tensor1d(chunk.labels, 'int32');
    const inputs = [chunk.student, chunk.teacher, labels, chunk.temperature, chunk.softWeight, chunk.hardWeight];
    const [gradient, sums] = backend.executeMultipleOutputs('SemdistillLoss', [], inputs, 2);
    labels.dispose();
    return { gradient: gradient as tf.Tensor3D, sums: sums as tf.Tensor2D };
  };

  /** Uniform [0, 1), a pure function of shape and the two keys (TensorFlow's stateless Philox). */
  const uniform = (shape: number[], keys: [number, number]): tf.Tensor => {
    const [dimensions, seed] = [tf.tensor1d(shape, 'int32'), tf.tensor1d(keys, 'int32')];
    const int32 = backend.binding.TF_INT32 as number;
    const out = backend.executeSingleOutput(
      'StatelessRandomUniform',
      [typeAttribute('dtype'), typeAttribute('T', int32), typeAttribute('Tseed', int32)],
      [dimensions, seed],
    );
    tf.dispose([dimensions, seed]);
    return out;
  };

  return {
    isGpu,
    lossKernel: opsAddon && !isGpu ? lossKernel : undefined,
    uniform,
    adam: adamInPlace(backend, typeAttribute),
  };
}

/**
 * Adam on resource variables: TensorFlow's fused kernel updates parameter and moments in place (27 times faster than a chain of
 * element-wise ops on large tables). Same update as the plain twin.
 */
function adamInPlace(backend: TensorflowBackend, typeAttribute: (name: string) => OpAttribute) {
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
