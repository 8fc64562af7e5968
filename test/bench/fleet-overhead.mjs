// What a trial costs beside its training: the worker's own path, whole (take, record, start mark, checkpoints looked for, files,
// result.json, settled job), with a trainer that is no process and has its results at once; beside it, in the same run, bare BullMQ whose
// processor does nothing, and one that keeps a result of the same size by one durable write.
import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Queue, Worker } from 'bullmq';
import { openFleet } from '#queue';
import { keys } from '#storage';
import { startWorker } from '../../dist/apps/worker/start-worker.js';
import { putOpenSweep, summaryOf, TEACHER } from './fleet-records.mjs';
import { median } from './summary.mjs';

/** Left out: code is compiled, connections and folders are opened. */
const WARM_UP = 10;

export async function measureOverhead({ folder, config, redis, store }, isQuick) {
  const measured = [];
  for (const perBundle of [1, 16]) {
    const bundles = WARM_UP + (isQuick ? 5 : perBundle === 1 ? 100 : 25);
    const sweep = await putOpenSweep(store, { name: `overhead-${perBundle}`, bundles, perBundle });
    const syncs = countSyncs();
    const ours = await ourIntervals(config, sweep);
    const syncsEach = syncs.stop() / (bundles * perBundle);
    await requireResults(store, sweep.trials);
    const result = await store.get(keys.trialResult(sweep.trials[0].trialId));
    const write = durableWriter(folder, `bare-${perBundle}`, result);
    const bare = await bareIntervals(redis, bundles, async () => {});
    const durable = await bareIntervals(redis, bundles, async () => {
      for (let trial = 0; trial < perBundle; trial++) await write();
    });
    const a = (values) => median(values.slice(WARM_UP)) / perBundle;
    const of = (what) => `bundles of ${perBundle}, ${what}`;
    measured.push(
      { of: of('no fork'), value: a(ours), unit: 'ms a trial' },
      { of: of('bare BullMQ'), value: a(bare), unit: 'ms a trial' },
      { of: of('bare BullMQ + one durable write a trial'), value: a(durable), unit: 'ms a trial' },
      { of: of('overhead over bare BullMQ'), value: a(ours) - a(bare), unit: 'ms a trial' },
      { of: of('overhead over bare with its write'), value: a(ours) - a(durable), unit: 'ms a trial' },
      { of: of('fsyncs'), value: syncsEach, unit: 'a trial' },
    );
  }
  return measured;
}

/** Times between the starts of one bundle and the next on one worker, whose trainer is `atOnce`. */
async function ourIntervals(config, { jobs, trials }) {
  const summaries = new Map(trials.map((trial) => [trial.trialId, summaryOf(trial)]));
  const clock = starts(jobs.length);
  const startTrainer = async (options) => {
    clock.start();
    return atOnce(options, summaries);
  };
  const fleet = openFleet(config);
  await fleet.enqueue(jobs);
  const worker = await startWorker(config, { startTrainer, trainer: { command: 'false', args: [] } });
  const intervals = await clock.intervals;
  while ((await fleet.counts()).active > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await worker.close();
  await fleet.close();
  return intervals;
}

async function bareIntervals({ port }, count, work) {
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
  const queue = new Queue('bare-overhead', { connection });
  await queue.addBulk(
    Array.from({ length: count }, (_, index) => ({ name: 'trial', data: { index }, opts: { removeOnComplete: true } })),
  );
  const clock = starts(count);
  const worker = new Worker(
    'bare-overhead',
    async () => {
      clock.start();
      await work();
    },
    { connection },
  );
  const intervals = await clock.intervals;
  await worker.close();
  await queue.close();
  return intervals;
}

function starts(count) {
  const times = [];
  let done = () => {};
  const intervals = new Promise((resolve) => {
    done = resolve;
  });
  const start = () => {
    times.push(performance.now());
    if (times.length === count) done(times.slice(1).map((time, index) => time - times[index]));
  };
  return { start, intervals };
}

/** What the scripted trainer of the tests does, without its process: an epoch's words and two files a trial. */
export async function atOnce({ workFolder, job, onMessage }, summaries) {
  const write = async () => {
    onMessage({ type: 'ready', numerics: TEACHER.numerics });
    for (const { trialId } of job.trials) {
      const summary = summaries.get(trialId);
      for (const metrics of summary.epochs) onMessage({ type: 'epoch', trialId, metrics });
      const folder = join(workFolder, trialId);
      await mkdir(folder);
      await writeFile(join(folder, 'final_student_model.safetensors'), `weights of ${trialId}`);
      await writeFile(join(folder, 'distillation_config.json'), JSON.stringify({ trialId }));
      const files = [
        { name: 'final_student_model.safetensors', contentType: 'application/octet-stream' },
        { name: 'distillation_config.json', contentType: 'application/json' },
      ];
      onMessage({ type: 'trial-completed', trialId, summary, files });
    }
    return { kind: 'done' };
  };
  // Not before whoever started it has it.
  const ended = new Promise((resolve) => setImmediate(resolve)).then(write);
  return { ended, output: { text: () => '' }, cancel() {}, stop() {} };
}

/** Temporary file, synced, renamed, folder synced. */
function durableWriter(folder, name, bytes) {
  const place = join(folder, name);
  let count = 0;
  return async () => {
    await mkdir(place, { recursive: true });
    const path = join(place, String(count++));
    const file = await open(`${path}.tmp`, 'wx');
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    await rename(`${path}.tmp`, path);
    const parent = await open(place, 'r');
    await parent.sync();
    await parent.close();
  };
}

/** Counts the fsyncs of this process until it is stopped. */
function countSyncs() {
  let count = 0;
  const restore = countSyncs.patch(() => count++);
  return {
    stop() {
      restore();
      return count;
    },
  };
}

{
  const handle = await open(import.meta.filename);
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  countSyncs.patch = (note) => {
    const { sync } = prototype;
    prototype.sync = function counted() {
      note();
      return sync.call(this);
    };
    return () => {
      prototype.sync = sync;
    };
  };
}

async function requireResults(store, trials) {
  for (const { trialId } of trials)
    if (!(await store.head(keys.trialResult(trialId)))) throw new Error(`trial ${trialId} has no result`);
}
