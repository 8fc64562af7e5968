// Which settings of Redis are named as unsafe.
import { expect, test } from 'vitest';
import { parseInfo, unsafeSettings } from './redis-check.js';

test('INFO is read line by line, headings left out', () => {
  const facts = parseInfo('# Server\r\nredis_version:7.0.15\r\n\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n');
  expect([...facts]).toEqual([
    ['redis_version', '7.0.15'],
    ['maxmemory_policy', 'noeviction'],
  ]);
});

test('every setting that loses jobs is named', () => {
  const safe = { maxmemory_policy: 'noeviction', aof_enabled: '1' };
  const faultsOf = (settings: Record<string, string>) => unsafeSettings(new Map(Object.entries(settings)));
  expect(faultsOf(safe)).toEqual([]);
  expect(faultsOf({ ...safe, maxmemory_policy: 'allkeys-lru' })).toEqual([
    'maxmemory-policy is allkeys-lru and must be noeviction',
  ]);
  expect(faultsOf({ maxmemory_policy: 'volatile-lru', aof_enabled: '0' })).toHaveLength(2);
});
