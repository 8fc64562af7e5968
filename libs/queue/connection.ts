// Redis addresses and the kinds of connection made to them. An address is one of
//   redis://[user:password@]host[:port][/db]      rediss://… (TLS)
//   unix://[[user]:password@]/path/to/redis.sock[?db=0]
// with user and password percent-encoded.
import { Redis, type RedisOptions } from 'ioredis';
import { FleetUnavailable } from './fleet.js';

const UNIX_ADDRESS = /^unix:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?(\/[^?#]*)(?:\?(.*))?$/;

/** Where and as whom to connect. Throws FleetUnavailable with one sentence for an address that is none. */
export function parseRedisUrl(redisUrl: string): RedisOptions {
  const unix = UNIX_ADDRESS.exec(redisUrl);
  if (unix) {
    const [, username, password, path, query] = unix;
    return {
      path: decodeURIComponent(path ?? ''),
      ...credentials(username, password),
      db: databaseIndex(redisUrl, new URLSearchParams(query).get('db')),
    };
  }
  if (!/^rediss?:\/\//.test(redisUrl) || !URL.canParse(redisUrl)) throw notAnAddress(redisUrl);
  const url = new URL(redisUrl);
  return {
    host: url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: url.port ? Number(url.port) : 6379,
    ...credentials(url.username, url.password),
    db: databaseIndex(redisUrl, url.pathname.slice(1) || url.searchParams.get('db')),
    ...(url.protocol === 'rediss:' ? { tls: { servername: url.hostname } } : {}),
  };
}

function credentials(username?: string, password?: string): RedisOptions {
  return {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
  };
}

function databaseIndex(redisUrl: string, text: string | null): number {
  const index = Number(text ?? 0);
  if (!Number.isInteger(index) || index < 0) throw notAnAddress(redisUrl);
  return index;
}

function notAnAddress(redisUrl: string): FleetUnavailable {
  return new FleetUnavailable(
    `REDIS_URL is not an address of Redis: ${withoutPassword(redisUrl)} (redis://host:port, rediss://host:port or unix:///path/to/socket)`,
  );
}

/** The address as it may be shown. */
export function withoutPassword(redisUrl: string): string {
  return redisUrl.replace(/^([a-z]+:\/\/)[^@/]*@/, '$1');
}

/**
 * For requests that someone waits for: a command on a dead connection fails at once instead of queueing, and the
 * connection comes back within half a second of Redis.
 */
export function connectFailingFast(redisUrl: string): Redis {
  return new Redis({
    ...parseRedisUrl(redisUrl),
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: 5_000,
    retryStrategy: () => 500,
  });
}

/** For a subscription or a worker: waits for Redis however long it is gone. */
export function waitingOptions(redisUrl: string): RedisOptions & { retryStrategy: (times: number) => number } {
  return {
    ...parseRedisUrl(redisUrl),
    maxRetriesPerRequest: null,
    connectTimeout: 5_000,
    retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 10), 2_000),
  };
}
