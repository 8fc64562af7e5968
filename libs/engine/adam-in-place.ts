// Adam on TensorFlow's resource variables; the plain twin is plainAdam of libs/distillation, and a test holds both together.
import * as tf from '@tensorflow/tfjs-core';
import type { OpAttribute, TensorflowBackend } from './raw-operations.js';

type PerStudent = number | readonly number[];

interface AdamOptions {
  learningRate: PerStudent;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: PerStudent;
  clipNorm?: number;
}

/** Handles of resource variables, or the tensors in them. */
interface Slot<Values = tf.Tensor> {
  w: Values;
  m: Values;
  v: Values;
}

interface State<Values> {
  steps: number;
  slots: ReadonlyMap<string, Slot<Values>>;
}

/** The plain twin's arithmetic: step-dependent scalars, clipping, decay. */
interface Arithmetic {
  correctedStep(options: AdamOptions, learningRate: number, step: number): { rate: number; epsilon: number };
  commonValue(value: PerStudent): number | undefined;
  perStudentColumn(values: readonly number[], rank: number): tf.Tensor;
  clipFactors(gradients: ReadonlyMap<string, tf.Tensor>, clipNorm: number): tf.Tensor1D;
  effectiveGradient(g: tf.Tensor, w: tf.Tensor, factors: tf.Tensor1D | null, weightDecay: PerStudent): tf.Tensor;
  assertFits(state: State<Float32Array>, shapes: ReadonlyMap<string, number[]>): void;
}

/** One update of all slots. */
type Update = (step: number, gradients: ReadonlyMap<string, tf.Tensor>, slotOf: (name: string) => Slot) => void;

/**
 * Adam on resource variables: one fused kernel updates parameter and moments in place (27 times faster than a chain of
 * element-wise ops on large tables). Same update as the plain twin. `hasOwnKernel`: the addon's, which knows each student's rate,
 * decay and clipping; else TensorFlow's.
 */
