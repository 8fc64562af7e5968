// libs/queue against a real Redis: what is asked of it, what it says when Redis is unfit or gone, and how a job host
// takes, gives back and retries jobs.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type FleetEvent, Impossible, type LiveTrial } from '#experiment';
import {
  type BundleJob,
  type FleetJob,
  type FleetSettings,
  FleetUnavailable,
  GivenBack,
  hostJobs,
  type JobContext,
  type JobHost,
  openFleet,
  type RedisFleet,
} from '#queue';
import { missingBundleJobs } from '#reconciliation';
import { type RedisServer, startRedis } from '../support/redis.js';

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
  settings = { redisUrl: redis.url, redisPrefix: '{test}', allowUnsafeRedis: false };
  fleet = openFleet(settings);
  opened.push(fleet);
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

function bundle(id: string): FleetJob {
  return { kind: 'bundle', bundleId: id, sweepId: 'sweep', owner: 'me', trialIds: [`${id}-1`, `${id}-2`] };
}

function host(
  handle: (job: FleetJob, context: JobContext) => Promise<void>,
  options: {
    workerId?: string;
    onControls?: (ids: string[]) => void;
    onDrain?: () => void;
    onTrouble?: (message: string) => void;
  } = {},
): JobHost {
  const jobHost = hostJobs(settings, {
    workerId: options.workerId ?? 'worker-1',
    handle,
    onControls: options.onControls ?? (() => {}),
    ...(options.onDrain ? { onDrain: options.onDrain } : {}),
    onTrouble: options.onTrouble ?? (() => {}),
    lockTimes: { lockDurationMs: 2_000, stalledIntervalMs: 500 },
  });
  opened.push({
    async close() {
      await jobHost.giveBack();
      await jobHost.close();
    },
  });
  return jobHost;
}

/** Resolves when the job is told to stop. */
const stopped = (context: JobContext) =>
  new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve();
    context.signal.addEventListener('abort', () => resolve());
  });

const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 30_000, interval: 20 });

test('the same job is in the queue once, and known until it is done', async () => {
  await fleet.check(5_000);
  await fleet.enqueue([bundle('a'), bundle('b'), bundle('a')]);
  await fleet.enqueue([bundle('a')]);
  expect(await fleet.counts()).toEqual({ waiting: 2, active: 0 });
  expect(await fleet.known([bundle('a'), bundle('b'), bundle('c')])).toEqual(new Set(['bundle-a', 'bundle-b']));

  const handled: string[] = [];
  host(async (job) => {
    handled.push(job.kind === 'bundle' ? job.bundleId : '');
  });
  await eventually(async () => expect((await fleet.known([bundle('a'), bundle('b')])).size).toBe(0));
  expect(handled.sort()).toEqual(['a', 'b']);
  expect(await redis.command('KEYS', '{test}:bundles:bundle-*')).toEqual([]);
});

test('2,000 jobs are added in bulk', async () => {
  await fleet.enqueue(Array.from({ length: 2_000 }, (_, index) => bundle(`many-${index}`)));
  expect((await fleet.counts()).waiting).toBe(2_000);
});

test('a job is tried again after a failure and given up after the last attempt', async () => {
  const attempts: { attempt: number; isLast: boolean }[] = [];
  host(async (_, context) => {
    attempts.push({ attempt: context.attempt, isLast: context.isLastAttempt });
    throw new Error('the trainer crashed');
  });
  const failing: FleetJob = { kind: 'preparation', preparationId: 'failing', owner: 'me' };
  await fleet.enqueue([failing]);
  await eventually(() => expect(attempts).toHaveLength(3));
  await eventually(async () => expect((await fleet.known([failing])).size).toBe(0));
  expect(attempts).toEqual([
    { attempt: 1, isLast: false },
    { attempt: 2, isLast: false },
    { attempt: 3, isLast: true },
  ]);
});

test('a bundle that fails is tried again as often as its worker wants', async () => {
  let starts = 0;
  host(async (_, context) => {
    expect(context.isLastAttempt).toBe(false);
    starts++;
    if (starts < 4) throw new Error('the trainer crashed');
  });
  await fleet.enqueue([bundle('stubborn')]);
  await eventually(async () => expect((await fleet.known([bundle('stubborn')])).size).toBe(0));
  expect(starts).toBe(4);
});

