// What the fleet itself costs, training left out: accepting sweeps (API, record, Redis), Redis' memory, taking a job by shares
// beside bare BullMQ, a whole no-op bundle with its durable results with a process and without, and settling; Redis under 200 workers, a
// fleet at rest, a worker killed; Ray Tune. Real Redis, directory store, medians.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Queue, Worker } from 'bullmq';
import { readConfig } from '#config';
import { bundleJobs, hostJobs, openFleet } from '#queue';
import { keys, openStore, putJson } from '#storage';
import { settleSweep } from '../../dist/apps/aggregator/settle-sweep.js';
import { startApi } from '../../dist/apps/api/start-api.js';
import { measureIdle, measureLoss } from './fleet-lost.mjs';
import { measureMany } from './fleet-many.mjs';
import { measureOverhead } from './fleet-overhead.mjs';
import { findRay, measureRay } from './fleet-ray.mjs';
import { putFinishedSweep, putOpenSweep, putTeacherAndCorpus, summaryOf, TEACHER } from './fleet-records.mjs';
import { startBenchRedis } from './fleet-redis.mjs';
import { waitUntilQuiet } from './quiet.mjs';
import { median } from './summary.mjs';

const HELP = `npm run bench -- fleet [options]

  --rounds N      rounds of each measurement (5)
  --quick         one small round of each: does it work here?
  --only NAME,…   submit, memory, take, bundle, overhead, settle, controls,
                  many (200 workers), idle (CPU), lost (5 times kill -9), ray
  --ray PYTHON    a Python with Ray Tune (else PEER_RAY_PYTHON); its script is among the peers (SEMDISTILL_PEERS)
  --out FILE      every measurement as JSON
`;
const KEY = 'bench';
const SUPPORT = resolve(import.meta.dirname, '../support');

