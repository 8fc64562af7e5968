import { expect, test } from 'vitest';
import { readConfig } from './config.js';
import { InvalidConfig } from './index.js';

test('every owner has his key; the one key is the default owner’s', () => {
  const { ownersByKey } = readConfig({ SEMDISTILL_API_KEY: 'first', SEMDISTILL_API_KEYS: 'ann:a:b, bob:second' });
  expect(ownersByKey).toEqual({ first: 'default', 'a:b': 'ann', second: 'bob' });
  expect(readConfig({}).ownersByKey).toEqual({});
});

test('what owners may have is read by name', () => {
  const { owners } = readConfig({ SEMDISTILL_OWNERS: 'ann:weight=2.5;running=4, *:waiting=20000' });
  expect(owners).toEqual({ ann: { weight: 2.5, running: 4 }, '*': { weight: 1, waiting: 20_000 } });
});

test('every fault is named, and no key', () => {
  const read = () =>
    readConfig({
      SEMDISTILL_API_KEYS: 'ann:geheim,bob:geheim,:x,nokey',
      SEMDISTILL_OWNERS: 'ann:weight=0,bob:speed=2,b/c:running=1.5',
    });
  expect(read).toThrow(InvalidConfig);
  let problems: string[] = [];
  try {
    read();
  } catch (error) {
    problems = (error as InvalidConfig).problems;
  }
  expect(problems).toEqual([
    'SEMDISTILL_API_KEYS gives bob the key of ann; every owner needs his own',
    'SEMDISTILL_API_KEYS must be owner:key,owner:key,…; entry 3 is not',
    'SEMDISTILL_API_KEYS must be owner:key,owner:key,…; entry 4 is not',
    'SEMDISTILL_OWNERS: weight of ann must be a number from 0.01 to 1000, not "0"',
    'SEMDISTILL_OWNERS gives bob a "speed"; known: weight, running, waiting',
    'SEMDISTILL_OWNERS names "b/c", which is no owner\'s name',
    'SEMDISTILL_OWNERS: running of b/c must be a whole number from 1 to 1000000, not "1.5"',
  ]);
  expect(problems.join()).not.toContain('geheim');
});
