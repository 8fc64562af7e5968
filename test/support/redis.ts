// A real Redis for tests: `redis-server` from PATH on a free loopback port, AOF on and noeviction, data in a temporary
// folder. It can be stopped, killed, started again with its data, and reconfigured, as a fleet's Redis may be.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Path of a unix socket of the same server. */
  readonly socketPath: string;
  /** Runs one command on a fresh connection, e.g. command('FLUSHALL'). */
  command(name: string, ...args: string[]): Promise<unknown>;
  /** SIGTERM (or the given signal) and wait until it is gone; the data stay. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port with the same data. */
  start(): Promise<void>;
  /** Stops it and removes the data. */
  close(): Promise<void>;
}

export interface RedisServerOptions {
  password?: string;
  /** Further configuration, e.g. ['--appendonly', 'no']; later ones win. */
  args?: string[];
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'semdistill-redis-'));
  const port = await freePort();
  const socketPath = join(folder, 'redis.sock');
  const userInfo = options.password ? `:${encodeURIComponent(options.password)}@` : '';
  let child: ChildProcess | undefined;

  const connect = () =>
    new Redis({
      host: '127.0.0.1',
      port,
      ...(options.password ? { password: options.password } : {}),
      retryStrategy: () => 50,
      maxRetriesPerRequest: 200,
    }).on('error', () => {});

  const server: RedisServer = {
    url: `redis://${userInfo}127.0.0.1:${port}`,
    port,
    socketPath,
    async command(name, ...args) {
      const client = connect();
      try {
        return await client.call(name, ...args);
      } finally {
        client.disconnect();
      }
    },
    async stop(signal = 'SIGTERM') {
      const running = child;
      child = undefined;
      if (!running || running.exitCode !== null || running.signalCode !== null) return;
      const gone = once(running, 'exit');
      running.kill(signal);
      await gone;
    },
    async start() {
      const args = ['--port', String(port), '--bind', '127.0.0.1', '--unixsocket', socketPath, '--dir', folder];
      args.push('--appendonly', 'yes', '--maxmemory-policy', 'noeviction', '--save', '', '--daemonize', 'no');
      if (options.password) args.push('--requirepass', options.password);
      const started = spawn('redis-server', [...args, ...(options.args ?? [])], { stdio: 'ignore' });
      await once(started, 'spawn').catch(() => {
        throw new Error('redis-server is not on PATH: apt-get install redis-server');
      });
      child = started;
      await server.command('PING');
    },
    async close() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}