/** Resolves to the exit status. */
export async function runFleet(args) {
  let options;
  try {
    options = parseArgs({
      args,
      options: {
        rounds: { type: 'string', default: '5' },
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        ray: { type: 'string' },
        out: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
    if (options.help) {
      console.log(HELP);
      return 0;
    }
    if (!/^[1-9]\d{0,2}$/.test(options.rounds))
      throw new Error(`--rounds must be from 1 to 999, not ${options.rounds}`);
    const unknown = (options.only?.split(',') ?? []).find((name) => !Object.hasOwn(MEASUREMENTS, name));
    if (unknown !== undefined)
      throw new Error(`--only knows ${Object.keys(MEASUREMENTS).join(', ')}, not ${JSON.stringify(unknown)}`);
  } catch (error) {
    console.error(`${error.message.split('\n')[0]}\n\n${HELP}`);
    return 2;
  }
  const names = options.only?.split(',') ?? Object.keys(MEASUREMENTS);
  const ray = names.includes('ray') ? await findRay(options.ray) : {};
  if (ray.missing) console.error(ray.missing);
  const runs = [];
  for (const name of names) {
    const rounds = options.quick || ONCE.has(name) ? 1 : Number(options.rounds);
    for (let round = 0; round < rounds; round++) {
      const others = await waitUntilQuiet({ share: 0.05, limitMs: options.quick ? 0 : 20_000 });
      const measured = await inPlace((place) => MEASUREMENTS[name](place, options.quick, { ray }));
      for (const one of measured) runs.push({ measurement: name, round, others, ...one });
    }
    console.error(`${name}: done`);
  }
  for (const line of tableOf(runs)) console.log(line);
  if (options.out) await writeFile(options.out, `${JSON.stringify({ bench: 'fleet', runs }, null, 2)}\n`);
  return 0;
}

/** What is measured, by name; each gives values by what they are of. */
const MEASUREMENTS = {
  submit: measureSubmission,
  memory: measureMemory,
  take: measureTaking,
  bundle: measureBundles,
  overhead: measureOverhead,
  settle: measureSettling,
  controls: measureControls,
  many: measureMany,
  idle: (place, isQuick) => measureIdle(place, isQuick, KEY),
  lost: (place, isQuick) => measureLoss(place, isQuick, KEY),
  ray: async (_, isQuick, { ray }) => (ray.missing ? [] : measureRay(ray, isQuick)),
};

/** These take a minute and more, and repeat within themselves what is worth it. */
const ONCE = new Set(['controls', 'many', 'idle', 'lost', 'ray']);

/** Redis, settings and a store of its own for one measurement; nothing is left behind, also when we are told to stop. */
async function inPlace(measure) {
  const folder = await mkdtemp(join(tmpdir(), 'semdistill-bench-fleet-'));
  const redis = await startBenchRedis(folder);
  const environment = {
    REDIS_URL: redis.url,
    SEMDISTILL_STORE: join(folder, 'store'),
    SEMDISTILL_CACHE: join(folder, 'cache'),
    SEMDISTILL_PORT: '0',
    SEMDISTILL_API_KEY: KEY,
    SEMDISTILL_LOG: 'error',
  };
  const config = readConfig(environment);
  const store = await openStore(config.store);
  await putTeacherAndCorpus(store);
  const clear = async () => {
    await store.close();
    await redis.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const stop = async () => {
    await clear();
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await measure({ folder, redis, environment, config, store });
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await clear();
  }
}

/** A sweep of so many trials, different from all others by its epochs. */
function sweepOf(trials, epochs, trialsPerBundle) {
  const seeds = Math.min(100, trials);
  return {
    teacher: TEACHER.teacherId,
    vary: { temperature: Array.from({ length: trials / seeds }, (_, index) => 1 + index / 10) },
    seeds,
    baseline: false,
    reference: false,
    base: { epochs },
    trialsPerBundle,
  };
}

async function post(url, body) {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/sweeps`, { method: 'POST', headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (response.status !== 202) throw new Error(`the API refused the sweep: ${JSON.stringify(answer)}`);
  return answer;
}

/** From the request to the whole answer: the record is written, every job is in Redis. */
async function measureSubmission({ config }, isQuick) {
  const api = await startApi(config, () => {});
  const measured = [];
  try {
    await post(api.url, sweepOf(100, 1, 8)); // code compiled, connections opened
    for (const [trials, perBundle] of isQuick
      ? [[1_000, 8]]
      : [
          [10_000, 8],
          [10_000, 1],
        ]) {
      const startedAt = performance.now();
      await post(api.url, sweepOf(trials, perBundle + 1, perBundle));
      const seconds = (performance.now() - startedAt) / 1000;
      measured.push({ of: `${trials} trials, ${perBundle} a bundle`, value: seconds, unit: 's' });
    }
  } finally {
    await api.close();
  }
  return measured;
}

/** What waits in Redis, as the API would have put it there: sweeps of 10,000 trials, each with bundles of its own. */
async function measureMemory({ config, redis }, isQuick) {
  const [sweeps, trials] = isQuick ? [1, 1_000] : [10, 10_000];
  const fleet = openFleet(config);
  const measured = [];
  for (const perBundle of [8, 1]) {
    await redis.command('FLUSHALL');
    const empty = await redis.memoryBytes();
    for (let number = 0; number < sweeps; number++) {
      const ids = Array.from({ length: trials }, () => randomUUID().replaceAll('-', '').slice(0, 16));
      const count = trials / perBundle;
      const bundles = Array.from({ length: count }, (_, at) => ids.slice(at * perBundle, (at + 1) * perBundle));
      const { teacherId, corpusId } = TEACHER;
      const placement = { memoryBytes: bundles.map(() => 1_234_567_890) };
      const sweep = { sweepId: `sweep-${number}`, owner: 'bench', teacherId, corpusId, bundles, placement };
      await fleet.enqueue(bundleJobs(sweep, () => true));
    }
    const value = ((await redis.memoryBytes()) - empty) / 1e6;
    measured.push({ of: `${sweeps * trials} trials, ${perBundle} a bundle`, value, unit: 'MB' });
  }
  await fleet.close();
  return measured;
}

/** One job after another that does nothing: ours with shares of 20 owners and 10,000 waiting, and BullMQ's own. */
async function measureTaking({ config, redis }, isQuick) {
  const count = isQuick ? 200 : 2_000;
  const waiting = isQuick ? 1_000 : 10_000;
  const fleet = openFleet(config);
  const jobs = Array.from({ length: count + waiting }, (_, index) => ({
    kind: 'bundle',
    bundleId: `bundle-${index}`,
    sweepId: 'sweep',
    owner: `owner-${index % 20}`,
    trialIds: [`trial-${index}`],
  }));
  await fleet.enqueue(jobs);
  const ours = await timed(count, (done) => {
    const host = hostJobs(config, { workerId: 'bench', handle: async () => done(), onControls() {}, onTrouble() {} });
    return async () => {
      await host.giveBack();
      await host.close();
    };
  });
  await fleet.close();
  const connection = { host: '127.0.0.1', port: redis.port, maxRetriesPerRequest: null };
  const queue = new Queue('bare', { connection });
  await queue.addBulk(jobs.map((data) => ({ name: 'bundle', data, opts: { removeOnComplete: true } })));
  const bare = await timed(count, (done) => {
    const worker = new Worker('bare', async () => done(), { connection });
    return () => worker.close();
  });
  await queue.close();
  return [
    { of: 'semdistill, 20 owners', value: ours, unit: 'ms a job' },
    { of: 'bare BullMQ', value: bare, unit: 'ms a job' },
  ];
}

/** Milliseconds each of `count` calls of `done` takes, the first hundred left out. */
async function timed(count, start) {
  let calls = 0;
  let from = 0;
  let stop = async () => {};
  const ms = await new Promise((resolve) => {
    const done = () => {
      calls++;
      if (calls === 100) from = performance.now();
      if (calls === count) resolve((performance.now() - from) / (count - 100));
    };
    stop = start(done);
  });
  await stop();
  return ms;
}

/** Bundles whose trainer, a process as always, has its results at once; until every result is durable. */
async function measureBundles({ folder, environment, config, store }, isQuick) {
  const measured = [];
  for (const perBundle of [1, 16]) {
    const bundles = isQuick ? 2 : 12;
    const { jobs, trials } = await putOpenSweep(store, { name: `bundles-${perBundle}`, bundles, perBundle });
    const script = join(folder, `script-${perBundle}.json`);
    const summaries = Object.fromEntries(trials.map((trial) => [trial.trialId, summaryOf(trial)]));
    await writeFile(script, JSON.stringify({ numerics: TEACHER.numerics, summaries }));
    const trainer = { command: process.execPath, args: [join(SUPPORT, 'scripted-trainer.mjs'), script] };
    const child = spawn(process.execPath, [join(SUPPORT, 'worker-process.mjs'), JSON.stringify({ trainer })], {
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const fleet = openFleet(config);
    const startedAt = performance.now();
    await fleet.enqueue(jobs);
    for (let left = 1; left > 0; await sleep(2)) {
      const { waiting, active } = await fleet.counts();
      left = waiting + active;
    }
    const value = (performance.now() - startedAt) / trials.length;
    const missing = [];
    for (const { trialId } of trials) if (!(await store.head(keys.trialResult(trialId)))) missing.push(trialId);
    if (missing.length > 0) throw new Error(`${missing.length} trials have no result`);
    measured.push({ of: `bundles of ${perBundle}, a process each`, value, unit: 'ms a trial' });
    await fleet.close();
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }
  return measured;
}

/** Sweeps whose trials have all ended, of growing size: a trial costs the same in each, or settling is not linear. */
async function measureSettling({ store }, isQuick) {
  const measured = [];
  for (const trials of isQuick ? [50, 100] : [250, 500, 1_000]) {
    const sweep = await putFinishedSweep(store, { name: `settle-${trials}`, trials });
    const startedAt = performance.now();
    const settling = await settleSweep(store, sweep);
    const value = (performance.now() - startedAt) / trials;
    if (settling.outcome !== 'settled') throw new Error(`the sweep of ${trials} trials was not settled`);
    measured.push({ of: `${trials} trials`, value, unit: 'ms a trial' });
  }
  return measured;
}

/** One trial paused and resumed over REST, beside many sweeps that have ended; the first time, when nothing is remembered of them. */
async function measureControls({ config, store }, isQuick) {
  const count = isQuick ? 50 : 1_000;
  for (let index = 0; index < count; index++) {
    const sweepId = `ended-${index}`;
    const { sweep } = await putOpenSweep(store, { name: sweepId, bundles: 1, perBundle: 4, withTrials: false });
    const settled = {
      sweepId: sweep.sweepId,
      status: 'completed',
      counts: {},
      reportFiles: [],
      settledAt: sweep.createdAt,
    };
    await putJson(store, keys.sweepSettled(sweepId, 1), settled);
    for (const name of ['report.json', 'report.html', 'report.csv', 'report.md'])
      await store.put(keys.sweepReport(sweepId, name, 1), Buffer.from(name));
  }
  const { trials } = await putOpenSweep(store, { name: 'open', bundles: 1, perBundle: 2 });
  const api = await startApi(config, () => {});
  const headers = { authorization: `Bearer ${KEY}` };
  const measured = [];
  try {
    for (const control of ['pause', 'resume']) {
      const startedAt = performance.now();
      const answer = await fetch(`${api.url}/v1/trials/${trials[0].trialId}/${control}`, { method: 'POST', headers });
      if (!answer.ok) throw new Error(`${control}: ${await answer.text()}`);
      measured.push({
        of: `${control} of one trial beside ${count} sweeps`,
        value: performance.now() - startedAt,
        unit: 'ms',
      });
    }
  } finally {
    await api.close();
  }
  return measured;
}

function tableOf(runs) {
  const rows = new Map();
  for (const run of runs) {
    const name = `${run.measurement} | ${run.of} | ${run.unit}`;
    rows.set(name, [...(rows.get(name) ?? []), run.value]);
  }
  const cells = (values) => [median(values), Math.min(...values), Math.max(...values)].map((value) => value.toFixed(2));
  return [
    '',
    '| measured | of | unit | median | lowest | highest |',
    '| -------- | -- | ---- | ------ | ------ | ------- |',
    ...[...rows].map(([name, values]) => `| ${name} | ${cells(values).join(' | ')} |`),
  ];
}