test('trials that are wanted again replace a waiting job, and run beside a running one', async () => {
  const wanted = (ids: string[]) => [{ job: { ...bundle('a'), trialIds: ['a-1', 'a-2'] } as BundleJob, trialIds: ids }];
  await fleet.enqueue([{ ...bundle('a'), trialIds: ['a-2'] } as BundleJob]);
  await fleet.renew(wanted(['a-1']));
  expect(await fleet.counts()).toEqual({ waiting: 1, active: 0 });
  const handled: string[][] = [];
  let finish = () => {};
  const work = async (job: FleetJob) => {
    handled.push(job.kind === 'bundle' ? job.trialIds : []);
    if (handled.length === 1)
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
  };
  host(work);
  await eventually(() => expect(handled).toEqual([['a-1', 'a-2']]));
  host(work, { workerId: 'worker-2' });
  await fleet.renew(wanted(['a-1']));
  await eventually(() => expect(handled).toEqual([['a-1', 'a-2'], ['a-1']]));
  finish();
});

test('trials wanted again have one job each, whatever parts wait or run, also when the whole bundle is asked for', async () => {
  const whole = { ...bundle('a'), trialIds: ['a-1', 'a-2', 'a-3'] } as BundleJob;
  const held: { trialIds: string[]; finish(): void }[] = [];
  const work = (job: FleetJob) =>
    new Promise<void>((finish) => {
      held.push({ trialIds: job.kind === 'bundle' ? job.trialIds : [], finish });
    });
  await fleet.enqueue([whole]);
  host(work);
  await eventually(() => expect(held).toHaveLength(1));
  await fleet.renew([{ job: whole, trialIds: ['a-1'] }]);
  await fleet.renew([{ job: whole, trialIds: ['a-2'] }]); // takes the part that waits with it
  expect((await fleet.partJobs(['a'])).map(({ trialIds }) => trialIds)).toEqual([['a-1', 'a-2']]);
  expect(await fleet.counts()).toEqual({ waiting: 1, active: 1 });

  held[0]?.finish();
  await eventually(() => expect(held).toHaveLength(2));
  expect(held[1]?.trialIds).toEqual(['a-1', 'a-2']);
  expect(await missingBundleJobs(fleet, [{ ...whole, trialIds: ['a-1', 'a-2'] }])).toEqual([]);
  expect(await missingBundleJobs(fleet, [whole])).toEqual([{ ...whole, trialIds: ['a-3'] }]);
  await fleet.renew([{ job: whole, trialIds: ['a-3'] }]);
  host(work, { workerId: 'worker-2' });
  await eventually(() => expect(held).toHaveLength(3));
  expect(held[2]?.trialIds).toEqual(['a-3']);
  for (const { finish } of held) finish();
  await eventually(async () => expect(await fleet.counts()).toEqual({ waiting: 0, active: 0 }));
  expect(await fleet.partJobs(['a'])).toEqual([]);
  expect(await missingBundleJobs(fleet, [whole])).toEqual([whole]);
});

test('a trial tried again after Redis was wiped does not bring the neighbour that is still trained with it', async () => {
  const whole = { ...bundle('a'), trialIds: ['a-1', 'a-2'] } as BundleJob;
  const handled: string[][] = [];
  const work = async (job: FleetJob) => {
    handled.push(job.kind === 'bundle' ? job.trialIds : []);
  };
  const working = host(work);
  await redis.command('FLUSHALL');
  await eventually(async () => {
    await working.reports.trial({ trialId: 'a-2', step: 1 } as LiveTrial); // dropped until its connection is up
    expect((await fleet.liveTrials(['a-2'])).size).toBe(1);
  });
  await fleet.renew([{ job: whole, trialIds: ['a-1'] }]);
  expect(await missingBundleJobs(fleet, [whole])).toEqual([]);
  await eventually(() => expect(handled).toEqual([['a-1']]));
  expect((await fleet.liveTrials(['a-2'])).size).toBe(1);
});

