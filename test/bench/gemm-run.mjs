// The GEMM peak as this engine reaches it: products of two 2048 x 2048 matrices, as the peers' limit.py measures PyTorch's. Ends with
// one JSON line.
import * as tf from '@tensorflow/tfjs-core';
import { startEngine } from '#engine';
import { median } from './summary.mjs';

const SIZE = 2048;
const ROUNDS = 9;
const LEAST_SECONDS = 0.05;

const engine = await startEngine({ backend: process.argv[2] ?? 'auto' });
const [a, b] = [tf.randomUniform([SIZE, SIZE]), tf.randomUniform([SIZE, SIZE])];

function multiply(times) {
  const started = performance.now();
  for (let i = 0; i < times; i++) tf.matMul(a, b).dispose();
  return (performance.now() - started) / 1000;
}

multiply(1);
const times = Math.max(1, Math.floor(LEAST_SECONDS / multiply(1)));
const rates = Array.from({ length: ROUNDS }, () => (2 * SIZE ** 3 * times) / multiply(times) / 1e9);
const [middle, best] = [median(rates), Math.max(...rates)].map((rate) => Number(rate.toFixed(1)));
console.log(JSON.stringify({ tool: 'gemm', ...engine.numerics, gflops: { median: middle, best } }));
