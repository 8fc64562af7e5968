// The only code that knows BullMQ and ioredis: job catalog, producer, job host, registry, controls, events.
export { bundleJobs, partOf, preparationJob } from './bundle-jobs.js';
export * from './fleet.js';
export { jobIdOf, type LockTimes } from './job-catalog.js';
export * from './job-host.js';
export type { Lease } from './lease.js';
export type { LivePreparation } from './live-state.js';
export { type FleetSettings, openFleet, type RedisFleet } from './redis-fleet.js';
export { type OwnerShare, type OwnerShares, shareOf } from './shares.js';
export type { Taker } from './take-by-shares.js';
