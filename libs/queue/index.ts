// The only code that knows BullMQ and ioredis: job catalog, producer, job host, registry, cancel, events.
export * from './fleet.js';
