// The Redis server of a local fleet: where its program is, its settings, and whether it answers. Speaks just enough of
// Redis' inline protocol for a PING.
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { LocalFleetConfig } from '#config';
import type { Texts } from '../texts.js';
import { Trouble } from '../trouble.js';

const PROGRAMS = ['redis-server', 'valkey-server'];
const USUAL_FOLDERS = ['/usr/bin', '/usr/local/bin', '/usr/sbin', '/opt/homebrew/bin'];
/** The kernel's limit for the path of a unix socket is 107 bytes (103 on macOS). */
const LONGEST_SOCKET_PATH = 100;

/** Where a server is listening. */
export type RedisAddress = { kind: 'socket'; path: string } | { kind: 'port'; port: number };

/** The server program: REDIS_SERVER_BIN, what set-up found (redis.json), PATH, the usual folders. Throws Trouble if there is none. */
export function findRedisServer(
  options: { config: LocalFleetConfig; recordFile: string; usualFolders?: string[] },
  texts: Texts,
): string {
  const { config, recordFile } = options;
  if (config.redisServerProgram !== undefined) {
    if (isProgram(config.redisServerProgram)) return config.redisServerProgram;
    throw new Trouble(texts.redisProgramMissing(config.redisServerProgram));
  }
  const recorded = recordedServer(recordFile);
  const folders = [...config.searchPath, ...(options.usualFolders ?? USUAL_FOLDERS)];
  const candidates = [
    ...(recorded ? [recorded] : []),
    ...PROGRAMS.flatMap((program) => folders.map((folder) => join(folder, program))),
  ];
  const found = candidates.find(isProgram);
  if (found === undefined) throw new Trouble(texts.redisNotFound);
  return found;
}

function recordedServer(recordFile: string): string | undefined {
  if (!existsSync(recordFile)) return undefined;
  try {
    const record: { server?: unknown } = JSON.parse(readFileSync(recordFile, 'utf8'));
    return typeof record.server === 'string' ? record.server : undefined;
  } catch {
    return undefined;
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A private socket in the folder; a loopback port where its path would be too long. */
export async function chooseRedisAddress(redisFolder: string): Promise<RedisAddress> {
  const path = join(redisFolder, 'redis.sock');
  if (Buffer.byteLength(path) <= LONGEST_SOCKET_PATH) return { kind: 'socket', path };
  return { kind: 'port', port: await freePort() };
}

export function redisUrl(address: RedisAddress, password: string): string {
  if (address.kind === 'port') return `redis://:${password}@127.0.0.1:${address.port}`;
  return `unix://:${encodeURIComponent(password)}@${address.path.split('/').map(encodeURIComponent).join('/')}`;
}

/** Settings in redis.conf's words: nothing evicted, every write in the append-only file, no other user, no other host. */
export function redisSettings(options: { folder: string; address: RedisAddress; password: string }): string {
  const { folder, address, password } = options;
  const listen =
    address.kind === 'socket'
      ? ['port 0', `unixsocket ${quote(address.path)}`, 'unixsocketperm 600']
      : ['bind 127.0.0.1', `port ${address.port}`];
  return [
    ...listen,
    `dir ${quote(folder)}`,
    `requirepass ${password}`,
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
    'loglevel notice',
    '',
  ].join('\n');
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Whether the server answers PING with PONG (it does not while it is still loading its file). */
export async function answersPing(address: RedisAddress, password: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = address.kind === 'socket' ? connect(address.path) : connect(address.port, '127.0.0.1');
    let answer = '';
    const end = (answers: boolean) => {
      socket.destroy();
      resolve(answers);
    };
    socket.setTimeout(2_000, () => end(false));
    socket.on('connect', () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (answer.includes('+PONG')) end(true);
      else if (answer.includes('-')) end(false);
    });
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
  });
}

export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** Undefined when the port is free on the loopback interface, else the system's code ('EADDRINUSE', 'EACCES'). */
export async function portProblem(port: number): Promise<string | undefined> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'EADDRINUSE'));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(undefined)));
  });
}
