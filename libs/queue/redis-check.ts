// Whether a Redis may hold the queue: new enough, never evicting keys, remembering across a restart.
import type { Redis } from 'ioredis';
import { withoutPassword } from './connection.js';
import { FleetUnavailable } from './fleet.js';

const OLDEST_VERSION = [6, 2] as const;

export interface RedisCheckOptions {
  redisUrl: string;
  /** Accept a Redis that may evict keys or forget on restart. */
  allowUnsafe: boolean;
}

/** Throws FleetUnavailable naming everything that is wrong with the server behind `client`, and the way out. */
export async function checkRedis(client: Redis, options: RedisCheckOptions): Promise<void> {
  const address = withoutPassword(options.redisUrl);
  const facts = parseInfo(await client.info());
  // Valkey reports the Redis version it is compatible with.
  const version = facts.get('redis_version') ?? '0';
  if (isOlder(version)) {
    throw new FleetUnavailable(
      `Redis at ${address} is version ${version}; ${OLDEST_VERSION.join('.')} or newer (or Valkey) is needed.`,
    );
  }
  if (options.allowUnsafe) return;
  const faults = unsafeSettings(facts);
  if (faults.length > 0) {
    throw new FleetUnavailable(
      `Redis at ${address} would lose jobs: ${faults.join(' and ')}; ` +
        'change its configuration, or set SEMDISTILL_ALLOW_UNSAFE_REDIS=1 to go on all the same.',
    );
  }
}

/** The settings under which Redis may drop jobs, each as a clause with the remedy. */
export function unsafeSettings(facts: Map<string, string>): string[] {
  const faults: string[] = [];
  const policy = facts.get('maxmemory_policy');
  if (policy !== 'noeviction') faults.push(`maxmemory-policy is ${policy} and must be noeviction`);
  if (facts.get('aof_enabled') !== '1') faults.push('appendonly is off and must be on (appendonly yes)');
  return faults;
}

/** INFO's `name:value` lines. */
export function parseInfo(info: string): Map<string, string> {
  const facts = new Map<string, string>();
  for (const line of info.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) facts.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return facts;
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1]);
}
