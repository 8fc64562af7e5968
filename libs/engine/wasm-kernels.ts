// Kernels that tfjs's WebAssembly backend lacks and training needs, in plain loops over its memory.
import * as tf from '@tensorflow/tfjs-core';

interface WasmBackend {
  readSync(dataId: object): Float32Array;
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

/** Registers what is missing; harmless when called twice or when a later version brings the kernel itself. */
export function registerMissingWasmKernels(): void {
  if (tf.getKernel('UnsortedSegmentSum', 'wasm') === undefined)
    tf.registerKernel({ kernelName: 'UnsortedSegmentSum', backendName: 'wasm', kernelFunc: unsortedSegmentSum });
}
