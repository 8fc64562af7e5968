// Workers as processes with the real trainer, on a real Redis and a directory store, with the tiny golden teacher: a bundle of two
// students that takes a few seconds, and what there is to see of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, vi } from 'vitest';
import { type Config, readConfig } from '#config';
import {
  bundleIdOf,
  type PreparationRequest,
  type PreparationResult,
  preparationIdOf,
  type StoredFile,
  type SweepRecord,
  type TeacherRecord,
  type TeacherTraining,
  type TrialRecord,
  type TrialResult,
  trialIdOf,
} from '#experiment';
import { type BundleJob, openFleet, type RedisFleet } from '#queue';
import { findJson, getJson, keys, type ObjectStore, openStore, putJson, readTrialState } from '#storage';
import { listBundle, readCheckpoints } from '../../apps/worker/stored-checkpoints.js';
import type { TrainerJob } from '../../apps/worker/trainer-protocol.js';
import { childrenOf as childProcessesOf, processFile, workingFolderOf } from './processes.js';
import { type RedisServer, startRedis } from './redis.js';
import { TINY, TrainerBench } from './trainer-process.js';

const TEMPERATURES = [1, 8];

export interface Enqueued {
  trialIds: string[];
  bundleId: string;
  job: BundleJob;
}

export const eventually = <T>(check: () => T | Promise<T>, timeout = 90_000) =>
  vi.waitFor(check, { timeout, interval: 20 });

export class RealFleet {
  config!: Config;
  store!: ObjectStore;
  fleet!: RedisFleet;
  workers: ChildProcess[] = [];
  /** What each worker wrote to its log, in the order of their starts. */
  logs: string[] = [];
  private folder = '';
  /** Variables of the fleet's processes. */
  environment: Record<string, string> = {};

  redis!: RedisServer;
  private bench!: TrainerBench;

  private constructor() {}

  /** One for a file of tests: open for all of them, with a fresh Redis and store for each. `settings` are of the environment. */
  static forTests(settings: Record<string, string> = {}): RealFleet {
    const fleet = new RealFleet();
    beforeAll(async () => {
      [fleet.bench, fleet.redis] = await Promise.all([TrainerBench.open(), startRedis()]);
    });
    afterAll(() => Promise.all([fleet.bench.close(), fleet.redis.close()]));
    beforeEach(() => fleet.reset(settings));
    afterEach(() => fleet.clear());
    return fleet;
  }

  /** A fresh Redis and store. */
  private async reset(settings: Record<string, string>): Promise<void> {
    await this.redis.command('FLUSHALL');
    this.folder = await mkdtemp(join(tmpdir(), 'semdistill-fleet-'));
    this.environment = {
      REDIS_URL: this.redis.url,
      SEMDISTILL_STORE: join(this.folder, 'store'),
      SEMDISTILL_CACHE: join(this.folder, 'cache'),
      SEMDISTILL_API_KEY: 'a-key-for-tests-0123456789',
      SEMDISTILL_PORT: '0',
      SEMDISTILL_THREADS: '1',
      SEMDISTILL_CHECKPOINT_SECONDS: '0',
      ...settings,
    };
    this.config = readConfig(this.environment);
    this.store = await openStore(this.config.store);
    this.fleet = openFleet(this.config);
    this.workers = [];
    this.logs = [];
  }

