// When an outage of the object store is waited out, and when not.
import { expect, test } from 'vitest';
import { StoreUnavailable } from '#storage';
import { withPatience } from './store-patience.js';

const passing = () => new StoreUnavailable('the store is restarting', true);

test('an outage that passes is waited out', async () => {
  const waits: string[] = [];
  let calls = 0;
  const work = async () => {
    calls++;
    if (calls < 3) throw passing();
    return 'stored';
  };
  const patience = { totalMs: 60_000, onWait: (error: Error) => waits.push(error.message) };
  expect(await withPatience(patience, work)).toBe('stored');
  expect(waits).toEqual(['the store is restarting', 'the store is restarting']);
});

test('waiting ends with the patience, and with the signal', async () => {
  const work = async () => {
    throw passing();
  };
  await expect(withPatience({ totalMs: 300 }, work)).rejects.toThrow('the store is restarting');
  const stop = new AbortController();
  const waiting = withPatience({ totalMs: 60_000, signal: stop.signal, onWait: () => stop.abort() }, work);
  await expect(waiting).rejects.toThrow('the store is restarting');
});

test('a store that is full or refuses is waited for as well: somebody will mend it, and hours of training wait too', async () => {
  let calls = 0;
  const full = async () => {
    calls++;
    if (calls < 3) throw new StoreUnavailable('no space left', false);
  };
  await withPatience({ totalMs: 60_000 }, full);
  expect(calls).toBe(3);
});

test('what is no trouble of the store is thrown at once', async () => {
  const work = async () => {
    throw new Error('a fault of ours');
  };
  await expect(withPatience({ totalMs: 60_000 }, work)).rejects.toThrow('a fault of ours');
});
