// A lease in Redis: one of several processes does a piece of work, the others leave it alone. It may be lost at any
// time, so it only saves work; what must happen once is guarded by create-if-absent in the object store.
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';

export interface Lease {
  /** Gives it back early; does nothing when it has passed to someone else. */
  release(): Promise<void>;
}

const RELEASE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`;

/** Takes the lease `key` for `ms` unless someone holds it. */
export async function acquireLease(redis: Redis, key: string, ms: number): Promise<Lease | undefined> {
  const holder = randomUUID();
  if ((await redis.set(key, holder, 'PX', ms, 'NX')) !== 'OK') return undefined;
  return {
    async release() {
      await redis.eval(RELEASE, 1, key, holder).catch(() => {}); // it runs out by itself
    },
  };
}
