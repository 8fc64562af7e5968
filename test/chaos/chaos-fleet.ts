// A whole fleet of processes on a real Redis and an object store that can be made to fail: MinIO behind a proxy where there is
// one, else a folder that can go away.

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Config, readConfig } from '#config';
import type { StoredFile } from '#experiment';
import { openFleet, type RedisFleet } from '#queue';
import { keys, type ObjectStore, openStore, putJson } from '#storage';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.js';
import { type MinioServer, minioBinary, startMinio } from '../support/minio.js';
import { type RedisServer, startRedis } from '../support/redis.js';
import { TINY, TrainerBench } from '../support/trainer-process.js';
import { Supervised } from './supervisor.js';

const WORKERS = 3;
/** Shorter than in earnest, in the same proportions: faults of seconds then are faults of minutes. */
const WORKER_TIMES = { controlsMs: 500, recordMs: 2_000, registryMs: 2_000, stepSilenceMs: 8_000, heartbeatMs: 30_000 };
const LOCK_TIMES = { lockDurationMs: 2_500, stalledIntervalMs: 800 };
const LOOK_EVERY_MS = 2_000;

const FAKETIME = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map(
  (machine) => `/usr/lib/${machine}/faketime/libfaketime.so.1`,
);
export const fakeTimeLibrary = FAKETIME.find((file) => existsSync(file));

const ROOT = resolve(import.meta.dirname, '../..');

export class ChaosFleet {
  config!: Config;
  /** Past all faults. */
  store!: ObjectStore;
  fleet!: RedisFleet;
  proxy: FaultProxy | undefined;
  processes = new Map<string, Supervised>();
  folder = '';
  url = '';
  private rounds = 0;

  private constructor(
    private readonly bench: TrainerBench,
    readonly redis: RedisServer,
    private readonly minio: MinioServer | undefined,
  ) {}

  static async open(): Promise<ChaosFleet> {
    const [bench, redis, minio] = await Promise.all([
      TrainerBench.open(),
      startRedis(),
      minioBinary ? startMinio() : undefined,
    ]);
    return new ChaosFleet(bench, redis, minio);
  }

  async close(): Promise<void> {
    await Promise.all([this.bench.close(), this.redis.close(), this.minio?.close()]);
  }

  get workers(): Supervised[] {
    return [...this.processes.values()].filter(({ name }) => name.startsWith('worker'));
  }

  process(name: string): Supervised {
    return this.processes.get(name) as Supervised;
  }

  /** A fresh Redis, a fresh store with teacher and corpus, and all processes. */
  async begin(): Promise<void> {
    await this.redis.command('FLUSHALL');
    this.folder = await mkdtemp(join(tmpdir(), 'semdistill-chaos-'));
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    const environment: Record<string, string> = {
      REDIS_URL: this.redis.url,
      SEMDISTILL_API_KEY: 'a-key-for-tests-0123456789',
      SEMDISTILL_PORT: String(port),
      SEMDISTILL_THREADS: '1',
      SEMDISTILL_CHECKPOINT_SECONDS: '1',
      ...(await this.storeSettings()),
    };
    this.config = readConfig({ ...environment, SEMDISTILL_CACHE: join(this.folder, 'cache') });
    this.fleet = openFleet(this.config);
    await this.putTeacherAndCorpus();
    const add = async (name: string, args: string[], ready: RegExp) => {
      const own = { ...environment, ...(await this.clockOf(name)), SEMDISTILL_WORKER_NAME: name };
      const cache = { SEMDISTILL_CACHE: join(this.folder, name) };
      this.processes.set(name, new Supervised(name, { args, environment: { ...own, ...cache }, ready }));
    };
    const support = (name: string) => join(ROOT, 'test/support', name);
    await add('api', [join(ROOT, 'dist/apps/api/main.js')], /API at/);
    const aggregator = [support('aggregator-process.mjs'), JSON.stringify({ lookEveryMs: LOOK_EVERY_MS })];
    await add('aggregator', aggregator, /settles sweeps/);
    const overrides = JSON.stringify({ times: WORKER_TIMES, lockTimes: LOCK_TIMES });
    for (let index = 1; index <= WORKERS; index++)
      await add(`worker-${index}`, [support('worker-process.mjs'), overrides], /takes jobs/);
    for (const one of this.processes.values()) one.start();
  }

  /** Where the whole process group reads how far its clock is off. */
  async setClock(name: string, seconds: number): Promise<void> {
    const file = join(this.folder, `clock-${name}`);
    await writeFile(`${file}.part`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    await rename(`${file}.part`, file);
  }

  /** The folder that is the store goes away, or comes back; for want of a proxy. */
  async setStoreFolder(isThere: boolean): Promise<void> {
    const link = join(this.folder, 'store');
    await symlink(join(this.folder, isThere ? 'objects' : 'no-folder'), `${link}.next`);
    await rename(`${link}.next`, link);
  }

  /** Ends everything in good order; what each process ended with. */
  async stop(): Promise<Map<string, number | null>> {
    const codes = new Map<string, number | null>();
    for (const [name, one] of this.processes) codes.set(name, await one.stop());
    return codes;
  }

  async clear(): Promise<void> {
    for (const one of this.processes.values()) one.kill();
    this.processes.clear();
    await this.fleet.close();
    await this.store.close();
    await this.proxy?.close();
    this.proxy = undefined;
    await rm(this.folder, { recursive: true, force: true });
  }

  private async clockOf(name: string): Promise<Record<string, string>> {
    if (!fakeTimeLibrary) return {};
    await this.setClock(name, 0);
    return {
      LD_PRELOAD: fakeTimeLibrary,
      FAKETIME_TIMESTAMP_FILE: join(this.folder, `clock-${name}`),
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  private async storeSettings(): Promise<Record<string, string>> {
    if (!this.minio) {
      const folder = join(this.folder, 'objects');
      this.store = await openStore({ kind: 'directory', folder });
      await this.store.check();
      await writeFile(join(this.folder, 'no-folder'), '');
      await this.setStoreFolder(true);
      return { SEMDISTILL_STORE: join(this.folder, 'store') };
    }
    const settings = this.minio.settings(`chaos-${++this.rounds}`);
    this.store = await openStore(settings);
    await this.store.check();
    this.proxy = await startFaultProxy(settings);
    return {
      SEMDISTILL_STORE: 's3',
      S3_ENDPOINT: this.proxy.endpoint.href,
      S3_BUCKET: settings.bucket,
      S3_ACCESS_KEY: settings.accessKey,
      S3_SECRET_KEY: settings.secretKey,
    };
  }

  private async putTeacherAndCorpus(): Promise<void> {
    const { bench, store } = this;
    const job = bench.bundle({}, [1]);
    if (job.kind !== 'bundle') throw new Error('a bundle is what was asked for');
    const storeFile = async (key: string, path: string, name: string): Promise<StoredFile> => {
      const facts = await store.put(key, { path });
      return { name, key, ...facts, contentType: 'application/octet-stream' };
    };
    const modelKey = keys.teacherFile('tiny', 'model.safetensors');
    const model = await storeFile(modelKey, join(TINY, 'teacher.safetensors'), 'model.safetensors');
    await putJson(store, keys.teacher('tiny'), { ...job.teacher, files: [model] });
    const files: StoredFile[] = [];
    for (const name of ['vocab.json', 'train.json', 'test.json'])
      files.push(await storeFile(keys.corpusFile('tiny', name), join(bench.corpusFolder, name), name));
    await putJson(store, keys.corpus('tiny'), { ...job.corpus, files });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