test('jobs that wait are withdrawn, those that run stay', async () => {
  await fleet.enqueue([bundle('a'), bundle('b')]);
  await fleet.withdraw([bundle('a'), bundle('c')]);
  expect(await fleet.known([bundle('a'), bundle('b')])).toEqual(new Set(['bundle-b']));
  let context: JobContext | undefined;
  host(async (_, given) => {
    context = given;
    await stopped(given);
    throw new GivenBack('later');
  });
  await eventually(() => expect(context).toBeDefined());
  await fleet.withdraw([bundle('b')]);
  expect(await fleet.counts()).toEqual({ waiting: 0, active: 1 });
  expect(context?.signal.aborted).toBe(false);
});

test('a lock that ran out while nobody took the job is taken again', async () => {
  let starts = 0;
  let finish = () => {};
  const troubles: string[] = [];
  host(
    async () => {
      starts++;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    },
    { onTrouble: (message) => troubles.push(message) },
  );
  await fleet.enqueue([bundle('kept')]);
  await eventually(() => expect(starts).toBe(1));
  const held = await redis.command('GET', '{test}:bundles:bundle-kept:lock');
  await redis.command('DEL', '{test}:bundles:bundle-kept:lock');
  await eventually(async () => expect(await redis.command('GET', '{test}:bundles:bundle-kept:lock')).toBe(held));
  expect(troubles).toContainEqual(expect.stringContaining('could not renew lock'));
  finish();
  await eventually(async () => expect((await fleet.known([bundle('kept')])).size).toBe(0));
  expect(starts).toBe(1);
});

test('a job that is impossible is not tried again', async () => {
  let starts = 0;
  host(async () => {
    starts++;
    throw new Impossible('no such corpus');
  });
  await fleet.enqueue([bundle('impossible')]);
  await eventually(async () => expect((await fleet.known([bundle('impossible')])).size).toBe(0));
  expect(starts).toBe(1);
});

test('a job given back goes to another worker and uses no attempt', async () => {
  const started: string[] = [];
  const first = host(async (_, context) => {
    started.push('first');
    await stopped(context);
    throw new GivenBack('going away');
  });
  await fleet.enqueue([bundle('moved')]);
  await eventually(() => expect(started).toEqual(['first']));
  await first.giveBack();
  expect(await fleet.counts()).toEqual({ waiting: 1, active: 0 });

  const seen: JobContext[] = [];
  host(
    async (_, context) => {
      seen.push(context);
    },
    { workerId: 'worker-2' },
  );
  await eventually(async () => expect((await fleet.known([bundle('moved')])).size).toBe(0));
  expect(seen).toHaveLength(1);
  expect(seen[0]?.attempt).toBe(2);
  expect(seen[0]?.isLastAttempt).toBe(false);
});

test('a host that gives back takes no further job', async () => {
  const jobHost = host(async () => {});
  await jobHost.giveBack();
  await fleet.enqueue([bundle('late')]);
  expect((await fleet.counts()).waiting).toBe(1);
});

test('a worker whose job was taken by another is told that its lock is lost', async () => {
  const reasons: unknown[] = [];
  host(async (_, context) => {
    await stopped(context);
    reasons.push(context.signal.reason);
  });
  await fleet.enqueue([bundle('stolen')]);
  await eventually(async () => expect((await fleet.counts()).active).toBe(1));
  await redis.command('SET', '{test}:bundles:bundle-stolen:lock', 'another worker');
  await eventually(() => expect(reasons).toEqual(['lock-lost']));
});

test('a running job goes on when Redis was wiped', async () => {
  let context: JobContext | undefined;
  let finish = () => {};
  const troubles: string[] = [];
  host(
    async (_, given) => {
      context = given;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    },
    { onTrouble: (message) => troubles.push(message) },
  );
  await fleet.enqueue([bundle('wiped')]);
  await eventually(() => expect(context).toBeDefined());
  await redis.command('FLUSHALL');
  await eventually(() => expect(troubles.filter((line) => line.includes('no longer knows')).length).toBeGreaterThan(1));
  expect(context?.signal.aborted).toBe(false);
  finish();
  await fleet.enqueue([bundle('after')]);
  await eventually(async () => expect((await fleet.counts()).active).toBe(1));
  finish();
});

