// A Redis for one measurement, set up as a fleet's is: append-only file on, nothing evicted.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const START_MS = 10_000;

export async function startBenchRedis(folder) {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--save', ''];
  const server = spawn('redis-server', [...args, '--maxmemory-policy', 'noeviction'], { stdio: 'ignore' });
  await once(server, 'spawn').catch(() => {
    throw new Error('redis-server is not on PATH: apt-get install redis-server');
  });
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on('error', () => {});
  const isUp = await Promise.race([client.ping().then(() => true), sleep(START_MS, false, { ref: false })]);
  if (!isUp) throw new Error(`redis-server on port ${port} does not answer`);
  return {
    port,
    pid: server.pid,
    url: `redis://127.0.0.1:${port}`,
    command: (name, ...rest) => client.call(name, ...rest),
    async memoryBytes() {
      const info = await client.info('memory');
      return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
    },
    /** One value of INFO. */
    async info(section, name) {
      return new RegExp(`^${name}:(.*)$`, 'm').exec(await client.info(section))?.[1].trim();
    },
    async close() {
      client.disconnect();
      const gone = once(server, 'exit');
      server.kill('SIGKILL');
      await gone;
    },
  };
}

async function freePort() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
