import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { textsIn } from '../texts.js';
import { chooseRedisAddress, findRedisServer, redisSettings, redisUrl } from './redis-server.js';

const texts = textsIn('en');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'redis-server-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function program(name: string): string {
  const path = join(folder, name);
  writeFileSync(path, '#!/bin/sh\n');
  chmodSync(path, 0o755);
  return path;
}

describe('the Redis server program', () => {
  const find = (
    config: { searchPath: string[]; redisServerProgram?: string },
    recordFile = join(folder, 'none.json'),
  ) => findRedisServer({ config, recordFile, usualFolders: [] }, texts);

  it('is what set-up found, before what lies on PATH', () => {
    const recorded = program('recorded');
    program('redis-server');
    writeFileSync(join(folder, 'redis.json'), JSON.stringify({ server: recorded }));
    expect(find({ searchPath: [folder] }, join(folder, 'redis.json'))).toBe(recorded);
  });

  it('is found on PATH when the record is gone, damaged or names nothing', () => {
    const server = program('redis-server');
    for (const record of ['', '{', '{"server":7}', '{"server":"/nonexistent"}']) {
      writeFileSync(join(folder, 'redis.json'), record);
      expect(find({ searchPath: ['/nonexistent', folder] }, join(folder, 'redis.json'))).toBe(server);
    }
  });

  it('may be Valkey', () => {
    const server = program('valkey-server');
    expect(find({ searchPath: [folder] })).toBe(server);
  });

  it('is told missing in one sentence with the way out', () => {
    expect(() => find({ searchPath: [folder] })).toThrow(/no Redis server found .*apt-get install redis-server/);
    expect(() => find({ searchPath: [folder], redisServerProgram: join(folder, 'gone') })).toThrow(
      /REDIS_SERVER_BIN names/,
    );
  });
});

describe('the address of an embedded Redis', () => {
  it('is a socket in the state folder, with its path and password escaped in the URL', () => {
    const address = { kind: 'socket', path: '/tmp/a b#1/redis.sock' } as const;
    expect(redisUrl(address, 'p@ss')).toBe('unix://:p%40ss@/tmp/a%20b%231/redis.sock');
  });

  it('is a loopback port where the path of the socket would be too long', async () => {
    expect((await chooseRedisAddress('/tmp/state/redis')).kind).toBe('socket');
    const address = await chooseRedisAddress(`/tmp/${'x'.repeat(100)}`);
    expect(address.kind).toBe('port');
    expect(redisSettings({ folder: '/tmp/x', address, password: 'p' })).toMatch(/^bind 127\.0\.0\.1\nport \d+\n/);
  });

  it('has settings under which no job is lost', () => {
    const settings = redisSettings({ folder: '/tmp/x', address: { kind: 'socket', path: '/tmp/x/s' }, password: 'p' });
    for (const line of [
      'port 0',
      'appendonly yes',
      'appendfsync everysec',
      'maxmemory-policy noeviction',
      'requirepass p',
    ]) {
      expect(settings.split('\n')).toContain(line);
    }
  });
});
