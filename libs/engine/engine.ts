// Which TensorFlow this machine has, started once a process: TensorFlow's own library under tfjs when set-up placed it, else
// WebAssembly, said in one line. Offers what only the engine can: fused operations and device facts.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, cpus } from 'node:os';
import { basename, dirname, join } from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { openTensorflow } from './tensorflow.js';
import { registerMissingWasmKernels } from './wasm-kernels.js';

/** What the numbers of a run depend on; kept in every trial's record. */
export interface EngineNumerics {
  backend: string;
  library: string;
  threads: number;
  device: string;
}

export interface EngineOptions {
  backend: 'auto' | 'tensorflow' | 'wasm';
  /** CPU threads this process may use. */
  threads?: number;
  requireGpu?: boolean;
}

/** The fused operations a backend has; undefined where the plain tfjs twin is to be used. */
export interface Engine {
  numerics: EngineNumerics;
  /** One line for the user when a slower way was taken, and what to do. */
  notice?: string;
  lossKernel?: ReturnType<typeof openTensorflow>['lossKernel'];
  adam?: ReturnType<typeof openTensorflow>['adam'];
  /** With TensorFlow's own kernel, which a GPU takes; there wherever `adam` is, so that it can be tested here. */
  libraryAdam?: ReturnType<typeof openTensorflow>['adam'];
}

/** No backend that satisfies the options; the message says what to do. */
export class EngineUnavailable extends Error {
  override readonly name = 'EngineUnavailable';
}

/** What scripts/setup placed, as it wrote it down. */
interface PlacedEngine {
  tensorflow: { version: string; folder: string; flavour: 'cpu' | 'gpu' } | null;
  reason?: string;
  opsAddon: string | null;
  libraryPath: string[];
}

const require = createRequire(import.meta.url);

function placedEngine(): PlacedEngine {
  const modules = dirname(dirname(dirname(require.resolve('@tensorflow/tfjs-core/package.json'))));
  const file = join(modules, '.semdistill', 'engine.json');
  if (!existsSync(file))
    return { tensorflow: null, reason: 'set-up has not run (npm run setup)', opsAddon: null, libraryPath: [] };
  return JSON.parse(readFileSync(file, 'utf8')) as PlacedEngine;
}

/** Folders a process must have in LD_LIBRARY_PATH before it starts, so that TensorFlow finds CUDA. */
export function libraryPath(): string[] {
  return placedEngine().libraryPath;
}

/** Starts the best backend the options allow. Throws EngineUnavailable. Call once, before the first tensor. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const placed = placedEngine();
  let reason = placed.reason ?? '';
  if (options.backend !== 'wasm' && placed.tensorflow) {
    try {
      return startTensorflow(placed, options);
    } catch (error) {
      if (error instanceof EngineUnavailable) throw error;
      reason = `TensorFlow does not load: ${(error as Error).message.split('\n')[0]}`;
    }
  }
  if (options.backend === 'tensorflow')
    throw new EngineUnavailable(`TensorFlow is not there: ${reason}; run npm run setup`);
  if (options.requireGpu)
    throw new EngineUnavailable(`A GPU is required, but ${reason || 'WebAssembly was asked for'}`);
  const engine = await startWasm();
  if (options.backend === 'auto')
    engine.notice = `Training on WebAssembly, 5 to 20 times slower than TensorFlow: ${reason}`;
  return engine;
}

function startTensorflow(placed: PlacedEngine, options: EngineOptions): Engine {
  // Node 23 removed this function, which tfjs-node 4.22 still calls.
  const legacy = util as unknown as { isNullOrUndefined?: (x: unknown) => boolean };
  legacy.isNullOrUndefined ??= (x) => x === null || x === undefined;
  require('@tensorflow/tfjs-node-gpu');
  tf.setBackend('tensorflow');
  const opened = openTensorflow(placed.opsAddon);
  const { version } = placed.tensorflow as { version: string };
  if (options.requireGpu && !opened.isGpu)
    throw new EngineUnavailable('A GPU is required (SEMDISTILL_REQUIRE_GPU=1), but TensorFlow sees none');
  const engine: Engine = {
    numerics: {
      backend: 'tensorflow',
      library: `TensorFlow ${version}${opened.lossKernel ? ` with own operations ${buildOf(placed.opsAddon)}` : ''}`,
      threads: options.threads ?? cpus().length,
      device: opened.isGpu ? 'gpu' : cpuName(),
    },
    adam: opened.adam,
    libraryAdam: opened.libraryAdam,
  };
  if (opened.lossKernel) engine.lossKernel = opened.lossKernel;
  return engine;
}

async function startWasm(): Promise<Engine> {
  // The union package registers the gradients, which tfjs-core by itself does not (tfjs-node imports it as well).
  require('@tensorflow/tfjs');
  const wasm = require('@tensorflow/tfjs-backend-wasm') as typeof import('@tensorflow/tfjs-backend-wasm');
  wasm.setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  registerMissingWasmKernels();
  await tf.setBackend('wasm');
  await tf.ready();
  return {
    numerics: { backend: 'wasm', library: `tfjs-backend-wasm ${wasm.version_wasm}`, threads: 1, device: cpuName() },
  };
}

/** Which build of our operations: set-up puts each in a folder named by the hash of its sources, flags and TensorFlow. */
function buildOf(addon: string | null): string {
  return basename(dirname(addon ?? '')).slice(0, 8);
}

function cpuName(): string {
  return cpus()[0]?.model.trim() || arch();
}
