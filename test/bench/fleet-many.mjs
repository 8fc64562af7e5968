// Two hundred workers on one Redis, each with the connections, locks, looks and heartbeats of a real one (its own side of the queue,
// no process of its own): what Redis holds and does while they are idle and while all have a job, and how long a take and a
// heartbeat wait.
import { setTimeout as sleep } from 'node:timers/promises';
import { hostJobs, openFleet } from '#queue';
import { median } from './summary.mjs';

const REGISTRY_MS = 10_000;
const PROGRESS_MS = 1_000;

export async function measureMany({ config, redis }, isQuick) {
  const count = isQuick ? 20 : 200;
  const seconds = isQuick ? 5 : 30;
  const beats = [];
  const takes = [];
  const enqueuedAt = new Map();
  let going = true;
  const fleet = openFleet(config);
  const connectionsBefore = Number(await redis.info('clients', 'connected_clients'));
  const workers = Array.from({ length: count }, (_, index) => {
    const workerId = `worker-${index}`;
    const live = liveWorker(workerId);
    const host = hostJobs(config, {
      workerId,
      onControls() {},
      onTrouble() {},
      async handle(job, { signal }) {
        takes.push(performance.now() - enqueuedAt.get(job.bundleId));
        while (going && !signal.aborted) {
          await Promise.all(job.trialIds.map((trialId) => host.reports.trial(liveTrial(trialId, workerId))));
          await sleep(PROGRESS_MS, undefined, { signal }).catch(() => {});
        }
      },
    });
    const beat = async () => {
      const startedAt = performance.now();
      await host.reports.worker(live);
      beats.push(performance.now() - startedAt);
      await host.reports.takeDrain(workerId);
    };
    const timers = [];
    timers.push(setTimeout(() => timers.push(setInterval(beat, REGISTRY_MS)), (REGISTRY_MS * index) / count));
    return { host, stop: () => timers.forEach(clearInterval) };
  });
  try {
    await sleep(isQuick ? 2_000 : 12_000);
    const idle = await over(redis, seconds);
    const connections = Number(await redis.info('clients', 'connected_clients')) - connectionsBefore;
    // One after another, so that each take is by itself; the rest of the machine is the 200 loops of this process.
    for (let index = 0; index < count; index++) {
      const bundleId = `bundle-${index}`;
      enqueuedAt.set(bundleId, performance.now());
      const trialIds = Array.from({ length: 4 }, (_, trial) => `trial-${index}-${trial}`);
      await fleet.enqueue([{ kind: 'bundle', bundleId, sweepId: 'sweep', owner: `owner-${index % 20}`, trialIds }]);
      await sleep(10);
    }
    await sleep(2_000);
    beats.length = 0;
    const busy = await over(redis, seconds);
    const of = (what) => `${count} workers, ${what}`;
    return [
      { of: of('connections'), value: connections, unit: 'connections' },
      { of: of('idle'), value: idle.commands, unit: 'commands/s' },
      { of: of('idle, CPU of Redis'), value: idle.cpu, unit: '% of a core' },
      { of: of('each training 4 trials'), value: busy.commands, unit: 'commands/s' },
      { of: of('each training 4 trials, CPU of Redis'), value: busy.cpu, unit: '% of a core' },
      { of: of('from enqueue to start, median'), value: median(takes), unit: 'ms' },
      { of: of('from enqueue to start, 99 %'), value: share(takes, 0.99), unit: 'ms' },
      { of: of('heartbeat, median'), value: median(beats), unit: 'ms' },
      { of: of('heartbeat, 99 %'), value: share(beats, 0.99), unit: 'ms' },
    ];
  } finally {
    going = false;
    for (const { stop } of workers) stop();
    await Promise.all(workers.map(({ host }) => host.giveBack()));
    await Promise.all(workers.map(({ host }) => host.close()));
    await fleet.close();
  }
}

async function over(redis, seconds) {
  const read = async () => ({
    commands: Number(await redis.info('stats', 'total_commands_processed')),
    cpu: Number(await redis.info('cpu', 'used_cpu_user')) + Number(await redis.info('cpu', 'used_cpu_sys')),
  });
  const before = await read();
  await sleep(seconds * 1000);
  const after = await read();
  return {
    commands: (after.commands - before.commands) / seconds,
    cpu: (100 * (after.cpu - before.cpu)) / seconds,
  };
}

function share(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

function liveWorker(workerId) {
  const now = new Date().toISOString();
  const device = { kind: 'cpu', name: 'bench', cores: 1, memoryBytes: 1e9 };
  const state = { state: 'idle', trialIds: [], holds: [], labels: [], pool: 'default', memoryBytes: 1e9 };
  return { workerId, host: 'bench', processId: 1, device, ...state, startedAt: now, updatedAt: now };
}

function liveTrial(trialId, workerId) {
  const place = {
    phase: 'training',
    epoch: 1,
    epochs: 10,
    step: 10,
    steps: 100,
    tokensPerSecond: 1000,
    trainLoss: 1.5,
  };
  return { trialId, workerId, ...place, updatedAt: new Date().toISOString() };
}
