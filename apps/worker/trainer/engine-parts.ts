// The engine's fused operations where it has them, the plain twins where not.
import { ADAM_ARITHMETIC, type LossKernel, type OptimizerFactory, plainAdam, plainLossKernel } from '#distillation';
import type { Engine } from '#engine';

export function lossKernelOf(engine: Engine): LossKernel {
  return engine.lossKernel ?? plainLossKernel;
}

export function optimizerOf(engine: Engine): OptimizerFactory {
  const { adam } = engine;
  if (!adam) return plainAdam;
  return (start, options) => adam(start, options, ADAM_ARITHMETIC);
}

/** Test sentences that are measured on, and others for choosing the best epoch: never the same where there are enough. */
export function splitTest(test: number[][], sentences: number): { evaluation: number[][]; validation: number[][] } {
  const evaluation = test.slice(0, sentences);
  const rest = test.slice(evaluation.length, evaluation.length + Math.max(sentences, 200));
  return { evaluation, validation: rest.length >= Math.min(50, evaluation.length) ? rest : evaluation };
}