  /** Ends all workers and removes everything. */
  private async clear(): Promise<void> {
    for (const worker of this.workers) await this.end(worker, 'SIGKILL');
    await this.fleet.close();
    await this.store.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  startWorker(overrides: object = {}): ChildProcess {
    const program = resolve(import.meta.dirname, 'worker-process.mjs');
    const all = { lockTimes: { lockDurationMs: 2_000, stalledIntervalMs: 500 }, ...overrides };
    const index = this.workers.length;
    const child = spawn(process.execPath, [program, JSON.stringify(all)], {
      env: { ...process.env, ...this.environment, SEMDISTILL_WORKER_NAME: `worker-${index + 1}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.logs[index] = '';
    const note = (chunk: Buffer) => {
      this.logs[index] += chunk.toString();
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
    this.workers.push(child);
    return child;
  }

  /** Another process of the fleet, from dist/. */
  start(app: 'api' | 'aggregator'): ChildProcess {
    const main = resolve(import.meta.dirname, `../../dist/apps/${app}/main.js`);
    const child = spawn(process.execPath, [main], {
      env: { ...process.env, ...this.environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.workers.push(child);
    this.logs.push('');
    return child;
  }

  async end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const gone = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await gone;
    return child.exitCode;
  }

  private async storeFile(key: string, path: string, name: string): Promise<StoredFile> {
    const facts = await this.store.put(key, { path });
    return { name, key, ...facts, contentType: 'application/octet-stream' };
  }

  /** Teacher and corpus in the store. */
  async storeTiny(): Promise<void> {
    const { bench, store } = this;
    const { teacher, corpus } = bench.bundle({}, TEMPERATURES) as Extract<TrainerJob, { kind: 'bundle' }>;
    const teacherKey = keys.teacherFile('tiny', 'model.safetensors');
    const model = await this.storeFile(teacherKey, join(TINY, 'teacher.safetensors'), 'model.safetensors');
    await putJson(store, keys.teacher('tiny'), { ...teacher, files: [model] });
    const names = ['vocab.json', 'train.json', 'test.json'];
    const files = await Promise.all(
      names.map((name) => this.storeFile(keys.corpusFile('tiny', name), join(bench.corpusFolder, name), name)),
    );
    await putJson(store, keys.corpus('tiny'), { ...corpus, files });
  }

  /** A teacher to be trained, in store and queue; returns the preparation's id. */
  async enqueueTeacher(epochs: number): Promise<string> {
    await this.storeTiny();
    const training: TeacherTraining = {
      layers: 1,
      dModel: 32,
      dff: 64,
      heads: 4,
      batchSize: 16,
      epochs,
      learningRate: 1e-3,
      weightDecay: 0,
      dropout: 0.1,
      channel: 'awgn',
      channelProfile: 'exact',
      trainSnrDb: [5, 10],
      seed: 1,
    };
    const request: PreparationRequest = { kind: 'teacher', name: 'trained', corpusId: 'tiny', training };
    const preparationId = preparationIdOf(request);
    const createdAt = new Date(0).toISOString();
    await putJson(this.store, keys.preparation(preparationId), { preparationId, request, owner: 'me', createdAt });
    await this.fleet.enqueue([{ kind: 'preparation', preparationId, owner: 'me' }]);
    return preparationId;
  }

  /** How a preparation ended. */
  prepared(preparationId: string): Promise<PreparationResult> {
    return eventually(async () => {
      const found = await findJson<PreparationResult>(this.store, keys.preparationResult(preparationId));
      return found ?? expect.fail('not prepared yet');
    });
  }

  /** The teacher that a preparation has made. */
  async preparedTeacher(preparationId: string): Promise<TeacherRecord> {
    const { teacherId, failure } = await this.prepared(preparationId);
    expect(failure).toBeUndefined();
    return getJson<TeacherRecord>(this.store, keys.teacher(teacherId ?? ''));
  }

  /** Teacher, corpus, trials and their sweep in the store, the bundle in the queue. */
  async enqueue(epochs: number, place: Partial<BundleJob> = {}): Promise<Enqueued> {
    const { bench, store } = this;
    const job = bench.bundle({ epochs, distillPart: 'full', freezeKeptSide: false }, TEMPERATURES);
    if (job.kind !== 'bundle') throw new Error('a bundle is what was asked for');
    await this.storeTiny();
    const trialIds: string[] = [];
    for (const { spec } of job.trials) {
      const trial: TrialRecord = { trialId: trialIdOf(spec), spec, createdAt: job.teacher.createdAt };
      await putJson(store, keys.trial(trial.trialId), trial);
      trialIds.push(trial.trialId);
    }
    const bundleId = bundleIdOf(trialIds);
    const sweep: SweepRecord = {
      sweepId: 'sweep',
      name: 'sweep',
      owner: 'me',
      kind: 'sweep',
      request: {},
      teacherId: 'tiny',
      corpusId: 'tiny',
      trials: trialIds.map((trialId) => ({ trialId, role: 'requested' })),
      bundles: [trialIds],
      warnings: [],
      createdAt: job.teacher.createdAt,
    };
    await putJson(store, keys.sweep('sweep'), sweep);
    const bundle: BundleJob = { kind: 'bundle', bundleId, sweepId: 'sweep', owner: 'me', trialIds, ...place };
    await this.fleet.enqueue([bundle]);
    return { trialIds, bundleId, job: bundle };
  }

  results(trialIds: string[]): Promise<TrialResult[]> {
    return eventually(async () => {
      const found = await Promise.all(
        trialIds.map(async (trialId) => {
          const { retry } = await readTrialState(this.store, trialId);
          return findJson<TrialResult>(this.store, keys.trialResult(trialId, retry));
        }),
      );
      expect(found.every(Boolean)).toBe(true);
      return found as TrialResult[];
    });
  }

  /** The results of a run that nothing disturbs; afterwards store and queue are empty again. */
  async undisturbed(epochs: number): Promise<TrialResult[]> {
    const { trialIds } = await this.enqueue(epochs);
    const worker = this.startWorker();
    const results = await this.results(trialIds);
    expect(results.map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect((await this.store.get(logKeyOf(results[0] as TrialResult))).toString()).toMatch(/engine: .*\n.*bundle: /);
    await this.nothingLeft();
    await this.end(worker, 'SIGTERM');
    await this.forget();
    return results;
  }

  /** Store and queue are empty again; no worker is running. */
  async forget(): Promise<void> {
    const { store } = this.config;
    await rm(store.kind === 'directory' ? store.folder : '', { recursive: true, force: true });
    await this.redis.command('FLUSHALL');
    this.store = await openStore(store);
    this.workers = [];
    this.logs = [];
  }

  /** Waits until no checkpoint is in the store any more. */
  async nothingLeft(): Promise<void> {
    await eventually(async () => expect((await this.store.list('bundles/')).objects).toEqual([]));
  }

  /** Waits until the store has a checkpoint of this step or later; returns its step. */
  storedStep(bundleId: string, least: number): Promise<number> {
    return eventually(async () => {
      const { fences } = await listBundle(this.store, bundleId);
      const [newest] = await readCheckpoints(this.store, bundleId, fences, () => {});
      expect(newest?.manifest.state.step ?? 0).toBeGreaterThanOrEqual(least);
      return newest?.manifest.state.step as number;
    });
  }

  /** The trainer at work for this worker (Linux). */
  trainerOf(worker: ChildProcess): Promise<number> {
    return eventually(() => trainersOf(worker)[0] ?? expect.fail('no trainer yet'));
  }
}

/** Trainers of this worker, also the one that waits (Linux). */
export function childrenOf(worker: ChildProcess): number[] {
  return childProcessesOf(worker.pid).filter((pid) => isTrainer(pid, ''));
}

/** Trainers of this worker that have a work folder, so a job (Linux). */
export function trainersOf(worker: ChildProcess): number[] {
  return childrenOf(worker).filter((pid) => isTrainer(pid, '/work/'));
}

function isTrainer(pid: number, folder: string): boolean {
  return processFile(pid, 'cmdline').includes('trainer/main.js') && workingFolderOf(pid).includes(folder);
}

/** Name and hash of everything a trial leaves but what holds times. */
export function filesOf({ artifacts }: TrialResult): Record<string, string> {
  const timeless = artifacts.filter(({ name }) => !/config|metrics|log/.test(name));
  return Object.fromEntries(timeless.map(({ name, sha256 }) => [name, sha256]));
}

export function logKeyOf({ artifacts }: TrialResult): string {
  return artifacts.find(({ name }) => name === 'log.txt')?.key ?? '';
}
