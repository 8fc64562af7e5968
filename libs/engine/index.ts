// Which TensorFlow this machine has; raw fused operations, each with a plain twin; device facts.
export * from './engine.js';
