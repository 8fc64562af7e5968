// The only reader of process.env.
export * from './client.js';
export * from './config.js';
