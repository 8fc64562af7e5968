// DeepSC itself: text, vocabulary, model, channels, decoding, measures. tfjs-core only: no files, no clock, no Nest.
export * from './architecture.js';
export * from './channel.js';
export * from './deepsc.js';
export * from './greedy.js';
export type { Dropout } from './layers.js';
export * from './weights.js';
export * from './philox.js';
