// HOW a student learns: losses, parts, freezing, hybrids, the training loop, evaluation. tfjs-core -> semcom.
export * from './adam.js';
export * from './distances.js';
export * from './draws.js';
export * from './epoch-meter.js';
export * from './evaluate.js';
export * from './link.js';
export * from './loss.js';
export * from './measure-divergence.js';
export * from './memory.js';
export * from './micro-batches.js';
export * from './outcomes.js';
export * from './representations.js';
export * from './step.js';
export * from './students.js';
export * from './train.js';
export * from './training-run.js';
export * from './validation.js';
