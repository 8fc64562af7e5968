// One connection for requests that someone waits for. Every use goes through the gate: it waits briefly for Redis to be
// there, bounds the whole operation, and turns every way in which Redis can be gone into one FleetUnavailable.
import { Redis } from 'ioredis';
import { connectFailingFast, withoutPassword } from './connection.js';
import { FleetUnavailable } from './fleet.js';

const READY_WAIT_MS = 1_000;
const OPERATION_MS = 1_800;

/** Refusals of a Redis that is there but takes nothing: full, read-only, loading, without replicas, password wrong. */
const REFUSALS = /^(OOM|READONLY|LOADING|NOREPLICAS|MASTERDOWN|MISCONF|EXECABORT|NOAUTH|WRONGPASS|NOPERM|BUSY)\b/;

export class RedisGate {
  readonly redis: Redis;
  private lastError?: Error;

  constructor(private readonly redisUrl: string) {
    this.redis = connectFailingFast(redisUrl);
    this.redis.on('error', (error) => {
      this.lastError = error;
    });
    this.redis.on('ready', () => {
      delete this.lastError;
    });
  }

  /** Runs `operation` against a Redis that answers. Throws FleetUnavailable within about two seconds otherwise. */
  async run<T>(
    operation: (redis: Redis) => Promise<T>,
    { waitMs = READY_WAIT_MS, totalMs = OPERATION_MS }: { waitMs?: number; totalMs?: number } = {},
  ): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(this.unavailable(this.lastError?.message ?? `no answer within ${totalMs} ms`)),
        totalMs,
      );
    });
    try {
      const work = this.ready(waitMs).then(() => operation(this.redis));
      return await Promise.race([work, deadline]);
    } catch (error) {
      throw this.translate(error);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.redis.disconnect();
  }

  private async ready(waitMs: number): Promise<void> {
    if (this.redis.status === 'ready') return;
    if (this.redis.status === 'end') throw this.unavailable('the connection was closed');
    await new Promise<void>((resolve, reject) => {
      const onReady = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.redis.off('ready', onReady);
        reject(this.unavailable(this.lastError?.message ?? `no connection within ${waitMs} ms`));
      }, waitMs);
      this.redis.once('ready', onReady);
    });
  }

  private translate(error: unknown): unknown {
    if (error instanceof FleetUnavailable || !(error instanceof Error)) return error;
    if (REFUSALS.test(error.message)) return this.unavailable(`it refuses commands: ${error.message}`, error);
    const isGone =
      this.redis.status !== 'ready' || /closed|writeable|MaxRetriesPerRequest|ECONN|EPIPE/.test(String(error));
    return isGone ? this.unavailable(error.message, error) : error;
  }

  private unavailable(why: string, cause?: Error): FleetUnavailable {
    return new FleetUnavailable(
      `Redis does not answer at ${withoutPassword(this.redisUrl)} (${why}); start it or set REDIS_URL.`,
      cause ? { cause } : undefined,
    );
  }
}
