// kill -9 in each phase of a write, to both stores: what stands afterwards is the old object or the new one, whole, and the
// next write comes through. Large uploads to S3 go on from the parts that are there.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DirectorySettings, S3Settings } from '#config';
import { BodyMismatch, type ObjectStore, openStore, StoreUnavailable } from '#storage';
import { countUnfinishedUploads, type FaultProxy, minioClient, startFaultProxy } from '../support/fault-proxy.js';
import { MINIO_MISSING, type MinioServer, minioBinary, startMinio } from '../support/minio.js';

const STEP = fileURLToPath(new URL('../support/store-step.mjs', import.meta.url));
const KILLER = fileURLToPath(new URL('../support/kill-at-step.mjs', import.meta.url));
const MIB = 1024 ** 2;
const QUICK = { attempts: 3, firstDelayMs: 20, idleTimeoutMs: 2000 };
let base: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'semdistill-kills-'));
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

function startStep(
  settings: S3Settings | DirectorySettings,
  [operation, key, path]: [operation: string, key: string, path: string],
  killAt?: string,
): ChildProcess {
  const preload = killAt === undefined ? [] : ['--import', KILLER];
  return spawn(process.execPath, [...preload, STEP, JSON.stringify(settings), operation, key, path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...(killAt === undefined ? {} : { KILL_AT: killAt }) },
  });
}

describe('the directory store', () => {
  const old = Buffer.from('what was there before');
  const body = randomBytes(3 * MIB);

  it.each(['put', 'putIfAbsent', 'delete'])('survives kill -9 before and after each step of %s', async (operation) => {
    const path = join(base, 'body');
    await writeFile(path, body);
    let kills = 0;
    for (const when of ['before', 'after']) {
      for (let step = 1; ; step += 1) {
        const folder = await mkdtemp(join(base, 'store-'));
        const store = await openStore({ kind: 'directory', folder });
        if (operation !== 'putIfAbsent') await store.put('a/x', old, { contentType: 'text/plain' });
        const child = startStep({ kind: 'directory', folder }, [operation, 'a/x', path], `${step} ${when}`);
        await once(child, 'exit');
        if (child.signalCode !== 'SIGKILL') {
          expect(child.exitCode).toBe(0);
          break;
        }
        kills += 1;
        const found = await store.head('a/x');
        const allowed = { put: [old, body], putIfAbsent: [undefined, body], delete: [old, undefined] }[operation] ?? [];
        const bytes = found && (await store.get('a/x'));
        expect(allowed.some((one) => (one && bytes ? one.equals(bytes) : one === bytes))).toBe(true);
        expect((await store.list('')).objects).toEqual(found ? [{ key: 'a/x', size: bytes?.length }] : []);
        // Whoever comes next is not hindered by what the killed one left.
        if (found) expect(await store.putIfAbsent('a/x', body)).toBe(false);
        await store.put('a/x', body);
        expect((await store.get('a/x')).equals(body)).toBe(true);
        await store.delete('a/x');
        expect(await store.putIfAbsent('a/x', old)).toBe(true);
        expect(await store.get('a/x')).toEqual(old);
      }
    }
    expect(kills).toBeGreaterThan(operation === 'delete' ? 3 : 12);
  });
});

if (!minioBinary) console.warn(MINIO_MISSING);

