// Kernels that tfjs's WebAssembly backend lacks, or has too slow, and training needs.
import * as tf from '@tensorflow/tfjs-core';

interface WasmBackend {
  readSync(dataId: object): Float32Array;
  disposeData(dataId: object): void;
  write(values: Float32Array, shape: number[], dtype: 'float32'): object;
}

/** UnsortedSegmentSum: row i of x is added to row segmentIds[i] of the result; the gradient of a gather. */
function unsortedSegmentSum({ inputs, attrs, backend }: Parameters<tf.KernelFunc>[0]): tf.TensorInfo {
  const { x, segmentIds } = inputs as { x: tf.TensorInfo; segmentIds: tf.TensorInfo };
  const numSegments = (attrs as unknown as { numSegments: number }).numSegments;
  const wasm = backend as unknown as WasmBackend;
  const values = wasm.readSync(x.dataId);
  const ids = wasm.readSync(segmentIds.dataId);
  const width = x.shape.slice(segmentIds.shape.length).reduce((product, n) => product * n, 1);
  const out = new Float32Array(numSegments * width);
  for (let i = 0; i < ids.length; i++) {
    const to = (ids[i] as number) * width;
    if (to < 0) continue;
    for (let j = 0; j < width; j++) out[to + j] = (out[to + j] as number) + (values[i * width + j] as number);
  }
  const shape = [numSegments, ...x.shape.slice(segmentIds.shape.length)];
  return { dataId: wasm.write(out, shape, 'float32'), shape, dtype: 'float32' };
}

/**
 * BatchMatMul with its transposed operands transposed first: the backend's product walks a transposed operand column by column, which
 * is several times slower than copying it.
 */
function wrapMatMul(original: tf.KernelConfig): tf.KernelFunc {
  return (parameters) => {
    const { inputs, attrs, backend } = parameters;
    const { transposeA, transposeB } = attrs as { transposeA?: boolean; transposeB?: boolean };
    const copies: tf.TensorInfo[] = [];
    const upright = (x: tf.TensorInfo, isTransposed: boolean | undefined): tf.TensorInfo => {
      if (!isTransposed) return x;
      const rank = x.shape.length;
      const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2];
      const transpose = tf.getKernel('Transpose', 'wasm') as tf.KernelConfig;
      const copy = transpose.kernelFunc({ inputs: { x }, attrs: { perm }, backend }) as tf.TensorInfo;
      copies.push(copy);
      return copy;
    };
    const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
    const operands = { a: upright(a, transposeA), b: upright(b, transposeB) };
    const out = original.kernelFunc({
      inputs: operands,
      attrs: { transposeA: false, transposeB: false },
      backend,
    });
    for (const { dataId } of copies) (backend as unknown as WasmBackend).disposeData(dataId);
    return out;
  };
}

const wrapped = new WeakSet<tf.KernelFunc>();

/** Registers what is missing; harmless when called twice or when a later version brings the kernel itself. */
export function registerMissingWasmKernels(): void {
  if (tf.getKernel('UnsortedSegmentSum', 'wasm') === undefined)
    tf.registerKernel({ kernelName: 'UnsortedSegmentSum', backendName: 'wasm', kernelFunc: unsortedSegmentSum });
  const product = tf.getKernel('BatchMatMul', 'wasm');
  if (!product || wrapped.has(product.kernelFunc)) return;
  const kernelFunc = wrapMatMul(product);
  wrapped.add(kernelFunc);
  tf.unregisterKernel('BatchMatMul', 'wasm');
  // The original's set-up binds its WebAssembly function; it runs when the backend starts.
  tf.registerKernel({ ...product, kernelFunc });
}
