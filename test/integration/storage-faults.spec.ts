// Random faults between the store and a real MinIO, from a seed: whatever is put, claimed, read, listed or deleted meanwhile,
// nothing is lost, nothing is torn, and what fails says so in one sentence. SEMDISTILL_FAULTS sets how many (1,000 and more).
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { S3Settings } from '#config';
import { type ObjectStore, openStore, StoreUnavailable } from '#storage';
import { FAULTS, type Fault, type FaultProxy, startFaultProxy } from '../support/fault-proxy.js';
import { MINIO_MISSING, type MinioServer, minioBinary, startMinio } from '../support/minio.js';
import { collect } from '../support/store-contract.js';

const MIB = 1024 ** 2;
const WANTED = Number(process.env.SEMDISTILL_FAULTS || 100);
const SEED = process.env.SEMDISTILL_FAULTS_SEED || 'seed 1';
const QUICK = { attempts: 4, firstDelayMs: 5, idleTimeoutMs: 300 };
/** In calm weather one request in four fails, in storms most, so that some operations come through and some do not. */
const CALM = 0.25;
const STORM = 0.85;
const WEATHER = 60;
const KEYS = 12;
const WORKERS = 4;

if (!minioBinary) console.warn(MINIO_MISSING);

/** Numbers in [0, 1) that a seed fixes. */
function randomFrom(seed: string): () => number {
  let count = 0;
  return () => createHash('sha256').update(`${seed} ${count++}`).digest().readUInt32LE() / 2 ** 32;
}

/** What may stand under a key: hashes of whole bodies, or nothing. */
type Possible = Set<string | undefined>;