describe.skipIf(!minioBinary)('the S3 store on MinIO', () => {
  let minio: MinioServer;
  let proxy: FaultProxy;
  let settings: S3Settings;
  let store: ObjectStore;
  const size = 70 * MIB + 123;
  const body = randomBytes(size);
  const bodyPath = () => join(base, 'large');
  const isPart = ({ part }: { part: number | undefined }) => part !== undefined;
  const ALL_PARTS = [1, 2, 3, 4, 5];
  /** Parts that a journal knows to have arrived. */
  const partsIn = async (path: string): Promise<number[]> => {
    const [, ...lines] = (await readFile(path, 'utf8')).trim().split('\n');
    return lines.map((line) => JSON.parse(line).part);
  };
  const journals = async () => (await readdir(base)).filter((name) => name.endsWith('.upload'));

  beforeAll(async () => {
    minio = await startMinio();
    proxy = await startFaultProxy(minio.settings('kills'));
    settings = { ...minio.settings('kills'), endpoint: proxy.endpoint };
    store = await openStore(settings, { retries: QUICK });
    await writeFile(bodyPath(), body);
  });
  afterAll(async () => {
    await store?.close();
    await proxy?.close();
    await minio?.close();
  });

  it('survives kill -9 before and after each request of a large put', async () => {
    const old = Buffer.from('what was there before');
    const short = body.subarray(0, 33 * MIB);
    const path = join(base, 'short');
    await writeFile(path, short);
    let kills = 0;
    for (const when of ['before', 'after'] as const) {
      for (let step = 1; ; step += 1) {
        await store.put('phases', old);
        let count = 0;
        const reached = proxy.hold(({ url }) => url.startsWith('/kills/phases') && ++count === step, when);
        const child = startStep(settings, ['put', 'phases', path]);
        const ended = once(child, 'exit');
        const isHeld = await Promise.race([reached.then(() => true), ended.then(() => false)]);
        if (!isHeld) {
          expect(child.exitCode).toBe(0);
          break;
        }
        child.kill('SIGKILL');
        await ended;
        kills += 1;
        const bytes = await store.get('phases');
        expect(bytes.equals(old) || bytes.equals(short)).toBe(true);
        await store.put('phases', { path: path });
        expect((await store.get('phases')).equals(short)).toBe(true);
        expect(await journals()).toEqual([]);
      }
    }
    // Create, three parts, complete, and the look afterwards; before and after each.
    expect(kills).toBe(12);
  });

  it('after kill -9 sends only the parts that are not there', async () => {
    const reached = proxy.hold(({ part }) => part === 5, 'before');
    const child = startStep(settings, ['put', 'resumed', bodyPath()]);
    await reached;
    await vi.waitUntil(async () => {
      const [name] = await journals();
      return name && (await readFile(join(base, name), 'utf8')).trim().split('\n').length === 5;
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await store.head('resumed')).toBeUndefined();
    // A line that was torn by the kill is no part.
    const [name = ''] = await journals();
    await appendFile(join(base, name), '{"part":5,"size":33');
    proxy.fail();
    await store.put('resumed', { path: bodyPath() });
    expect(
      proxy
        .seen()
        .filter(isPart)
        .map(({ part }) => part),
    ).toEqual([5]);
    expect((await store.get('resumed')).equals(body)).toBe(true);
    expect(await journals()).toEqual([]);
    expect(await countUnfinishedUploads(settings, 'resumed')).toBe(0);
  });

  it('after a connection that was lost for good sends only the parts that are not there', async () => {
    proxy.failParts('reset', 4);
    await expect(store.put('cut', { path: bodyPath() })).rejects.toThrow(StoreUnavailable);
    expect(await store.head('cut')).toBeUndefined();
    const [name = '', ...more] = await journals();
    expect(more).toEqual([]);
    // Others were under way when the fourth was given up; those that did not arrive are sent again too.
    const kept = await partsIn(join(base, name));
    expect(kept).toContain(1);
    proxy.fail();
    await store.put('cut', { path: bodyPath() });
    expect(
      proxy
        .seen()
        .filter(isPart)
        .map(({ part }) => part),
    ).toEqual(ALL_PARTS.filter((part) => !kept.includes(part)));
    expect(kept.some((part) => part > 3)).toBe(false);
    expect((await store.get('cut')).equals(body)).toBe(true);
    expect(await journals()).toEqual([]);
  });

  it('keeps no part that is not the one it knows, and begins anew where the server lost the upload', async () => {
    const broken = async () => {
      proxy.failParts('reset', 5);
      await expect(store.put('doubtful', { path: bodyPath() })).rejects.toThrow(StoreUnavailable);
      const [name = ''] = await journals();
      const lines = (await readFile(join(base, name), 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      return { path: join(base, name), lines };
    };
    // Another body under a part's number, put there by somebody else; and a hash that is not the file's.
    const { path, lines } = await broken();
    const { uploadId } = lines[0];
    const kept = await partsIn(path);
    const client = minioClient(minio.settings('kills'));
    const part = { bucketName: 'kills', objectName: 'doubtful', uploadID: uploadId, partNumber: 2, headers: {} };
    await client.uploadPart(part, Buffer.alloc(16 * MIB, 'x'));
    const changed = lines.map((line) => (line.part === 3 ? { ...line, sha256: '0'.repeat(64) } : line));
    await writeFile(path, changed.map((line) => JSON.stringify(line)).join('\n'));
    proxy.fail();
    await store.put('doubtful', { path: bodyPath() });
    expect(
      proxy
        .seen()
        .filter(isPart)
        .map((request) => request.part),
    ).toEqual(ALL_PARTS.filter((number) => number === 2 || number === 3 || !kept.includes(number)));
    expect(kept).toContain(1);
    expect((await store.get('doubtful')).equals(body)).toBe(true);
    await store.delete('doubtful');

    const { lines: next } = await broken();
    await client.abortMultipartUpload('kills', 'doubtful', next[0].uploadId);
    proxy.fail();
    await store.put('doubtful', { path: bodyPath() });
    expect(proxy.seen().filter(isPart)).toHaveLength(5);
    expect((await store.get('doubtful')).equals(body)).toBe(true);
  });

  it('begins anew when the file has changed, or goes elsewhere', async () => {
    const path = join(base, 'changing');
    await writeFile(path, body);
    proxy.failParts('reset', 5);
    await expect(store.put('changing', { path })).rejects.toThrow(StoreUnavailable);
    const changed = Buffer.from(body);
    changed[0] = (changed[0] ?? 0) ^ 1;
    await writeFile(path, changed);
    proxy.fail();
    await store.put('changing', { path });
    expect(proxy.seen().filter(isPart)).toHaveLength(5);
    expect((await store.get('changing')).equals(changed)).toBe(true);
    proxy.fail();
    await store.put('elsewhere', { path });
    expect(proxy.seen().filter(isPart)).toHaveLength(5);
  });

  it('finds a file that changes while it is sent, and shows nothing of it', async () => {
    const path = join(base, 'unsteady');
    await writeFile(path, body);
    let isChanged = false;
    proxy.decide(({ part }) => {
      if (part !== 2 || isChanged) return undefined;
      isChanged = true;
      void appendFile(path, '').then(async () => {
        const changed = Buffer.from(body);
        changed[size - 1] = (changed[size - 1] ?? 0) ^ 1;
        await writeFile(path, changed);
      });
      return 'delay';
    });
    await expect(store.put('unsteady', { path })).rejects.toThrow(BodyMismatch);
    expect(await store.head('unsteady')).toBeUndefined();
    expect(await countUnfinishedUploads(settings, 'unsteady')).toBe(0);
    await writeFile(path, body.subarray(0, 20 * MIB));
    let isCut = false;
    proxy.decide(({ part }) => {
      if (part !== 1 || isCut) return undefined;
      isCut = true;
      void writeFile(path, 'short');
      return 'reset';
    });
    await expect(store.put('unsteady', { path })).rejects.toThrow(BodyMismatch);
    expect(await store.head('unsteady')).toBeUndefined();
  });

  it('is cancelled without a trace, however large', async () => {
    const cancel = new AbortController();
    proxy.failParts('silence', 3);
    const put = store.put('cancelled', { path: bodyPath() }, { signal: cancel.signal });
    await vi.waitUntil(() => proxy.failed() > 0);
    cancel.abort(new Error('enough'));
    await expect(put).rejects.toThrow('enough');
    proxy.fail();
    expect(await store.head('cancelled')).toBeUndefined();
    expect(await countUnfinishedUploads(settings, 'cancelled')).toBe(0);
    expect(await journals()).toEqual([]);
    expect((await stat(bodyPath())).size).toBe(size);
  });
});
