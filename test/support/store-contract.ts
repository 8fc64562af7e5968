// What every object store has to keep, as one suite that is run against each of them.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DirectorySettings, S3Settings } from '#config';
import {
  BodyMismatch,
  findJson,
  getJson,
  InvalidKey,
  ObjectNotFound,
  type ObjectStore,
  ObjectTooLarge,
  openStore,
  putJson,
  putJsonIfAbsent,
} from '#storage';
import { minioClient } from './fault-proxy.js';

const WRITER = fileURLToPath(new URL('./store-writer.mjs', import.meta.url));
const STEP = fileURLToPath(new URL('./store-step.mjs', import.meta.url));
const run = promisify(execFile);
const MIB = 1024 ** 2;
const DAY_MS = 24 * 3600 * 1000;
/** More than two parts of a multipart upload, the last one short. */
const LARGE = 40 * MIB + 12_345;

/** `prepare` gives the settings of an empty store. */
export function describeStoreContract(name: string, prepare: () => Promise<S3Settings | DirectorySettings>): void {
  describe(`${name} keeps the contract of object stores`, () => {
    let settings: S3Settings | DirectorySettings;
    let store: ObjectStore;
    let folder: string;

    beforeAll(async () => {
      settings = await prepare();
      store = await openStore(settings);
      folder = await mkdtemp(join(tmpdir(), 'semdistill-contract-'));
    });
    afterAll(async () => {
      await store?.close();
      await rm(folder, { recursive: true, force: true });
    });

    it('gives back what was put, with its facts', async () => {
      const body = randomBytes(100_000);
      const facts = await store.put('basic/a.bin', body, { contentType: 'application/x-thing' });
      expect(facts.size).toBe(100_000);
      expect(await store.get('basic/a.bin')).toEqual(body);
      const head = await store.head('basic/a.bin');
      expect(head).toMatchObject({ key: 'basic/a.bin', ...facts, contentType: 'application/x-thing' });
      expect(Math.abs(Date.now() - (head?.modifiedAt.getTime() ?? 0))).toBeLessThan(600_000);
      expect((await store.list('basic/')).objects).toEqual([{ key: 'basic/a.bin', size: 100_000 }]);
      await store.check();
    });

    it('overwrites content, facts and type', async () => {
      await store.put('basic/over', Buffer.from('one'), { contentType: 'text/plain' });
      const facts = await store.put('basic/over', Buffer.from('second'), { contentType: 'text/html' });
      expect((await store.get('basic/over')).toString()).toBe('second');
      expect(await store.head('basic/over')).toMatchObject({ ...facts, contentType: 'text/html' });
    });

    it('says so when there is no object', async () => {
      await expect(store.get('no/such')).rejects.toThrow(ObjectNotFound);
      await expect(store.stream('no/such')).rejects.toThrow(ObjectNotFound);
      await expect(store.getToFile('no/such', join(folder, 'none'))).rejects.toThrow(ObjectNotFound);
      expect(await store.head('no/such')).toBeUndefined();
      expect(await store.list('no/')).toEqual({ objects: [] });
      await store.delete('no/such');
      expect(await readdir(folder)).toEqual([]);
    });

    it('deletes', async () => {
      await store.put('gone/x', Buffer.from('x'));
      await store.delete('gone/x');
      expect(await store.head('gone/x')).toBeUndefined();
      expect((await store.list('gone/')).objects).toEqual([]);
      expect(await store.putIfAbsent('gone/x', Buffer.from('again'))).toBe(true);
    });

    it('keeps an empty object', async () => {
      await store.put('basic/empty', Buffer.alloc(0));
      expect((await store.get('basic/empty')).length).toBe(0);
      expect(await store.head('basic/empty')).toMatchObject({ size: 0 });
      expect(await collect(await store.stream('basic/empty'))).toEqual(Buffer.alloc(0));
      await store.getToFile('basic/empty', join(folder, 'empty'));
      expect(await readFile(join(folder, 'empty'))).toEqual(Buffer.alloc(0));
      await writeFile(join(folder, 'empty'), '');
      await store.put('basic/empty', { path: join(folder, 'empty') });
      expect(await store.head('basic/empty')).toMatchObject({ size: 0 });
    });

    it('streams whole objects and ranges', async () => {
      const body = randomBytes(3 * MIB);
      await store.put('basic/ranges', body);
      expect((await collect(await store.stream('basic/ranges'))).equals(body)).toBe(true);
      const range = async (start: number, end?: number) =>
        await collect(await store.stream('basic/ranges', end === undefined ? { start } : { start, end }));
      expect(await range(10, 19)).toEqual(body.subarray(10, 20));
      expect(await range(0, 0)).toEqual(body.subarray(0, 1));
      expect((await range(2 * MIB)).equals(body.subarray(2 * MIB))).toBe(true);
      expect(await range(body.length - 5, body.length + 100)).toEqual(body.subarray(-5));
      await expect(store.stream('basic/ranges', { start: body.length })).rejects.toThrow(RangeError);
    });

    it('refuses to read more than the reader takes', async () => {
      await store.put('basic/long', Buffer.alloc(1000));
      await expect(store.get('basic/long', { maxBytes: 999 })).rejects.toThrow(ObjectTooLarge);
      expect((await store.get('basic/long', { maxBytes: 1000 })).length).toBe(1000);
    });

    it('lists 5,000 keys in pages, each once, in code-point order', async () => {
      const keys = Array.from({ length: 4990 }, (_, index) => `many/${index % 7}/k${index}`);
      keys.push('many/a-b', 'many/a.b', 'many/a/b', 'many/a/b-c', 'many/a/c/d', 'many/a0', 'many/A', 'many/a_b');
      keys.push('many/1e5', 'many/007');
      await inParallel(16, keys, async (key) => {
        await store.put(key, Buffer.from(key));
      });
      await store.put('many-not', Buffer.from('beside'));
      const expected = [...keys].sort((a, b) => (a < b ? -1 : 1));
      for (const limit of [undefined, 7 * 100 + 1, 5000]) {
        const found: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await store.list('many/', { ...(cursor ? { cursor } : {}), ...(limit ? { limit } : {}) });
          expect(page.objects.length).toBeLessThanOrEqual(limit ?? 1000);
          for (const { key, size } of page.objects) {
            expect(size).toBe(key.length);
            found.push(key);
          }
          cursor = page.cursor;
        } while (cursor !== undefined);
        expect(found).toEqual(expected);
      }
      const some = await store.list('many/3/k1');
      expect(some.objects.map(({ key }) => key)).toEqual(expected.filter((key) => key.startsWith('many/3/k1')));
    });

    it('lets exactly one of 16 racing writers create an object', async () => {
      for (let round = 0; round < 5; round += 1) {
        const key = `race/${round}`;
        const bodies = Array.from({ length: 16 }, (_, writer) => Buffer.alloc(20_000, `${round} ${writer} `));
        const won = await Promise.all(bodies.map((body) => store.putIfAbsent(key, body)));
        expect(won.filter(Boolean)).toHaveLength(1);
        expect((await store.get(key)).equals(bodies[won.indexOf(true)] ?? Buffer.alloc(0))).toBe(true);
      }
    });

    it('lets exactly one of 6 racing writers create a large object', async () => {
      const bodies = Array.from({ length: 6 }, (_, writer) => Buffer.alloc(18 * MIB, `${writer} `));
      const won = await Promise.all(bodies.map((body) => store.putIfAbsent('race/large', body)));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect((await store.get('race/large')).equals(bodies[won.indexOf(true)] ?? Buffer.alloc(0))).toBe(true);
    });

    it('leaves an object alone that is there already', async () => {
      await store.put('basic/first', Buffer.from('first'));
      expect(await store.putIfAbsent('basic/first', Buffer.from('second'))).toBe(false);
      expect(await store.putIfAbsent('basic/first', Buffer.alloc(17 * MIB))).toBe(false);
      expect((await store.get('basic/first')).toString()).toBe('first');
      expect(await store.putIfAbsent('basic/large-first', Buffer.alloc(17 * MIB, 'x'))).toBe(true);
      expect(await store.head('basic/large-first')).toMatchObject({ size: 17 * MIB });
    });

    it('refuses a body that is not what was stated, and shows nothing of it', async () => {
      const small = Buffer.from('content');
      const large = Buffer.alloc(LARGE, 'y');
      const sha256 = 'f'.repeat(64);
      await store.put('stated/old', Buffer.from('old'));
      for (const body of [small, large]) {
        for (const stated of [{ sha256 }, { size: body.length + 1 }, { size: body.length - 1 }]) {
          await expect(store.put('stated/new', body, stated)).rejects.toThrow(BodyMismatch);
          await expect(store.put('stated/old', body, stated)).rejects.toThrow(BodyMismatch);
          await expect(store.putIfAbsent('stated/new', body, stated)).rejects.toThrow(BodyMismatch);
        }
      }
      expect((await store.list('stated/')).objects).toEqual([{ key: 'stated/old', size: 3 }]);
      expect((await store.get('stated/old')).toString()).toBe('old');
      await expect(store.put('stated/new', { path: join(folder, 'no-such-file') })).rejects.toThrow(/ENOENT/);
      expect(await store.head('stated/new')).toBeUndefined();
    });

    it('takes and gives a large file whole', async () => {
      const body = randomBytes(LARGE);
      const path = join(folder, 'large');
      await writeFile(path, body);
      const facts = await store.put('large/file', { path });
      expect(await store.put('large/memory', body, facts)).toEqual(facts);
      expect(await store.getToFile('large/file', join(folder, 'back'))).toEqual(facts);
      expect((await readFile(join(folder, 'back'))).equals(body)).toBe(true);
      expect((await store.get('large/memory')).equals(body)).toBe(true);
      expect(await store.head('large/file')).toMatchObject(facts);
      expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([]);
    });

    it('takes and gives 300 MiB in a process that has less than 100 MB of memory in all', async () => {
      const path = join(folder, 'huge');
      const file = await open(path, 'w');
      const hash = createHash('sha256');
      for (let part = 0; part < 300; part += 1) {
        const bytes = Buffer.alloc(MIB, `part ${part} `);
        hash.update(bytes);
        await file.writeFile(bytes);
      }
      await file.close();
      const peakMegabytes = async (key: string, body: string) =>
        Number((await run(process.execPath, [STEP, JSON.stringify(settings), 'roundTrip', key, body])).stdout);
      const small = join(folder, 'small');
      await writeFile(small, 'small');
      // Node.js with the S3 client takes 80 MB whatever is moved (40 MB of them without a program).
      const [least, most] = [await peakMegabytes('large/small', small), await peakMegabytes('large/huge', path)];
      expect(least).toBeGreaterThan(20);
      expect(most - least).toBeLessThan(25);
      expect(most).toBeLessThan(100);
      const sha256 = hash.digest('hex');
      expect(await store.head('large/huge')).toMatchObject({ size: 300 * MIB, sha256 });
      const back = createHash('sha256');
      for await (const chunk of createReadStream(`${path}.back`)) back.update(chunk);
      expect(back.digest('hex')).toBe(sha256);
      await Promise.all([path, `${path}.back`, small, `${small}.back`].map((one) => rm(one)));
      await store.delete('large/huge');
    });

    it('finds what a killed writer left, shows nothing of it, and takes it away when told', async () => {
      await leaveUnfinished(settings, 'left/behind');
      const [left, ...more] = await store.unfinished({ olderThanMs: 0 });
      expect(await store.unfinished({ olderThanMs: DAY_MS })).toEqual([]);
      expect((await store.list('left/')).objects).toEqual([]);
      if (store.warnings.some((warning) => /does not list unfinished uploads/.test(warning))) {
        expect(left).toBeUndefined();
        return;
      }
      expect(more).toEqual([]);
      expect(left).toMatchObject({ name: settings.kind === 's3' ? 'left/behind' : '.tmp/left-behind', size: 5 * MIB });
      // Whoever opens the store takes away only what is a day old.
      await (await openStore(settings)).close();
      expect(await store.unfinished({ olderThanMs: 0 })).toHaveLength(1);
      await left?.remove();
      await left?.remove();
      expect(await store.unfinished({ olderThanMs: 0 })).toEqual([]);
    });

    it('keeps two writers of one large object apart: the last one stands whole', async () => {
      const bodies = [Buffer.alloc(LARGE, '1'), Buffer.alloc(LARGE - 5 * MIB, '2')];
      await Promise.all(bodies.map((body) => store.put('large/both', body)));
      const stored = await store.get('large/both');
      expect(bodies.some((body) => body.equals(stored))).toBe(true);
    });

    it('shows a reader the old or the new object while it is overwritten, never a mixture', async () => {
      const bodies = ['a', 'b', 'c'].map((letter, index) => Buffer.alloc(4 * MIB + index * 1000, letter));
      const put = async (turn: number) => {
        const body = bodies[turn % bodies.length];
        if (body) await store.put('basic/flicker', body);
      };
      await put(0);
      let isWriting = true;
      let reads = 0;
      const read = async () => {
        while (isWriting) {
          const bytes = await store.get('basic/flicker');
          expect(bodies.some((body) => body.equals(bytes))).toBe(true);
          expect((await store.head('basic/flicker'))?.size).toBeGreaterThanOrEqual(4 * MIB);
          reads += 1;
        }
      };
      const readers = [read(), read()];
      for (let turn = 1; turn <= 25; turn += 1) await put(turn);
      isWriting = false;
      await Promise.all(readers);
      expect(reads).toBeGreaterThan(0);
    });

    it.each([
      ['', 'a//b', '/a', 'a/', 'a/../b', '../a', './a', 'a/./b', '.tmp/x', '.meta/a', 'a/.hidden', '.', '..'],
      ['a b', 'a+b', 'a%2Fb', 'ä', 'a\\b', 'a\0b', 'a\nb', 'a?b', 'a*', 'k'.repeat(201), 'k/'.repeat(450)],
    ])('refuses keys that would not be the same everywhere', async (...keys) => {
      for (const key of keys) {
        await expect(store.put(key, Buffer.from('x'))).rejects.toThrow(InvalidKey);
        await expect(store.putIfAbsent(key, Buffer.from('x'))).rejects.toThrow(InvalidKey);
        await expect(store.get(key)).rejects.toThrow(InvalidKey);
        await expect(store.head(key)).rejects.toThrow(InvalidKey);
        await expect(store.stream(key)).rejects.toThrow(InvalidKey);
        await expect(store.delete(key)).rejects.toThrow(InvalidKey);
        await expect(store.presign(key, { expirySeconds: 5 })).rejects.toThrow(InvalidKey);
      }
      for (const prefix of ['../', 'a//', '.meta/', 'a b']) {
        await expect(store.list(prefix)).rejects.toThrow(InvalidKey);
      }
    });

    it('stops at the signal and leaves nothing behind', async () => {
      const path = join(folder, 'aborted');
      await writeFile(path, randomBytes(LARGE));
      await store.put('abort/old', Buffer.from('old'));
      for (const key of ['abort/new', 'abort/old']) {
        const reason = new Error('cancelled');
        await expect(store.put(key, { path }, { signal: AbortSignal.abort(reason) })).rejects.toThrow('cancelled');
        const later = new AbortController();
        const put = store.put(key, { path }, { signal: later.signal });
        setTimeout(() => later.abort(reason), 20);
        await expect(put).rejects.toThrow('cancelled');
      }
      expect((await store.list('abort/')).objects).toEqual([{ key: 'abort/old', size: 3 }]);
      const signal = AbortSignal.abort(new Error('cancelled'));
      await expect(store.get('abort/old', { signal })).rejects.toThrow('cancelled');
      await expect(store.getToFile('abort/old', join(folder, 'not'), { signal })).rejects.toThrow('cancelled');
      expect(await readdir(folder)).not.toContain('not');
    });

    it('reads and writes records as JSON', async () => {
      const record = { name: 'x', list: [1, 2.5], nested: { no: null } };
      await putJson(store, 'json/a.json', record);
      expect(await getJson(store, 'json/a.json')).toEqual(record);
      expect((await store.get('json/a.json')).toString()).toBe(`${JSON.stringify(record, null, 2)}\n`);
      expect(await store.head('json/a.json')).toMatchObject({ contentType: 'application/json' });
      expect(await putJsonIfAbsent(store, 'json/a.json', {})).toBe(false);
      expect(await putJsonIfAbsent(store, 'json/b.json', {})).toBe(true);
      expect(await findJson(store, 'json/none.json')).toBeUndefined();
      await expect(getJson(store, 'json/none.json')).rejects.toThrow(ObjectNotFound);
      await expect(getJson(store, 'json/a.json', { maxBytes: 5 })).rejects.toThrow(ObjectTooLarge);
      await expect(putJson(store, 'json/c.json', { loss: Number.NaN })).rejects.toThrow(/loss is NaN/);
      expect(await store.head('json/c.json')).toBeUndefined();
    });

    it('shows nothing half-written when a writer is killed', async () => {
      const size = 24 * MIB;
      const contents = ['a', 'b'].map((letter) => Buffer.alloc(size, letter));
      const old = Buffer.from('what was there before');
      await store.put('killed/old', old);
      for (let round = 0; round < 12; round += 1) {
        const key = round % 2 === 0 ? 'killed/old' : `killed/${randomUUID()}`;
        const writer = spawn(process.execPath, [WRITER, JSON.stringify(settings), key, String(size)], {
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        await killSoonAfterStart(writer, Math.random() * 400);
        const head = await store.head(key);
        if (head === undefined) {
          expect(round % 2).toBe(1);
          continue;
        }
        const bytes = await store.get(key);
        expect([old, ...contents].some((content) => content.equals(bytes))).toBe(true);
      }
      const listed = (await store.list('killed/')).objects;
      for (const object of listed) expect([old.length, size]).toContain(object.size);
    });
  });
}

/** All of a stream. */
export async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Works a list off, so many at once. */
export async function inParallel<T>(limit: number, items: readonly T[], task: (item: T) => Promise<void>) {
  const rest = [...items];
  const worker = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await task(item);
  };
  await Promise.all(Array.from({ length: limit }, worker));
}

