// DeepSC itself: text, vocabulary, model, channels, decoding, measures. tfjs-core only: no files, no clock, no Nest.
export * from './architecture.js';
export * from './batches.js';
export * from './bleu.js';
export * from './channel.js';
export * from './cka.js';
export * from './corpus.js';
export * from './deepsc.js';
export * from './distributions.js';
export * from './dropout.js';
export { FUSED_KERNELS, type FusedKernel } from './fused-layers.js';
export * from './greedy.js';
export * from './normalise.js';
export * from './philox.js';
export * from './sentences.js';
export * from './survey-state-dict.js';
export * from './tokens.js';
export * from './vocabulary.js';
export * from './weights.js';
