// Fair shares, urgency, limits, pools, labels, memory and what a worker holds, against a real Redis with real job hosts.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import {
  type BundleJob,
  type FleetJob,
  type FleetSettings,
  GivenBack,
  hostJobs,
  type JobHost,
  type OwnerShares,
  openFleet,
  type RedisFleet,
  type Taker,
} from '#queue';
import { type RedisServer, startRedis } from '../support/redis.js';

const GIGABYTE = 1e9;
let redis: RedisServer;
let settings: FleetSettings;
let fleet: RedisFleet;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

beforeEach(async () => {
  await redis.command('FLUSHALL');
  use({});
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** Settings with these shares, and a fleet by them. */
function use(owners: OwnerShares): void {
  settings = { redisUrl: redis.url, redisPrefix: '{test}', allowUnsafeRedis: false, owners };
  fleet = openFleet(settings);
  opened.push(fleet);
}

const bundle = (owner: string, id: string | number, more: Partial<BundleJob> = {}): FleetJob => ({
  kind: 'bundle',
  bundleId: `${owner}-${id}`,
  sweepId: 'sweep',
  owner,
  trialIds: [`${owner}-${id}-1`, `${owner}-${id}-2`],
  ...more,
});
const bundles = (owner: string, count: number, more: Partial<BundleJob> = {}) =>
  Array.from({ length: count }, (_, index) => bundle(owner, index, more));
const nameOf = (job: FleetJob) => (job.kind === 'bundle' ? job.bundleId : job.preparationId);

/** A worker that notes what it takes; `work` says how long each takes. */
function worker(
  name: string,
  taken: string[],
  { work = async () => {}, taker = {} }: { work?: (job: FleetJob) => Promise<unknown>; taker?: Partial<Taker> } = {},
): JobHost {
  const facts: Taker = { pool: 'default', labels: [], memoryBytes: 100 * GIGABYTE, holds: [], ...taker };
  const host = hostJobs(settings, {
    workerId: name,
    async handle(job) {
      taken.push(nameOf(job));
      await work(job);
    },
    onControls() {},
    onTrouble() {},
    taker: () => facts,
    lockTimes: { lockDurationMs: 2_000, stalledIntervalMs: 500 },
  });
  opened.push({
    async close() {
      await host.giveBack();
      await host.close();
    },
  });
  return host;
}

const eventually = (check: () => unknown, timeout = 30_000) => vi.waitFor(check, { timeout, interval: 10 });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const empty = () => eventually(async () => expect(await fleet.counts()).toEqual({ waiting: 0, active: 0 }));
const ownersOf = (taken: string[]) => taken.map((name) => name.replace(/-\d+$/, ''));

/** Work that lasts until `finish`, one job after another. */
function held() {
  const running: (() => void)[] = [];
  return {
    work: () => new Promise<void>((resolve) => running.push(resolve)),
    finish: () => running.shift()?.(),
  };
}

test('a newcomer is next when a device frees up, behind 10,000 waiting bundles of another', async () => {
  await fleet.enqueue(bundles('first', 10_000));
  const taken: string[] = [];
  const { work, finish } = held();
  worker('worker-1', taken, { work });
  for (let done = 1; done <= 3; done++) {
    await eventually(() => expect(taken).toHaveLength(done));
    if (done < 3) finish();
  }
  await fleet.enqueue([bundle('second', 0)]);
  finish();
  await eventually(() => expect(taken).toHaveLength(4));
  expect(taken).toEqual(['first-0', 'first-1', 'first-2', 'second-0']);
  finish();
});

test('owners share by device time, not by the number of their bundles', async () => {
  const taken: string[] = [];
  const seconds: Record<string, number> = { long: 0, short: 0 };
  const host = worker('worker-1', taken, {
    async work(job) {
      const ms = job.owner === 'long' ? 120 : 30;
      await pause(ms);
      seconds[job.owner] = (seconds[job.owner] ?? 0) + ms;
    },
  });
  await host.rest();
  await fleet.enqueue([...bundles('long', 40), ...bundles('short', 80)]);
  host.wake();
  await eventually(() => expect(taken.length).toBeGreaterThan(40));
  await host.rest();
  // Four to one by number, so that both have had about the same time.
  const [long, short] = ['long', 'short'].map((owner) => ownersOf(taken).filter((other) => other === owner).length);
  expect((short as number) / (long as number)).toBeGreaterThan(2);
  expect((seconds.long as number) / (seconds.short as number)).toBeLessThan(1.7);
  expect((seconds.long as number) / (seconds.short as number)).toBeGreaterThan(0.6);
});

test('an owner of twice the weight gets twice the device time', async () => {
  use({ heavy: { weight: 2 } });
  await fleet.enqueue([...bundles('heavy', 60), ...bundles('light', 60)]);
  const taken: string[] = [];
  worker('worker-1', taken, { work: () => pause(20) });
  await eventually(() => expect(taken.length).toBeGreaterThan(45));
  const heavy = ownersOf(taken.slice(0, 45)).filter((owner) => owner === 'heavy').length;
  expect(heavy).toBeGreaterThan(24);
  expect(heavy).toBeLessThan(36);
});

test('to have been away is not saved up', async () => {
  const taken: string[] = [];
  worker('worker-1', taken, { work: () => pause(20) });
  await fleet.enqueue([bundle('idle', 'early')]);
  await empty();
  await fleet.enqueue(bundles('busy', 200));
  await eventually(() => expect(taken.length).toBeGreaterThan(20));
  await fleet.enqueue(bundles('idle', 30));
  await eventually(() => expect(taken).toContain('idle-0'));
  const from = taken.indexOf('idle-0');
  await eventually(() => expect(taken.length).toBeGreaterThan(from + 20));
  const next = ownersOf(taken.slice(from, from + 20)).filter((owner) => owner === 'idle').length;
  expect(next).toBeGreaterThan(6);
  expect(next).toBeLessThan(14);
});

test('a wiped Redis loses no work: times start again at zero', async () => {
  const taken: string[] = [];
  worker('worker-1', taken);
  await fleet.enqueue([...bundles('one', 3), ...bundles('two', 3)]);
  await empty();
  await redis.command('FLUSHALL');
  await fleet.enqueue([...bundles('one', 3), ...bundles('two', 3)]);
  await eventually(() => expect(taken).toHaveLength(12));
  expect(new Set(taken.slice(6))).toEqual(new Set(taken.slice(0, 6)));
});

test('an owner’s urgent bundles go first, in the order they came, and take nothing from others', async () => {
  await fleet.enqueue([
    ...bundles('me', 2),
    bundle('me', 'low', { priority: 1 }),
    bundle('me', 'high', { priority: 9 }),
    bundle('me', 'high-too', { priority: 9 }),
    { kind: 'preparation', preparationId: 'me-corpus', owner: 'me' },
    bundle('other', 'plain'),
  ]);
  const taken: string[] = [];
  worker('worker-1', taken, { work: () => pause(5) });
  await empty();
  expect(taken.filter((name) => name.startsWith('me'))).toEqual([
    'me-high',
    'me-high-too',
    'me-corpus',
    'me-0',
    'me-1',
    'me-low',
  ]);
  expect(taken.indexOf('other-plain')).toBeLessThan(2);
});

test('an owner runs at most as many bundles at once as he may', async () => {
  use({ busy: { weight: 1, running: 2 } });
  await fleet.enqueue([...bundles('busy', 6), ...bundles('other', 2)]);
  const taken: string[] = [];
  const { work, finish } = held();
  const running: string[] = [];
  let most = 0;
  const counted = async ({ owner }: FleetJob) => {
    running.push(owner);
    most = Math.max(most, running.filter((one) => one === 'busy').length);
    await work();
    running.splice(running.indexOf(owner), 1);
  };
  for (let index = 1; index <= 4; index++) worker(`worker-${index}`, taken, { work: counted });
  await eventually(() => expect(taken).toHaveLength(4));
  await pause(1_500); // longer than a worker waits until it asks again
  expect(ownersOf(taken).sort()).toEqual(['busy', 'busy', 'other', 'other']);
  await eventually(() => {
    finish();
    expect(taken).toHaveLength(8);
  });
  while (running.length > 0) {
    finish();
    await pause(10);
  }
  await empty();
  expect(most).toBe(2);
});

test('trials that wait are counted by owner', async () => {
  await fleet.enqueue([...bundles('one', 30), ...bundles('two', 5), bundle('one', 'single', { trialIds: ['t'] })]);
  expect(await fleet.waitingTrials('one')).toBe(61);
  expect(await fleet.waitingTrials('two')).toBe(10);
  expect(await fleet.waitingTrials('nobody')).toBe(0);
  worker('worker-1', []);
  await empty();
  expect(await fleet.waitingTrials('one')).toBe(0);
});

test('each bundle goes to a worker of its pool, with its labels and enough memory, however many wait before it', async () => {
  await fleet.enqueue([
    ...bundles('me', 50, { memoryBytes: 40 * GIGABYTE }),
    bundle('me', 'a100', { pool: 'a100' }),
    bundle('me', 'ecc', { requires: ['ecc', 'fast'] }),
    bundle('me', 'small', { memoryBytes: 2 * GIGABYTE }),
  ]);
  const plain: string[] = [];
  const special: string[] = [];
  const labelled: string[] = [];
  worker('plain', plain, { taker: { memoryBytes: 8 * GIGABYTE, labels: ['ecc'] } });
  await eventually(() => expect(plain).toEqual(['me-small']));
  worker('special', special, { taker: { pool: 'a100', memoryBytes: 8 * GIGABYTE } });
  await eventually(() => expect(special).toEqual(['me-a100']));
  worker('labelled', labelled, { taker: { memoryBytes: 8 * GIGABYTE, labels: ['fast', 'ecc'] } });
  await eventually(() => expect(labelled).toEqual(['me-ecc']));
  await pause(1_500);
  expect(await fleet.counts()).toEqual({ waiting: 50, active: 0 });
  const large: string[] = [];
  worker('large', large, { taker: { memoryBytes: 80 * GIGABYTE } });
  await empty();
  expect(large).toHaveLength(50);
  expect(plain).toEqual(['me-small']);
});

test('a worker that has waited for something that fits takes what comes within moments', async () => {
  await fleet.enqueue([bundle('me', 'huge', { memoryBytes: 900 * GIGABYTE })]);
  const taken: string[] = [];
  for (let index = 1; index <= 3; index++) worker(`worker-${index}`, taken);
  await pause(300);
  await fleet.enqueue([bundle('me', 'fits')]);
  await eventually(() => expect(taken).toEqual(['me-fits']), 3_000);
});

test('of equally urgent bundles one whose teacher and corpus lie here goes first, a few places out of turn at most', async () => {
  const of = (teacherId: string) => ({ teacherId, corpusId: 'corpus' });
  const mixed = Array.from({ length: 20 }, (_, index) => bundle('me', index, of(index % 2 === 0 ? 'near' : 'far')));
  await fleet.enqueue([...mixed, bundle('me', 'urgent', { ...of('far'), priority: 9 }), bundle('other', 1, of('far'))]);
  const taken: string[] = [];
  worker('worker-1', taken, { work: () => pause(5), taker: { holds: ['far', 'corpus'] } });
  await empty();
  const mine = taken.filter((name) => name.startsWith('me-'));
  expect(mine.slice(0, 3)).toEqual(['me-urgent', 'me-1', 'me-3']);
  // Out of turn, but never far: each bundle was overtaken by at most a few that came after it.
  for (const [place, name] of mine.entries()) {
    const number = Number(name.slice(3));
    const overtaken = mine.slice(0, place).filter((other) => Number(other.slice(3)) > number).length;
    expect(overtaken).toBeLessThanOrEqual(4);
  }
  expect(taken.indexOf('other-1')).toBeLessThan(3);
});

test('what is given back, fails, or is lost with its worker stays in its owner’s share', async () => {
  const taken: string[] = [];
  const tries = new Map<string, number>();
  worker('worker-1', taken, {
    async work(job) {
      const tried = (tries.get(nameOf(job)) ?? 0) + 1;
      tries.set(nameOf(job), tried);
      if (tried === 1 && nameOf(job) === 'one-0') throw new GivenBack('not now');
      if (tried === 1 && nameOf(job) === 'one-1') throw new Error('broke');
    },
  });
  await fleet.enqueue([...bundles('one', 3), ...bundles('two', 3)]);
  await empty();
  expect(new Set(taken)).toEqual(new Set(['one-0', 'one-1', 'one-2', 'two-0', 'two-1', 'two-2']));
  expect(tries.get('one-0')).toBe(2);
  expect(tries.get('one-1')).toBe(2);
});
