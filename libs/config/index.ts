// The only reader of process.env.
export * from './config.js';
