// A model's parameters as tensors with a leading group axis [G, …]: G models of one shape computed side by side. Conversions
// between that layout and the reference's state_dict (float32 arrays by name, kernels [out, in]).
import * as tf from '@tensorflow/tfjs-core';
import { type DeepscShape, parameterShapes } from './architecture.js';
import type { RandomStream } from './philox.js';

/** Parameters by state_dict name; each tensor is [G, …shape]. */
export interface Weights extends ReadonlyMap<string, tf.Tensor> {
  /** Gradients pass through these layers, but none are made for their kernels. */
  readonly frozen?: true;
}

/** The same parameters, said not to learn. */
export function frozen(weights: Weights): Weights {
  return Object.assign(new Map(weights), { frozen: true as const });
}

/** One model's parameters in the reference's own layout: kernels [out, in]. */
export interface NamedArray {
  name: string;
  shape: number[];
  data: Float32Array;
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c] as number;
  return out;
}

/** Faults of a state_dict against an architecture: what is missing, extra, or of another shape. Empty when it fits. */
export function stateDictFaults(
  shape: DeepscShape,
  state: ReadonlyMap<string, { shape: number[]; data: Float32Array }>,
): string[] {
  const faults: string[] = [];
  const known = new Set<string>();
  for (const parameter of parameterShapes(shape)) {
    known.add(parameter.name);
    const wanted = parameter.kind === 'kernel' ? [...parameter.shape].reverse() : parameter.shape;
    const found = state.get(parameter.name);
    if (!found) faults.push(`${parameter.name} is missing`);
    else if (found.shape.join() !== wanted.join())
      faults.push(`${parameter.name} is [${found.shape.join(', ')}], expected [${wanted.join(', ')}]`);
    else if (!found.data.every(Number.isFinite)) faults.push(`${parameter.name} holds NaN or infinity`);
  }
  for (const name of state.keys()) {
    if (!known.has(name) && !name.endsWith('.pos_encoding.pe')) faults.push(`${name} does not belong to this model`);
  }
  return faults;
}

/** state_dict arrays to our layout, one model (G = 1) as plain arrays. Throws when the state does not fit. */
export function fromStateDict(
  shape: DeepscShape,
  state: ReadonlyMap<string, { shape: number[]; data: Float32Array }>,
): Map<string, Float32Array> {
  const faults = stateDictFaults(shape, state);
  if (faults.length > 0) throw new Error(`the weights do not fit the model: ${faults.slice(0, 8).join('; ')}`);
  const out = new Map<string, Float32Array>();
  for (const parameter of parameterShapes(shape)) {
    const { data } = state.get(parameter.name) as { data: Float32Array };
    const [input = 0, output = 0] = parameter.shape;
    out.set(parameter.name, parameter.kind === 'kernel' ? transposed(data, output, input) : data);
  }
  return out;
}

/** Our layout (one model) to the reference's state_dict, in its order. */
export function toStateDict(shape: DeepscShape, arrays: ReadonlyMap<string, Float32Array>): NamedArray[] {
  return parameterShapes(shape).map((parameter) => {
    const data = arrays.get(parameter.name);
    if (!data) throw new Error(`no values for ${parameter.name}`);
    const [input = 0, output = 0] = parameter.shape;
    return parameter.kind === 'kernel'
      ? { name: parameter.name, shape: [output, input], data: transposed(data, input, output) }
      : { name: parameter.name, shape: parameter.shape, data };
  });
}

/** Arrays of one model as tensors with G = `groups` equal copies. The caller disposes them. */
export function weightsFromArrays(
  shape: DeepscShape,
  arrays: ReadonlyMap<string, Float32Array>,
  options: { groups?: number; select?: (name: string) => boolean } = {},
): Map<string, tf.Tensor> {
  const groups = options.groups ?? 1;
  const out = new Map<string, tf.Tensor>();
  for (const parameter of parameterShapes(shape)) {
    if (options.select && !options.select(parameter.name)) continue;
    const data = arrays.get(parameter.name);
    if (!data) throw new Error(`no values for ${parameter.name}`);
    const stacked = new Float32Array(groups * data.length);
    for (let g = 0; g < groups; g++) stacked.set(data, g * data.length);
    out.set(parameter.name, tf.tensor(stacked, [groups, ...parameter.shape]));
  }
  return out;
}

/** The parameters of one group as plain arrays in our layout. */
export function groupArrays(weights: Weights, group: number): Map<string, Float32Array> {
  const out = new Map<string, Float32Array>();
  for (const [name, tensor] of weights) {
    const groups = tensor.shape[0] as number;
    const one = groups === 1 ? tensor : tf.slice(tensor, [group], [1]);
    out.set(name, one.dataSync().slice() as Float32Array);
    if (one !== tensor) one.dispose();
  }
  return out;
}

export function disposeWeights(weights: Weights): void {
  for (const tensor of weights.values()) tensor.dispose();
}

/**
 * Fresh parameters as the reference draws them: Xavier-uniform for every matrix, U(-1/sqrt(in), 1/sqrt(in)) for biases of
 * linear layers, ones and zeros for layer norms. Each parameter has its own stream, so a model with other layers keeps the rest.
 */
export function initialArrays(
  shape: DeepscShape,
  streamFor: (parameterName: string) => RandomStream,
): Map<string, Float32Array> {
  const out = new Map<string, Float32Array>();
  const shapes = parameterShapes(shape);
  const inputsOf = new Map(shapes.filter((p) => p.kind === 'kernel').map((p) => [p.name, p.shape[0] as number]));
  for (const parameter of shapes) {
    const size = parameter.shape.reduce((product, n) => product * n, 1);
    const data = new Float32Array(size);
    const kernelInputs = inputsOf.get(parameter.name.replace(/\.bias$/, '.weight'));
    if (parameter.kind === 'gain') data.fill(1);
    else if (parameter.kind !== 'bias' || kernelInputs !== undefined) {
      const [a = 1, b = 1] = parameter.shape;
      const bound = parameter.kind === 'bias' ? 1 / Math.sqrt(kernelInputs as number) : Math.sqrt(6 / (a + b));
      streamFor(parameter.name).fillUniform(data);
      for (let i = 0; i < size; i++) data[i] = bound * (2 * (data[i] as number) - 1);
    }
    out.set(parameter.name, data);
  }
  return out;
}