export function adamInPlace(
  backend: TensorflowBackend,
  typeAttribute: (name: string) => OpAttribute,
  hasOwnKernel: boolean,
) {
  const variables = resourceVariables(backend, typeAttribute);

  /** One call a parameter; see native/adam.cc. */
  const ownUpdate =
    (options: AdamOptions, arithmetic: Arithmetic): Update =>
    (step, gradients, slotOf) => {
      const [first] = gradients.values();
      const students = first?.shape[0] ?? 0;
      const each = (value: PerStudent) =>
        typeof value === 'number' ? new Array<number>(students).fill(value) : [...value];
      const corrected = each(options.learningRate).map((rate) => arithmetic.correctedStep(options, rate, step));
      const epsilon = corrected[0]?.epsilon ?? options.epsilon;
      tf.tidy(() => {
        const factors =
          options.clipNorm === undefined ? tf.ones([students]) : arithmetic.clipFactors(gradients, options.clipNorm);
        const rates = tf.tensor1d(corrected.map(({ rate }) => rate));
        const settings = tf.stack([rates, tf.tensor1d(each(options.weightDecay)), factors], 1);
        const scalars = tf.tensor1d([options.beta1, options.beta2, epsilon]);
        for (const [name, gradient] of gradients) {
          const { w, m, v } = slotOf(name);
          backend.executeMultipleOutputs('SemdistillAdam', [], [w, m, v, gradient, settings, scalars], 0);
        }
      });
    };

  const applyAttributes: OpAttribute[] = [
    typeAttribute('T'),
    { name: 'use_locking', type: backend.binding.TF_ATTR_BOOL as number, value: false },
    { name: 'use_nesterov', type: backend.binding.TF_ATTR_BOOL as number, value: false },
  ];
  const apply = (slot: Slot, scalars: readonly tf.Tensor[], gradient: tf.Tensor) => {
    backend.executeMultipleOutputs(
      'ResourceApplyAdam',
      applyAttributes,
      [slot.w, slot.m, slot.v, ...scalars, gradient],
      0,
    );
  };

  /**
   * TensorFlow's kernel takes one rate for the whole tensor. For students of different rates it is run at rate 1 (bias correction
   * included) on a variable of zeros, which then holds minus the direction, and each student takes its own rate times that. The
   * layout stays [K, …]; one variable a student would have to be put together anew for each forward pass.
   */
  const applyEach = (slot: Slot, scalars: readonly tf.Tensor[], gradient: tf.Tensor, rates: tf.Tensor) => {
    const zeros = tf.zerosLike(gradient);
    const direction = variables.create(zeros);
    zeros.dispose();
    apply({ ...slot, w: direction }, scalars, gradient);
    const change = tf.tidy(() => tf.mul(variables.read(direction), rates));
    variables.destroy(direction);
    variables.add(slot.w, change);
    change.dispose();
  };

  const libraryUpdate = (options: AdamOptions, arithmetic: Arithmetic): Update => {
    const rate = arithmetic.commonValue(options.learningRate);
    const decay = arithmetic.commonValue(options.weightDecay);
    const ratesOf = (rank: number) => arithmetic.perStudentColumn(options.learningRate as readonly number[], rank);
    return (step, gradients, slotOf) => {
      const corrected = arithmetic.correctedStep(options, rate ?? 1, step);
      const factors = options.clipNorm === undefined ? null : arithmetic.clipFactors(gradients, options.clipNorm);
      const numbers = [0, 0, corrected.rate, options.beta1, options.beta2, corrected.epsilon];
      const scalars = numbers.map((x) => tf.scalar(x));
      for (const [name, gradient] of gradients) {
        const slot = slotOf(name);
        const isPlain = decay === 0 && !factors;
        const value = isPlain ? null : variables.read(slot.w);
        const g = value ? arithmetic.effectiveGradient(gradient, value, factors, options.weightDecay) : gradient;
        value?.dispose();
        if (rate === undefined) tf.tidy(() => applyEach(slot, scalars, g, ratesOf(g.rank)));
        else apply(slot, scalars, g);
        if (g !== gradient) g.dispose();
      }
      tf.dispose([...scalars, factors ?? []]);
    };
  };

  return (start: ReadonlyMap<string, tf.Tensor>, options: AdamOptions, arithmetic: Arithmetic) => {
    const slots = new Map<string, Slot & { shape: number[] }>();
    for (const [name, tensor] of start) {
      const zeros = tf.zerosLike(tensor);
      const { create } = variables;
      slots.set(name, { w: create(tensor), m: create(zeros), v: create(zeros), shape: tensor.shape });
      zeros.dispose();
    }
    const update = (hasOwnKernel ? ownUpdate : libraryUpdate)(options, arithmetic);
    const slotOf = (name: string): Slot => {
      const slot = slots.get(name);
      if (!slot) throw new Error(`no trained parameter ${name}`);
      return slot;
    };
    let steps = 0;

    return {
      withValues<T>(use: (values: ReadonlyMap<string, tf.Tensor>) => T): T {
        const values = new Map([...slots].map(([name, slot]) => [name, tf.keep(variables.read(slot.w))] as const));
        try {
          return use(values);
        } finally {
          // A value still referenced would make the in-place update copy.
          for (const value of values.values()) value.dispose();
        }
      },
      step(gradients: ReadonlyMap<string, tf.Tensor>): void {
        steps += 1;
        update(steps, gradients, slotOf);
      },
      /**
       * Reading a variable gives its buffer without a copy; the next update finds it shared, leaves it alone and goes on in a
       * copy that TensorFlow makes then. So what is held is the state of one step, and can be read out at leisure.
       */
      hold(): State<tf.Tensor> {
        const held = (handle: tf.Tensor) => tf.keep(variables.read(handle));
        return {
          steps,
          slots: new Map(
            [...slots].map(([name, { w, m, v }]) => [name, { w: held(w), m: held(m), v: held(v) }] as const),
          ),
        };
      },
      restore(state: State<Float32Array>): void {
        arithmetic.assertFits(state, new Map([...slots].map(([name, { shape }]) => [name, shape])));
        for (const [name, slot] of slots) {
          const saved = state.slots.get(name) as Slot<Float32Array>;
          for (const one of ['w', 'm', 'v'] as const) {
            const values = tf.tensor(saved[one], slot.shape);
            variables.assign(slot[one], values);
            values.dispose();
          }
        }
        steps = state.steps;
      },
      dispose(): void {
        for (const { w, m, v } of slots.values()) for (const handle of [w, m, v]) variables.destroy(handle);
        slots.clear();
      },
    };
  };
}

/** TensorFlow's resource variables, float32: made, read without a copy, assigned, added to, destroyed. */
function resourceVariables(backend: TensorflowBackend, typeAttribute: (name: string) => OpAttribute) {
  let created = 0;
  const dtype = typeAttribute('dtype');
  const assign = (handle: tf.Tensor, value: tf.Tensor): void => {
    backend.executeMultipleOutputs('AssignVariableOp', [dtype], [handle, value], 0);
  };
  return {
    assign,
    create(value: tf.Tensor): tf.Tensor {
      created += 1;
      const { TF_ATTR_SHAPE, TF_ATTR_STRING } = backend.binding as { TF_ATTR_SHAPE: number; TF_ATTR_STRING: number };
      const handle = backend.executeSingleOutput(
        'VarHandleOp',
        [
          dtype,
          { name: 'shape', type: TF_ATTR_SHAPE, value: value.shape },
          { name: 'container', type: TF_ATTR_STRING, value: '' },
          { name: 'shared_name', type: TF_ATTR_STRING, value: `semdistill-${process.pid}-${created}` },
        ],
        [],
      );
      assign(handle, value);
      return tf.keep(handle);
    },
    read: (handle: tf.Tensor): tf.Tensor => backend.executeSingleOutput('ReadVariableOp', [dtype], [handle]),
    add(handle: tf.Tensor, value: tf.Tensor): void {
      backend.executeMultipleOutputs('AssignAddVariableOp', [dtype], [handle, value], 0);
    },
    destroy(handle: tf.Tensor): void {
      const ignoreAttribute = {
        name: 'ignore_lookup_error',
        type: backend.binding.TF_ATTR_BOOL as number,
        value: true,
      };
      backend.executeMultipleOutputs('DestroyResourceOp', [ignoreAttribute], [handle], 0);
      handle.dispose();
    },
  };
}
