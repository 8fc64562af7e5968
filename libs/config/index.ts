// The only reader of process.env.
export * from './client.js';
export * from './config.js';
export { DEFAULT_OWNER, type OwnerLimits } from './owners.js';
