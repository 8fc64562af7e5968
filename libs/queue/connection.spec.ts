// Addresses of Redis: which are understood, which refused, and that passwords stay hidden.
import { expect, test } from 'vitest';
import { parseRedisUrl, withoutPassword } from './connection.js';
import { FleetUnavailable } from './fleet.js';

test('a redis address gives host, port, credentials and database', () => {
  expect(parseRedisUrl('redis://user:p%40ss@redis.local:6380/3')).toEqual({
    host: 'redis.local',
    port: 6380,
    username: 'user',
    password: 'p@ss',
    db: 3,
  });
  expect(parseRedisUrl('redis://localhost')).toEqual({ host: 'localhost', port: 6379, db: 0 });
  expect(parseRedisUrl('redis://[::1]:7000')).toMatchObject({ host: '::1', port: 7000 });
});

test('rediss asks for TLS', () => {
  expect(parseRedisUrl('rediss://redis.example:6390')).toMatchObject({ tls: { servername: 'redis.example' } });
});

test('a unix address gives the socket path, password and database', () => {
  expect(parseRedisUrl('unix://:s%3Acret@/run/semdistill/redis.sock?db=2')).toEqual({
    path: '/run/semdistill/redis.sock',
    password: 's:cret',
    db: 2,
  });
  expect(parseRedisUrl('unix:///tmp/redis.sock')).toEqual({ path: '/tmp/redis.sock', db: 0 });
});

test.each(['unix://relative.sock', 'redis://host/x', 'http://host', 'redis://', 'unix:///a?db=-1'])(
  '%s is refused with a sentence, unless it means the default host',
  (address) => {
    if (address === 'redis://') expect(parseRedisUrl(address).host).toBe('127.0.0.1');
    else expect(() => parseRedisUrl(address)).toThrow(FleetUnavailable);
  },
);

test('a password is never shown', () => {
  expect(withoutPassword('redis://:secret@host:1')).toBe('redis://host:1');
  expect(withoutPassword('unix://:secret@/tmp/a.sock')).toBe('unix:///tmp/a.sock');
  expect(() => parseRedisUrl('redis://:secret@host/x')).toThrow(/^(?!.*secret)/);
});
