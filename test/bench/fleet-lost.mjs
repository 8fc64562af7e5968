// What a fleet of real processes with default settings does when nothing is to be done, and when its busy worker is killed with
// kill -9: CPU time of all processes, the time until the bundle is trained elsewhere, and the training that is lost.
import { setTimeout as sleep } from 'node:timers/promises';
import { openFleet } from '#queue';
import { listBundle, readCheckpoints } from '../../dist/apps/worker/stored-checkpoints.js';
import { cpuSeconds, FleetProcesses } from './fleet-processes.mjs';

const SAMPLE_MS = 100;
/** Warm trainers have started, code is compiled. */
const CALM_MS = 15_000;
const LIMIT_MS = 150_000;

/** CPU of API, aggregator, two workers and Redis over a minute in which nothing is asked. */
export async function measureIdle({ environment, redis }, isQuick, key) {
  const fleet = new FleetProcesses(environment, key);
  try {
    await fleet.start('api', 'api');
    await fleet.start('aggregator', 'aggregator');
    await fleet.startWorker('one');
    await fleet.startWorker('two');
    await sleep(isQuick ? 5_000 : CALM_MS);
    const pids = new Map([...fleet.pids, ['redis', redis.pid]]);
    const read = () => new Map([...pids].map(([name, pid]) => [name, cpuSeconds(pid)]));
    const seconds = isQuick ? 5 : 60;
    const before = read();
    await sleep(seconds * 1000);
    const after = read();
    const shares = [...after].map(([name, used]) => ({ name, value: (100 * (used - before.get(name))) / seconds }));
    const all = shares.reduce((sum, { value }) => sum + value, 0);
    return [
      { of: 'API, aggregator, 2 workers, Redis together', value: all, unit: '% of a core' },
      ...shares.map(({ name, value }) => ({ of: name, value, unit: '% of a core' })),
    ];
  } finally {
    await fleet.close();
  }
}

/** One long training; its worker is killed again and again, at times spread over the 20 s between two checkpoints. */
export async function measureLoss({ environment, config, store }, isQuick, key) {
  const fleet = new FleetProcesses(environment, key);
  const queue = openFleet(config);
  const measured = [];
  let watch;
  try {
    await fleet.start('api', 'api');
    await fleet.start('aggregator', 'aggregator');
    await fleet.startWorker('worker-0');
    await fleet.prepare('lost');
    const asked = {
      teacher: 'lost',
      vary: { temperature: [2, 4] },
      seeds: 1,
      baseline: false,
      reference: false,
      base: { epochs: 1_000 },
      trialsPerBundle: 2,
    };
    const sweep = await fleet.request('POST', '/v1/sweeps', JSON.stringify(asked));
    const { sweepId } = sweep;
    const trials = await fleet.request('GET', `/v1/sweeps/${sweepId}`);
    const trialIds = trials.trials.map(({ trialId }) => trialId);
    watch = new Watch(queue, trialIds[0]);
    await fleet.startWorker('worker-1');
    const kills = isQuick ? 1 : 5;
    for (let kill = 0; kill < kills; kill++) {
      const busy = await watch.until(({ step, phase }) => phase === 'training' && step > 0);
      // At least one checkpoint of its own, then at another moment each time.
      await sleep(22_000 + (isQuick ? 0 : 4_000 * kill));
      await watch.stop();
      const name = busy.workerId;
      const last = watch.now();
      await fleet.kill(name);
      const killedAt = performance.now();
      const step = await storedStep(store);
      const lostSeconds = (killedAt - watch.timeOf(step)) / 1000;
      watch.start();
      const heir = await watch.until((live) => live.workerId !== name && live.phase === 'training' && live.step > step);
      const elsewhere = (heir.at - killedAt) / 1000;
      measured.push(
        { of: 'kill -9, trained elsewhere after', value: elsewhere, unit: 's' },
        { of: 'kill -9, training lost', value: lostSeconds, unit: 's' },
      );
      console.error(
        `  ${name} killed at step ${last.step}: on at step ${step} by ${heir.workerId} after ${elsewhere.toFixed(1)} s, lost ${lostSeconds.toFixed(1)} s`,
      );
      await fleet.startWorker(`worker-${kill + 2}`);
    }
    return measured;
  } finally {
    await watch?.stop();
    await fleet.close();
    await queue.close();
  }
}

/** The furthest checkpoint in the store, of the one bundle there is. */
async function storedStep(store) {
  const { objects } = await store.list('bundles/');
  const bundleIds = new Set(objects.map(({ key }) => key.split('/')[1]).filter((id) => !id.startsWith('teacher-')));
  let furthest = 0;
  for (const bundleId of bundleIds) {
    const { fences } = await listBundle(store, bundleId);
    const [newest] = await readCheckpoints(store, bundleId, fences, () => {});
    furthest = Math.max(furthest, newest?.manifest.state.step ?? 0);
  }
  if (furthest === 0) throw new Error('no checkpoint is stored');
  return furthest;
}

/** What the fleet says of one trial, with the times at which it was said. */
class Watch {
  #samples = [];
  #isOn = false;
  #work = Promise.resolve();

  constructor(queue, trialId) {
    this.queue = queue;
    this.trialId = trialId;
    this.start();
  }

  start() {
    this.#isOn = true;
    this.#work = this.#watch();
  }

  async stop() {
    this.#isOn = false;
    await this.#work;
  }

  async #watch() {
    while (this.#isOn) {
      const live = (await this.queue.liveTrials([this.trialId])).get(this.trialId);
      if (live) this.#samples.push({ ...live, at: performance.now() });
      await sleep(SAMPLE_MS);
    }
  }

  now() {
    return this.#samples.at(-1);
  }

  async until(fits) {
    const from = performance.now();
    for (;;) {
      const found = this.#samples.find((sample) => sample.at > from && fits(sample));
      if (found) return found;
      if (performance.now() - from > LIMIT_MS) throw new Error(`nobody trains on: ${JSON.stringify(this.now())}`);
      await sleep(SAMPLE_MS);
    }
  }

  /** When the training last came to this step, between two words of it. */
  timeOf(step) {
    const after = this.#samples.findLastIndex(
      (sample, index) => sample.step >= step && (this.#samples[index - 1]?.step ?? 0) < step,
    );
    const [a, b] = [this.#samples[after - 1], this.#samples[after]];
    if (!a || !b) return b?.at ?? performance.now();
    return a.at + ((step - a.step) / (b.step - a.step)) * (b.at - a.at);
  }
}