/** SIGKILL at a moment of its work; the random moment is the point of the test. */
async function killSoonAfterStart(child: ChildProcess, delayMs: number): Promise<void> {
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const gone = once(child, 'exit');
  await Promise.race([once(child.stdout ?? child, 'data'), gone]);
  if (child.exitCode !== null) throw new Error(`the writer ended by itself: ${errors}`);
  const timer = setTimeout(() => child.kill('SIGKILL'), delayMs);
  await gone;
  clearTimeout(timer);
  if (child.signalCode !== 'SIGKILL') throw new Error(`the writer ended by itself: ${errors}`);
}

/** What is there of a writer that was killed after 5 MiB. */
async function leaveUnfinished(settings: S3Settings | DirectorySettings, key: string): Promise<void> {
  const body = Buffer.alloc(5 * MIB);
  if (settings.kind === 'directory') {
    await writeFile(join(settings.folder, '.tmp', key.replace('/', '-')), body);
    return;
  }
  const client = minioClient(settings);
  const uploadId = await client.initiateNewMultipartUpload(settings.bucket, key, {});
  const sha256 = createHash('sha256').update(body).digest('hex');
  const query = `partNumber=1&uploadId=${encodeURIComponent(uploadId)}`;
  const part = { method: 'PUT', bucketName: settings.bucket, objectName: key, query };
  const headers = { 'content-length': String(body.length), 'x-amz-content-sha256': sha256 };
  (await client.makeRequestAsync({ ...part, headers }, body, [200], settings.region)).resume();
}