const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(!minioBinary)(`${WANTED} random faults (${SEED})`, () => {
  let minio: MinioServer;
  let proxy: FaultProxy;
  let folder: string;
  let settings: S3Settings;
  let store: ObjectStore;

  beforeAll(async () => {
    minio = await startMinio();
    folder = await mkdtemp(join(tmpdir(), 'semdistill-random-faults-'));
    proxy = await startFaultProxy(minio.settings('random'));
    settings = { ...minio.settings('random'), endpoint: proxy.endpoint };
    store = await openStore(settings, { retries: QUICK });
  });
  afterAll(async () => {
    await store?.close();
    await proxy?.close();
    await minio?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('lose nothing and tear nothing', { timeout: 60_000 + 2000 * WANTED }, async () => {
    const random = randomFrom(SEED);
    const counts = new Map<Fault, number>();
    let faults = 0;
    let requests = 0;
    proxy.decide(() => {
      const isStorm = requests++ % WEATHER > (2 * WEATHER) / 3;
      if (faults >= WANTED || random() > (isStorm ? STORM : CALM)) return undefined;
      // Nobody is in the way of a server's "no": that one is not tried again.
      const kinds = FAULTS.filter((fault) => fault !== 'denied');
      const fault = kinds[Math.floor(random() * kinds.length)];
      if (fault) counts.set(fault, (counts.get(fault) ?? 0) + 1);
      faults += 1;
      return fault;
    });
    const outcomes = { done: 0, failed: 0 };
    /** The result, or undefined where the store said that it is unavailable; anything else is a fault of the store. */
    const attempt = async <T>(work: () => Promise<T>): Promise<{ value: T } | undefined> => {
      try {
        const value = await work();
        outcomes.done += 1;
        return { value };
      } catch (error) {
        if (!isFairFailure(error)) throw error;
        outcomes.failed += 1;
        return undefined;
      }
    };

    // Each worker has keys of its own, so that what may stand under them is known; claims are raced for by all.
    const worker = async (name: number) => {
      const known = new Map<string, Possible>();
      const file = join(folder, `body-${name}`);
      while (faults < WANTED) {
        const key = `w${name}/${Math.floor(random() * KEYS)}`;
        const possible: Possible = known.get(key) ?? new Set([undefined]);
        known.set(key, possible);
        const choice = random();
        if (choice < 0.4) {
          const body = bodyOf(random);
          const isFile = body.length > MIB;
          if (isFile) await writeFile(file, body);
          const isOver = (await attempt(() => store.put(key, isFile ? { path: file } : body))) !== undefined;
          if (isOver) possible.clear();
          possible.add(hashOf(body));
        } else if (choice < 0.5) {
          const body = bodyOf(random);
          const claimed = await attempt(() => store.putIfAbsent(key, body));
          if (claimed?.value) {
            expect(possible.has(undefined)).toBe(true);
            possible.clear();
          }
          if (claimed === undefined || claimed.value) possible.add(hashOf(body));
          else possible.delete(undefined);
        } else if (choice < 0.6) {
          const isOver = (await attempt(() => store.delete(key))) !== undefined;
          if (isOver) possible.clear();
          possible.add(undefined);
        } else if (choice < 0.95) {
          const bytes = await attempt(() => readOneWay(choice, key));
          // An aged answer may be older than what stands there: whole all the same, which the store has checked.
          if (bytes?.value) expect(bytes.value.length).toBe(sizeIn(bytes.value));
        } else {
          const page = await attempt(() => store.list(`w${name}/`));
          for (const item of page?.value.objects ?? []) expect(known.has(item.key)).toBe(true);
        }
      }
      return known;
    };
    const readOneWay = async (choice: number, key: string): Promise<Buffer | undefined> => {
      const path = join(folder, `back-${key.replace('/', '-')}`);
      if ((await store.head(key)) === undefined) return undefined;
      try {
        if (choice < 0.7) return await store.get(key);
        if (choice < 0.8) return await collect(await store.stream(key));
        await store.getToFile(key, path);
        return await readFile(path);
      } catch (error) {
        if (error instanceof Error && error.name === 'ObjectNotFound') return undefined;
        throw error;
      } finally {
        await rm(path, { force: true });
      }
    };

    const known = await Promise.all(Array.from({ length: WORKERS }, (_, name) => worker(name)));
    expect(faults).toBe(WANTED);
    proxy.fail();

    // Quiet again: every key holds exactly what a write that succeeded left, or one that failed may have left.
    let objects = 0;
    for (const [key, possible] of known.flatMap((one) => [...one])) {
      const head = await store.head(key);
      const bytes = head && (await store.get(key));
      expect(possible, key).toContain(bytes && hashOf(bytes));
      if (bytes) objects += 1;
    }
    expect((await readdir(folder)).filter((name) => /\.part$|^back/.test(name))).toEqual([]);
    console.log(
      `${faults} faults: ${[...counts].map(([fault, count]) => `${fault} ${count}`).join(', ')}; ` +
        `${outcomes.done} operations done, ${outcomes.failed} failed with one sentence, ${objects} objects whole`,
    );
    expect(outcomes.done).toBeGreaterThan(WANTED / 4);
    expect(outcomes.failed).toBeGreaterThan(WANTED / 100);
  });
});

/** Mostly small ones; one in eight goes up in parts. The length stands at the beginning. */
function bodyOf(random: () => number): Buffer {
  const size = random() < 0.125 ? 17 * MIB + Math.floor(random() * MIB) : 8 + Math.floor(random() * 200_000);
  const body = size > MIB ? Buffer.alloc(size, randomBytes(999)) : randomBytes(size);
  body.writeDoubleLE(size);
  return body;
}

const sizeIn = (body: Buffer) => body.readDoubleLE();

/** One clear sentence of the store's own; a stream may also end by saying that its bytes came damaged. */
function isFairFailure(error: unknown): boolean {
  const isOurs = error instanceof StoreUnavailable || (error instanceof Error && error.name === 'ObjectCorrupt');
  return isOurs && error instanceof Error && /^[^\n]+[.?]?$/.test(error.message);
}