test('a Redis restart during a job neither stops nor repeats it', async () => {
  const starts: string[] = [];
  let finish = () => {};
  host(async (job) => {
    if (job.kind === 'bundle') starts.push(job.bundleId);
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
  });
  await fleet.enqueue([bundle('long'), bundle('next')]);
  await eventually(() => expect(starts).toEqual(['long']));
  await redis.stop();
  await redis.start();
  finish();
  await eventually(() => expect(starts).toEqual(['long', 'next']));
  finish();
  await eventually(async () => expect((await fleet.known([bundle('long'), bundle('next')])).size).toBe(0));
});

test('an attempt that failed is made again two seconds later, however wrong the clock of the worker is', async () => {
  const real = Date.now;
  const starts: number[] = [];
  host(async () => {
    starts.push(performance.now());
    if (starts.length > 1) return;
    // An hour ahead while it fails.
    vi.spyOn(Date, 'now').mockImplementation(() => real() + 3_600_000);
    setTimeout(() => vi.restoreAllMocks(), 3_500);
    throw new Error('this attempt fails');
  });
  await fleet.enqueue([bundle('failing')]);
  await eventually(() => expect(starts).toHaveLength(2));
  expect((starts[1] as number) - (starts[0] as number)).toBeGreaterThan(1_900);
  await eventually(async () => expect((await fleet.known([bundle('failing')])).size).toBe(0));
  vi.restoreAllMocks();
});

function live(trialId: string): LiveTrial {
  return {
    trialId,
    phase: 'training',
    workerId: 'worker-1',
    epoch: 1,
    epochs: 2,
    step: 3,
    steps: 10,
    updatedAt: new Date(0).toISOString(),
  };
}

function worker(workerId: string) {
  const now = new Date(0).toISOString();
  return { workerId, host: 'h', processId: 1, state: 'idle' as const, trialIds: [], startedAt: now, updatedAt: now };
}

test('live trials, epochs, preparations and workers are readable and expire', async () => {
  const { reports } = host(async () => {});
  await eventually(async () => {
    await reports.trial(live('t1'));
    const found = await fleet.liveTrials(['t1', 't2']);
    expect(found.get('t1')).toEqual({ ...live('t1'), updatedAt: expect.any(String) });
    expect([...found.keys()]).toEqual(['t1']);
  });
  // The worker's clock is decades behind: how long it has been silent is told all the same.
  const silentMs = async () => Date.now() - Date.parse((await fleet.liveTrials(['t1'])).get('t1')?.updatedAt ?? '');
  expect(Math.abs(await silentMs())).toBeLessThan(10_000);
  await redis.command('EXPIRE', '{test}:trial:t1', '20');
  expect(Math.abs((await silentMs()) - 40_000)).toBeLessThan(10_000);
  const epoch = (n: number) => ({
    epoch: n,
    step: n,
    trainLoss: 1,
    trainCrossEntropy: 1,
    trainDistillation: 1,
    validationLoss: 1,
    seconds: 1,
    tokensPerSecond: 1,
  });
  await reports.epoch('t1', epoch(9));
  await reports.trialsStarted(['t1']);
  await reports.epoch('t1', epoch(1));
  await reports.epoch('t1', epoch(2));
  expect(await fleet.liveEpochs('t1')).toEqual([epoch(1), epoch(2)]);
  await reports.worker(worker('w1'));
  await reports.worker(worker('w2'));
  expect((await fleet.liveWorkers()).map((one) => one.workerId)).toEqual(['w1', 'w2']);
  const preparation = { preparationId: 'p', fraction: 0.5, message: 'half', updatedAt: 'now' };
  await reports.preparation(preparation);
  expect((await fleet.livePreparations(['p'])).get('p')).toEqual(preparation);

  for (const key of ['trial:t1', 'epochs:t1', 'worker:w1', 'preparation:p']) {
    expect(await redis.command('TTL', `{test}:${key}`)).toBeGreaterThan(0);
  }
  await reports.workerGone('w1');
  await redis.command('DEL', '{test}:worker:w2');
  expect(await fleet.liveWorkers()).toEqual([]);
  await reports.trialEnded('t1', 'completed');
  expect((await fleet.liveTrials(['t1'])).size).toBe(0);
});

