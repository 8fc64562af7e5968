// The commands about stored files as a user calls them: verify and pull against the real API, gc, keep and copy-store on real
// stores (a folder, MinIO), also killed and called again.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { S3Settings } from '#config';
import {
  bundleIdOf,
  type PreparationRecord,
  type PreparationResult,
  type SettledRecord,
  type StoredFile,
  type TrialResult,
} from '#experiment';
import { keys, type ObjectStore, openStore, putJson } from '#storage';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.js';
import { putSweep, putTeacherAndCorpus, TEACHER_ID } from '../support/fleet-records.js';
import { MINIO_MISSING, type MinioServer, minioBinary, startMinio } from '../support/minio.js';
import { API_KEY, type ApiServer, startTestApi } from './api-server.js';

const MAIN = resolve(import.meta.dirname, '../../dist/apps/cli/main.js');
const DAY_MS = 24 * 3600 * 1000;
const MIB = 1024 ** 2;
const curl = promisify(execFile);

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'semdistill-cli-store-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function start(command: string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, ...command], {
    cwd: folder,
    env: { ...process.env, LC_ALL: 'C', NO_COLOR: '1', SEMDISTILL_CACHE: join(folder, 'cache'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function run(command: string[], env: Record<string, string> = {}) {
  const child = start(command, env);
  const result = { code: null as number | null, out: '', err: '' };
  child.stdout?.on('data', (chunk) => {
    result.out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    result.err += chunk;
  });
  [result.code] = await once(child, 'close');
  return result;
}

/** Writes a result with these artifacts, as a worker would have so many days ago. */
async function putArtifacts(store: ObjectStore, trialId: string, names: string[], days: number): Promise<StoredFile[]> {
  const artifacts: StoredFile[] = [];
  for (const name of names) {
    const body = randomBytes(20_000);
    const key = keys.trialArtifact(trialId, '2-b', name);
    const facts = await store.put(key, body, { contentType: 'application/octet-stream' });
    artifacts.push({ name, key, ...facts, contentType: 'application/octet-stream' });
  }
  const at = new Date(Date.now() - days * DAY_MS).toISOString();
  const result: TrialResult = {
    trialId,
    status: 'failed',
    failure: { reason: 'for the test' },
    fence: '2-b',
    worker: 'w',
    bundleTrialIds: [trialId],
    artifacts,
    startedAt: at,
    finishedAt: at,
  };
  await putJson(store, keys.trialResult(trialId), result);
  return artifacts;
}

async function settle(store: ObjectStore, sweepId: string, days: number): Promise<void> {
  const settled: SettledRecord = {
    sweepId,
    status: 'completed',
    counts: { completed: 1, failed: 0, cancelled: 0 },
    reportFiles: [],
    settledAt: new Date(Date.now() - days * DAY_MS).toISOString(),
  };
  await putJson(store, keys.sweepSettled(sweepId), settled);
}

const MODELS = [
  'best_student_model.safetensors',
  'final_student_model.safetensors',
  'student_model_epoch10.safetensors',
  'student_model_epoch20.safetensors',
];

describe('files of the API', () => {
  let api: ApiServer;
  let env: Record<string, string>;
  let store: ObjectStore;
  let storeFolder: string;

  beforeAll(async () => {
    api = await startTestApi();
    store = api.store;
    storeFolder = store.description.replace('directory ', '');
    env = { SEMDISTILL_URL: api.url, SEMDISTILL_API_KEY: API_KEY };
    await putTeacherAndCorpus(store);
  });
  afterAll(() => api?.close());

  const inStore = (key: string) => join(storeFolder, key);

  it('a teacher is pulled by id, and found whole when pulled again', async () => {
    const first = await run(['pull', TEACHER_ID, '--to', 'teacher'], env);
    expect([first.code, first.err]).toEqual([0, expect.stringMatching(/1 files, 7 B, SHA-256 verified/)]);
    expect(await readFile(join(folder, 'teacher/model.safetensors'), 'utf8')).toBe('weights');
    const again = await run(['pull', TEACHER_ID, '--to', 'teacher', '--json'], env);
    expect(JSON.parse(again.out).files).toMatchObject([{ ownerId: TEACHER_ID, outcome: 'present' }]);
    const none = await run(['pull', 'nobody'], env);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining('no sweep, no trial and no teacher nobody')]);
    expect((await api.get(`/v1/teachers/${TEACHER_ID}/artifacts/other`)).status).toBe(404);
  });

  it('verify reads everything back and names what is damaged or missing', async () => {
    const { sweep } = await putSweep(store, 'verified', { temperatures: [1, 2], seeds: [7] });
    const [one, two] = sweep.trials.map(({ trialId }) => trialId) as [string, string];
    const files = [...(await putArtifacts(store, one, MODELS, 1)), ...(await putArtifacts(store, two, MODELS, 1))];
    const well = await run(['verify', 'verified'], env);
    expect([well.code, well.err]).toEqual([0, expect.stringMatching(/8 files, 160 kB: every SHA-256 is the recorded/)]);
    const teacher = await run(['verify', TEACHER_ID], env);
    expect([teacher.code, teacher.out]).toEqual([0, expect.stringContaining('intact')]);

    // A bit turned, a file cut, one gone, and one replaced by another that the store itself believes in.
    const [turned, cut, gone, other] = files as [StoredFile, StoredFile, StoredFile, StoredFile];
    const bytes = await readFile(inStore(turned.key));
    bytes[5] = (bytes[5] ?? 0) ^ 1;
    await writeFile(inStore(turned.key), bytes);
    await truncate(inStore(cut.key), 100);
    await store.delete(gone.key);
    await store.put(other.key, randomBytes(20_000));
    const ill = await run(['verify', one, '--json'], env);
    expect(ill.code).toBe(1);
    const verdicts = JSON.parse(ill.out.slice(0, ill.out.indexOf('\n}') + 2)).files;
    expect(verdicts.map((file: { verdict: string }) => file.verdict)).toEqual([
      'damaged',
      'damaged',
      'missing',
      'damaged',
    ]);
    expect(ill.err).toMatch(/4 of 4 files are not as they were recorded/);
    const [, , , , kept] = files;
    expect((await run(['verify', two], env)).code).toBe(0);
    expect(kept?.name).toBe(MODELS[0]);
  });

  it('gc shows what may go, removes it only when told, and never what a kept sweep refers to', async () => {
    const make = async (sweepId: string, seed: number, days: number) => {
      const { sweep } = await putSweep(store, sweepId, { temperatures: [3], seeds: [seed] });
      const trialId = sweep.trials[0]?.trialId ?? '';
      await putArtifacts(store, trialId, MODELS, days);
      await settle(store, sweepId, days);
      return trialId;
    };
    const old = await make('old', 11, 40);
    const kept = await make('kept', 12, 40);
    const young = await make('young', 13, 20);
    const open = await make('open', 14, 40);
    await store.delete(keys.sweepSettled('open'));
    // One trial of two sweeps: the younger one holds it.
    const both = await make('both-old', 15, 40);
    await putSweep(store, 'both-young', { temperatures: [3], seeds: [15] });
    await settle(store, 'both-young', 2);
    const orphan = keys.trialArtifact(old, '1-a', MODELS[0] ?? '');
    await store.put(orphan, Buffer.from('second'));
    const running = keys.trialArtifact('unfinished', '1-a', MODELS[2] ?? '');
    await store.put(running, Buffer.from('still being written'));

    expect((await run(['keep', 'kept', '--store', storeFolder])).err).toContain('sweep kept is kept');
    expect((await run(['keep', 'nothing', '--store', storeFolder])).code).toBe(2);
    expect((await run(['keep', '../x', '--store', storeFolder])).code).toBe(2);
    const before = await api.stored();
    const shown = await run(['gc', '--store', storeFolder, '--json']);
    expect(shown.code).toBe(0);
    const epochs = MODELS.slice(2).map((name) => keys.trialArtifact(old, '2-b', name));
    const listed = JSON.parse(shown.out);
    expect(listed.deleted).toBe(false);
    expect(listed.objects.map(({ key }: { key: string }) => key).sort()).toEqual([orphan, ...epochs].sort());
    expect(await api.stored()).toEqual(before);

    const done = await run(['gc', '--store', storeFolder, '--delete']);
    expect([done.code, done.err]).toEqual([0, expect.stringMatching(/3 objects, 40 kB, removed/)]);
    const after = await api.stored();
    expect(before.filter((key) => !after.includes(key)).sort()).toEqual([orphan, ...epochs].sort());
    expect(after.filter((key) => !before.includes(key))).toEqual([keys.trialTrimmed(old)]);
    for (const trialId of [kept, young, open, both]) expect((await run(['verify', trialId], env)).code).toBe(0);
    expect((await run(['gc', '--store', storeFolder])).err).toContain('nothing to remove');

    // Whoever asks for what is gone is told why, and the rest can still be had.
    const answer = await api.get(`/v1/trials/${old}/artifacts/${MODELS[2]}`);
    expect([answer.status, answer.body.detail]).toEqual([
      410,
      expect.stringContaining('removed by the retention policy'),
    ]);
    const pulled = await run(['pull', old, '--to', 'trimmed', '--json'], env);
    expect(pulled.code).toBe(0);
    const outcomes = JSON.parse(pulled.out).files.map((file: { outcome: string }) => file.outcome);
    expect(outcomes).toEqual(['fetched', 'fetched', 'removed', 'removed']);
    const verdicts = JSON.parse((await run(['verify', old, '--json'], env)).out).files;
    expect(verdicts.map((file: { verdict: string }) => file.verdict)).toEqual([
      'intact',
      'intact',
      'removed',
      'removed',
    ]);

    await run(['keep', 'kept', '--undo', '--store', storeFolder]);
    expect((await run(['gc', '--store', storeFolder])).err).toMatch(/2 objects, 40 kB, would be removed/);
  });

  it('gc takes what work has left behind, a day later, and leaves what runs, is kept or is still needed', async () => {
    const place = join(folder, 'leftovers');
    const own = await openStore({ kind: 'directory', folder: place });
    await putTeacherAndCorpus(own);
    const age = async (key: string, days: number) => {
      const at = new Date(Date.now() - days * DAY_MS);
      await utimes(join(place, key), at, at);
    };
    /** A checkpoint as a worker stores it: the pointer last, so it is the newest. */
    const putBundle = async (bundleId: string, trialIds: string[], days: number) => {
      const file = keys.bundleCheckpointFile(bundleId, '1-a', 'weights.bin');
      await own.put(file, randomBytes(1000));
      await putJson(own, keys.bundleCheckpoint(bundleId, '1-a'), {
        manifest: { trialIds },
        keys: { 'weights.bin': file },
      });
      await age(file, days);
      await age(keys.bundleCheckpoint(bundleId, '1-a'), days);
      return [file, keys.bundleCheckpoint(bundleId, '1-a')];
    };
    const make = async (sweepId: string, seed: number, settledDays: number | undefined) => {
      const { sweep } = await putSweep(own, sweepId, { temperatures: [3], seeds: [seed] });
      if (settledDays !== undefined) await settle(own, sweepId, settledDays);
      const trialIds = sweep.bundles[0] ?? [];
      return { bundleId: bundleIdOf(trialIds), trialIds };
    };
    const over = await make('over', 21, 3);
    const gone = await putBundle(over.bundleId, over.trialIds, 2);
    // Packed anew, as when trials are put back: its id stands in no sweep, its trials do.
    gone.push(...(await putBundle('repacked', over.trialIds, 2)));
    const unknown = keys.bundleCheckpointFile('nobodys', '1-a', 'weights.bin');
    await own.put(unknown, randomBytes(1000));
    await age(unknown, 2);
    gone.push(unknown);
    // Settled, but another sweep of the same trials has put the bundle to work again: a checkpoint came a minute ago.
    const running = await make('running', 22, 3);
    await putBundle(running.bundleId, running.trialIds, 1 / 1440);
    const open = await make('open', 23, undefined);
    await putBundle(open.bundleId, open.trialIds, 40);
    await putBundle('open-repacked', open.trialIds, 40);
    const kept = await make('kept', 24, 40);
    await putBundle(kept.bundleId, kept.trialIds, 40);
    await putBundle('kept-repacked', kept.trialIds, 40);
    expect((await run(['keep', 'kept', '--store', place])).code).toBe(0);
    const fresh = await make('fresh', 25, 0.5);
    await putBundle(fresh.bundleId, fresh.trialIds, 2);

    const putUpload = async (name: string, days: number, ended?: { status: 'completed' | 'failed'; days: number }) => {
      const facts = await own.put(keys.upload(name), randomBytes(500));
      await age(keys.upload(name), days);
      const file = { name: `${name}.txt`, key: keys.upload(name), ...facts, contentType: 'text/plain' };
      const options = { minWords: 1, maxWords: 9, minCount: 1, trainShare: 0.9 };
      const request = { kind: 'corpus' as const, name, text: file, options };
      const record: PreparationRecord = {
        preparationId: name,
        request,
        owner: 'me',
        createdAt: '2026-01-02T03:04:05Z',
      };
      await putJson(own, keys.preparation(name), record);
      if (!ended) return;
      const finishedAt = new Date(Date.now() - ended.days * DAY_MS).toISOString();
      const result: PreparationResult = { preparationId: name, status: ended.status, finishedAt };
      await putJson(own, keys.preparationResult(name), result);
    };
    await putUpload('used', 3, { status: 'completed', days: 2 });
    await putUpload('refused', 3, { status: 'failed', days: 2 });
    await putUpload('waiting', 3);
    await putUpload('just-used', 3, { status: 'completed', days: 0.5 });
    await putUpload('sent-again', 0, { status: 'completed', days: 2 });
    gone.push(keys.upload('used'), keys.upload('refused'));
    for (const name of ['old', 'new']) await writeFile(join(place, '.tmp', name), Buffer.alloc(700));
    await age('.tmp/old', 2);

    const all = async () => (await own.list('', { limit: 1000 })).objects.map(({ key }) => key);
    const before = await all();
    const shown = await run(['gc', '--store', place, '--json']);
    expect(shown, shown.err).toMatchObject({ code: 0 });
    const listed = JSON.parse(shown.out).objects as { key: string; reason: string }[];
    expect(listed.map(({ key }) => key).sort()).toEqual([...gone, '.tmp/old'].sort());
    expect(new Set(listed.map(({ reason }) => reason))).toEqual(new Set(['bundle', 'upload', 'unfinished']));
    expect([await all(), existsSync(join(place, '.tmp/old'))]).toEqual([before, true]);

    const done = await run(['gc', '--store', place, '--delete']);
    expect([done.code, done.err]).toEqual([0, expect.stringMatching(/8 objects, .* removed/)]);
    expect(done.out).toMatch(
      /checkpoint of sweeps that are over[\s\S]*uploaded file that has been used[\s\S]*never finished/,
    );
    const after = await all();
    expect(before.filter((key) => !after.includes(key)).sort()).toEqual(gone.sort());
    expect([existsSync(join(place, '.tmp/old')), existsSync(join(place, '.tmp/new'))]).toEqual([false, true]);
    expect((await run(['gc', '--store', place])).err).toContain('nothing to remove');
    await own.close();
  });

  it('wrong flags and stores end in one sentence and exit code 2', async () => {
    for (const [command, sentence] of [
      [['gc', '--store', storeFolder, '--checkpoints-after', '0'], /--checkpoints-after must be a whole number from 1/],
      [['gc', '--store', join(folder, 'no-such')], /there is no store folder/],
      [['gc'], /no object store is named here/],
      [['gc', '--store', 's3:OLD'], /OLD_S3_ENDPOINT is missing.*OLD_S3_ACCESS_KEY is missing/],
      [['copy-store', storeFolder, storeFolder], /both names lead to the same store/],
    ] as const) {
      const refused = await run([...command], { SEMDISTILL_STORE: '' });
      expect([refused.code, refused.err]).toEqual([2, expect.stringMatching(sentence)]);
      expect(refused.err.trim().split('\n')).toHaveLength(1);
    }
  });

  it('a download from a signed URL of the API goes on with curl -C -', async () => {
    const body = randomBytes(5 * MIB);
    const key = keys.teacherFile('big', 'model.bin');
    const facts = await store.put(key, body);
    await putJson(store, keys.teacher('big'), {
      teacherId: 'big',
      name: 'big',
      files: [{ name: 'model.bin', key, ...facts }],
    });
    await writeFile(join(folder, 'curled'), body.subarray(0, 2 * MIB));
    const headers = ['-H', `Authorization: Bearer ${API_KEY}`];
    const answer = await fetch(`${api.url}/v1/teachers/big/artifacts/model.bin`, {
      redirect: 'manual',
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    const url = answer.headers.get('location') ?? '';
    await curl('curl', ['-sSf', '-C', '-', '-o', join(folder, 'curled'), url]);
    expect((await readFile(join(folder, 'curled'))).equals(body)).toBe(true);
    // The URL is good for reading only, and its name goes along.
    expect((await fetch(url, { method: 'POST' })).status).toBe(404);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(404);
    await curl('curl', ['-sSfOJL', '--output-dir', folder, ...headers, url]);
    expect((await stat(join(folder, 'model.bin'))).size).toBe(5 * MIB);
  });
});

if (!minioBinary) console.warn(MINIO_MISSING);

describe.skipIf(!minioBinary)('copy-store', () => {
  let minio: MinioServer;
  let proxy: FaultProxy;
  let from: ObjectStore;
  const source = () => join(folder, 'source');
  const bodies = new Map<string, Buffer>();

  beforeAll(async () => {
    minio = await startMinio();
    proxy = await startFaultProxy(minio.settings('new'));
    from = await openStore({ kind: 'directory', folder: source() });
    for (let index = 0; index < 300; index += 1)
      bodies.set(`trials/t${index}/attempts/1-a/file.bin`, randomBytes(500 + index));
    bodies.set('trials/t0/attempts/1-a/large.bin', randomBytes(70 * MIB));
    bodies.set('trials/t1/attempts/1-a/middle.bin', randomBytes(6 * MIB));
    bodies.set('trials/t0/trial.json', Buffer.from('{}'));
    bodies.set('trials/t0/result.json', Buffer.from('{"status":"completed"}'));
    bodies.set('sweeps/s/sweep.json', Buffer.from('{"s":1}'));
    bodies.set('names/teachers/demo.json', Buffer.from('{"id":"1"}'));
    for (const [key, body] of bodies)
      await from.put(key, body, { contentType: key.endsWith('json') ? 'application/json' : 'application/x-thing' });
  });
  afterAll(async () => {
    await proxy?.close();
    await minio?.close();
  });

  const environment = (prefix: string, settings: S3Settings): Record<string, string> => ({
    [`${prefix}S3_ENDPOINT`]: settings.endpoint.origin,
    [`${prefix}S3_BUCKET`]: settings.bucket,
    [`${prefix}S3_ACCESS_KEY`]: settings.accessKey,
    [`${prefix}S3_SECRET_KEY`]: settings.secretKey,
  });
  const viaProxy = () => environment('', { ...minio.settings('new'), endpoint: proxy.endpoint });

  const expectWhole = async (store: ObjectStore) => {
    let count = 0;
    for (const [key, body] of bodies) {
      expect(await store.head(key)).toMatchObject({
        sha256: createHash('sha256').update(body).digest('hex'),
        contentType: key.endsWith('json') ? 'application/json' : 'application/x-thing',
      });
      expect((await store.get(key)).equals(body)).toBe(true);
      count += 1;
    }
    expect((await store.list('', { limit: 2000 })).objects).toHaveLength(count);
  };

  it('killed in the middle and called again moves everything from a folder to S3, the large object in its missing parts', async () => {
    proxy.fail();
    const held = proxy.hold(({ part, url }) => part === 5 && url.includes('large.bin'), 'before');
    const child = start(['copy-store', source(), 's3'], viaProxy());
    await held;
    const direct = await openStore(minio.settings('new'));
    // Nothing that says "done" is there before the files are.
    expect(await direct.head('trials/t0/result.json')).toBeUndefined();
    expect(await direct.head('sweeps/s/sweep.json')).toBeUndefined();
    const copies = join(folder, 'cache/copy-store');
    await vi.waitUntil(async () => {
      const { stdout } = await curl('find', [copies, '-name', '*.upload']);
      return stdout.trim() !== '' && (await readFile(stdout.trim(), 'utf8')).trim().split('\n').length >= 5;
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    proxy.fail();
    const again = await run(['copy-store', source(), 's3', '--json'], viaProxy());
    expect(again.code).toBe(0);
    const told = JSON.parse(again.out);
    expect(told.copied + told.present).toBe(bodies.size);
    expect(told.present).toBeGreaterThan(0);
    expect(
      proxy
        .seen()
        .filter(({ part, url }) => part !== undefined && url.includes('large.bin'))
        .map(({ part }) => part),
    ).toEqual([5]);
    await expectWhole(direct);
    const third = await run(['copy-store', source(), 's3'], viaProxy());
    expect([third.code, third.err]).toEqual([
      0,
      expect.stringMatching(/0 objects, 0 B, copied .* 306 were there already/),
    ]);
    expect(existsSync(join(copies, 'x')) || (await curl('find', [copies, '-type', 'f'])).stdout).toBe('');
    await direct.close();
  });

  it('moves from S3 to another S3 and back into a folder', async () => {
    const env = { ...environment('OLD_', minio.settings('new')), ...environment('NEW_', minio.settings('newer')) };
    const moved = await run(['copy-store', 's3:OLD', 's3:NEW'], env);
    expect([moved.code, moved.err]).toEqual([0, expect.stringContaining('306 objects')]);
    const newer = await openStore(minio.settings('newer'));
    await expectWhole(newer);
    await newer.close();
    const back = await run(['copy-store', 's3:NEW', join(folder, 'back')], env);
    expect(back.code).toBe(0);
    await expectWhole(await openStore({ kind: 'directory', folder: join(folder, 'back') }));
  });

  it('copies the rest when objects are damaged or differ, and names them', async () => {
    const to = await openStore({ kind: 'directory', folder: join(folder, 'differing') });
    await to.put('sweeps/s/sweep.json', Buffer.from('{"s":2}'));
    await to.put('names/teachers/demo.json', Buffer.from('{"id":"0"}'));
    const path = join(source(), 'trials/t5/attempts/1-a/file.bin');
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(1));
    const copied = await run(['copy-store', source(), join(folder, 'differing')]);
    expect(copied.code).toBe(1);
    expect(copied.err).toMatch(/trials\/t5\/attempts\/1-a\/file\.bin: .* is damaged/);
    expect(copied.err).toMatch(/sweeps\/s\/sweep\.json: another object of this name is there; --overwrite/);
    expect(copied.err).toMatch(/2 objects were not copied; all others are there/);
    expect(await to.head('trials/t5/attempts/1-a/file.bin')).toBeUndefined();
    expect((await to.get('names/teachers/demo.json')).toString()).toBe('{"id":"1"}');
    await from.put('trials/t5/attempts/1-a/file.bin', bodies.get('trials/t5/attempts/1-a/file.bin') ?? whole, {
      contentType: 'application/x-thing',
    });
    const over = await run(['copy-store', source(), join(folder, 'differing'), '--overwrite']);
    expect([over.code, over.err]).toEqual([0, expect.stringMatching(/2 objects, .* copied/)]);
    await expectWhole(to);
  });
});