test('controls and drains reach workers, events reach every subscriber', async () => {
  const told: string[][] = [];
  let drains = 0;
  const { reports } = host(async () => {}, { onControls: (trialIds) => told.push(trialIds), onDrain: () => drains++ });
  await eventually(async () => {
    await fleet.announceControls(['t1', 't2']);
    expect(told.at(-1)).toEqual(['t1', 't2']);
  });
  await fleet.drainWorker('worker-2');
  expect(await reports.takeDrain('worker-2')).toBe(true);
  expect(await reports.takeDrain('worker-2')).toBe(false);
  expect(drains).toBe(0);
  await fleet.drainWorker('worker-1');
  await eventually(() => expect(drains).toBe(1));

  const events: FleetEvent[] = [];
  const unsubscribe = await fleet.subscribe((event) => events.push(event));
  const ended: FleetEvent = { type: 'trial-ended', trialId: 't1', status: 'cancelled' };
  await fleet.publish(ended);
  await eventually(() => expect(events).toEqual([ended]));
  await unsubscribe();
  await fleet.publish(ended);
  expect(events).toHaveLength(1);
});

test('a lease is held by one and can be given back', async () => {
  const first = await fleet.lease('sweep-1', 60_000);
  expect(first).toBeDefined();
  expect(await fleet.lease('sweep-1', 60_000)).toBeUndefined();
  await first?.release();
  expect(await fleet.lease('sweep-1', 60_000)).toBeDefined();
});

test('an unfit Redis is refused with one sentence naming each fault', async () => {
  const unfit = await startRedis({ args: ['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru'] });
  opened.push(unfit);
  const strict = openFleet({ ...settings, redisUrl: unfit.url });
  const lenient = openFleet({ ...settings, redisUrl: unfit.url, allowUnsafeRedis: true });
  opened.unshift(strict, lenient);
  await expect(strict.check(5_000)).rejects.toThrow(
    /would lose jobs: maxmemory-policy is allkeys-lru and must be noeviction and appendonly is off.*SEMDISTILL_ALLOW_UNSAFE_REDIS=1/,
  );
  await lenient.check(5_000);
});

test('a password is needed and works over a unix socket too', async () => {
  const locked = await startRedis({ password: 'p@ss/word' });
  opened.push(locked);
  const bySocket = openFleet({ ...settings, redisUrl: `unix://:p%40ss%2Fword@${locked.socketPath}` });
  const without = openFleet({ ...settings, redisUrl: `unix://${locked.socketPath}` });
  opened.unshift(bySocket, without);
  await bySocket.check(5_000);
  const events: FleetEvent[] = [];
  await bySocket.subscribe((event) => events.push(event));
  await bySocket.publish({ type: 'sweep-settled', sweepId: 's', status: 'completed' });
  await eventually(() => expect(events).toHaveLength(1));
  await expect(without.check(2_000)).rejects.toThrow(/NOAUTH/);
});

test('without Redis every request fails with a sentence, and works again when it is back', async () => {
  const own = await startRedis();
  opened.push(own);
  const asking = openFleet({ ...settings, redisUrl: own.url });
  opened.unshift(asking);
  await asking.check(5_000);
  await own.stop();
  await expect(asking.enqueue([bundle('down')])).rejects.toThrow(FleetUnavailable);
  await expect(asking.counts()).rejects.toThrow(
    /Redis does not answer at redis:\/\/127\.0\.0\.1.*start it or set REDIS_URL/,
  );
  await own.start();
  await eventually(() => asking.enqueue([bundle('down')]));
  expect((await asking.counts()).waiting).toBe(1);
});

test('a full Redis is named as the reason', async () => {
  const full = await startRedis();
  opened.push(full);
  const asking = openFleet({ ...settings, redisUrl: full.url });
  opened.unshift(asking);
  await asking.check(5_000);
  await full.command('CONFIG', 'SET', 'maxmemory', '1');
  await expect(asking.enqueue([bundle('full')])).rejects.toThrow(FleetUnavailable);
  await expect(asking.publish({ type: 'sweep-settled', sweepId: 's', status: 'failed' })).resolves.toBeUndefined();
});
