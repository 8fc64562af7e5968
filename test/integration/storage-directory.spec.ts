// The directory store: the contract, and what only files can suffer.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ObjectCorrupt, type ObjectStore, openStore, StoreUnavailable } from '#storage';
import { collect, describeStoreContract, inParallel } from '../support/store-contract.js';

const run = promisify(execFile);
const WRITER = fileURLToPath(new URL('../support/store-writer.mjs', import.meta.url));
const MIB = 1024 ** 2;
const isRoot = process.getuid?.() === 0;
let base: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'semdistill-store-'));
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

describeStoreContract('the directory store', async () => ({ kind: 'directory', folder: join(base, 'contract') }));

describe('the directory store', () => {
  let folder: string;
  let store: ObjectStore;
  const open = () => openStore({ kind: 'directory', folder });

  beforeEach(async () => {
    folder = await mkdtemp(join(base, 'store-'));
    store = await open();
  });

  it('keeps an object as a plain file under its key', async () => {
    const key = 'trials/t1/attempts/17/final_student_model.safetensors';
    const body = randomBytes(1000);
    await store.put(key, body);
    expect(await readFile(join(folder, key))).toEqual(body);
    expect((await readdir(folder)).filter((name) => !name.startsWith('.'))).toEqual(['trials']);
    expect((await store.list('')).objects).toEqual([{ key, size: 1000 }]);
  });

  it.each(['an empty folder', 'a file', 'nothing'])(
    'is unavailable, not empty, while %s is where it was',
    async (left) => {
      await store.put('sweeps/s1/sweep.json', randomBytes(10));
      await rename(folder, `${folder}.away`);
      if (left === 'a file') await writeFile(folder, '');
      if (left === 'an empty folder') await mkdir(folder);
      const gone = { name: 'StoreUnavailable', message: expect.stringContaining('is its disk mounted?') };
      await expect(store.list('sweeps/')).rejects.toMatchObject(gone);
      await expect(store.head('sweeps/s1/sweep.json')).rejects.toMatchObject(gone);
      await expect(store.get('sweeps/s1/sweep.json')).rejects.toMatchObject(gone);
      await expect(store.delete('sweeps/s1/sweep.json')).rejects.toMatchObject(gone);
      await expect(store.put('sweeps/s2/sweep.json', randomBytes(10))).rejects.toMatchObject(gone);
      await expect(store.putIfAbsent('sweeps/s1/sweep.json', randomBytes(10))).rejects.toMatchObject(gone);
      await expect(store.check()).rejects.toMatchObject(gone);
      if (left === 'an empty folder') expect(await readdir(folder)).toEqual([]);
      await rm(folder, { recursive: true, force: true });
      await rename(`${folder}.away`, folder);
      expect((await store.list('')).objects).toEqual([{ key: 'sweeps/s1/sweep.json', size: 10 }]);
    },
  );

  it('finds bytes that were changed on the disk, also where size and time are as before', async () => {
    const body = randomBytes(2 * MIB);
    for (const isTimeKept of [true, false]) {
      await store.put('a/x', body);
      const path = join(folder, 'a/x');
      const before = await stat(path);
      const bytes = await readFile(path);
      bytes[MIB] = (bytes[MIB] ?? 0) ^ 1;
      await writeFile(path, bytes);
      if (isTimeKept) await run('touch', ['-d', `@${(Number(before.mtimeMs) / 1000).toFixed(9)}`, path]);
      await expect(store.get('a/x')).rejects.toThrow(ObjectCorrupt);
      await expect(store.getToFile('a/x', join(folder, 'out'))).rejects.toThrow(ObjectCorrupt);
      await expect(store.stream('a/x').then(collect)).rejects.toThrow(ObjectCorrupt);
      await expect(stat(join(folder, 'out'))).rejects.toThrow(/ENOENT/);
      await store.put('a/x', body);
      expect((await store.get('a/x')).equals(body)).toBe(true);
    }
  });

  it('finds a file that was cut', async () => {
    await store.put('a/x', Buffer.alloc(5000, 'x'));
    await writeFile(join(folder, 'a/x'), Buffer.alloc(4000, 'x'));
    await expect(store.get('a/x')).rejects.toThrow(ObjectCorrupt);
    await expect(store.head('a/x')).rejects.toThrow(ObjectCorrupt);
  });

  it('does not trust a file that something else put there', async () => {
    await mkdir(join(folder, 'a'));
    await writeFile(join(folder, 'a/x'), 'mine');
    await expect(store.get('a/x')).rejects.toThrow(/no SHA-256 of it/);
  });

  it('reads a store that was copied without inode numbers and times', async () => {
    const bodies = Array.from({ length: 5 }, () => randomBytes(10_000));
    await Promise.all(bodies.map((body, index) => store.put(`a/${index}`, body, { contentType: `x/${index}` })));
    const copy = join(base, 'copy');
    await cp(folder, copy, { recursive: true });
    const copied = await openStore({ kind: 'directory', folder: copy });
    for (const [index, body] of bodies.entries()) {
      expect(await copied.head(`a/${index}`)).toMatchObject({ size: 10_000, contentType: `x/${index}` });
      expect(await copied.get(`a/${index}`)).toEqual(body);
      await copied.put(`a/${index}`, Buffer.from('new'));
      expect(await readdir(join(copy, '.meta/a', String(index)))).toHaveLength(1);
    }
  });

  it('keeps the facts of the current version only, whoever races', async () => {
    const others = await Promise.all([open(), open(), open()]);
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(
        [store, ...others].flatMap((one, index) =>
          [0, 1].map((turn) => one.put('a/x', Buffer.alloc(5000 + index, `${round}${turn}`))),
        ),
      );
      await store.get('a/x');
    }
    await store.put('a/x', Buffer.from('last'));
    expect(await readdir(join(folder, '.meta/a/x'))).toHaveLength(1);
    expect(await readdir(join(folder, '.tmp'))).toEqual([]);
  });

  it('is empty again when everything is deleted, although others write beside it', async () => {
    const keys = Array.from({ length: 100 }, (_, index) => `deep/er/${index % 3}/x${index}`);
    await inParallel(12, keys, async (key) => {
      await store.put(key, Buffer.from(key));
      expect((await store.get(key)).toString()).toBe(key);
      await store.delete(key);
    });
    expect((await readdir(folder)).sort()).toEqual(['.meta', '.tmp']);
    expect(await readdir(join(folder, '.meta'))).toEqual([]);
  });

  it('sweeps what killed writers left more than a day ago, and nothing younger', async () => {
    const dayAgo = new Date(Date.now() - 25 * 3600 * 1000);
    await writeFile(join(folder, '.tmp/old'), 'x');
    await utimes(join(folder, '.tmp/old'), dayAgo, dayAgo);
    await writeFile(join(folder, '.tmp/young'), 'x');
    await open();
    expect(await readdir(join(folder, '.tmp'))).toEqual(['young']);
  });

  it('says so when a key would be an object and a folder', async () => {
    await store.put('a', Buffer.from('x'));
    await expect(store.put('a/b', Buffer.from('x'))).rejects.toThrow(/cannot be an object and a folder/);
    await store.put('c/d', Buffer.from('x'));
    await expect(store.put('c', Buffer.from('x'))).rejects.toThrow(/cannot be an object and a folder/);
    await expect(store.putIfAbsent('c', Buffer.from('x'))).rejects.toThrow(/cannot be an object and a folder/);
    expect(await store.head('c')).toBeUndefined();
    expect(await store.head('a/b')).toBeUndefined();
    expect(await readdir(join(folder, '.tmp'))).toEqual([]);
  });

  it('presigns only what the API signs for it', async () => {
    expect(await store.presign('a/x', { expirySeconds: 5 })).toBeUndefined();
    const signed = await openStore(
      { kind: 'directory', folder },
      { signUrl: (key, { expirySeconds }) => `http://api/${key}?${expirySeconds}` },
    );
    expect(await signed.presign('a/x', { expirySeconds: 5 })).toBe('http://api/a/x?5');
  });

  it('says in one sentence that the folder is a file', async () => {
    await writeFile(join(folder, 'file'), 'x');
    for (const path of [join(folder, 'file'), join(folder, 'file/below')]) {
      const opened = openStore({ kind: 'directory', folder: path });
      await expect(opened).rejects.toThrow(StoreUnavailable);
      await expect(opened).rejects.toThrow(/is a file where a folder is needed/);
    }
  });

  it('says in one sentence that it has no permission', async ({ skip }) => {
    if (!isRoot) skip('only root can become another user');
    const closed = await mkdtemp(join(base, 'closed-'));
    await chmod(base, 0o755);
    await chmod(closed, 0o700);
    // The child gives up root by itself after loading the program, which need not be readable for others.
    const program = `const { openStore } = await import('#storage'); process.setgid(65534); process.setuid(65534);
      await openStore({ kind: 'directory', folder: ${JSON.stringify(closed)} }).catch((e) => console.log(e.name, e.message));`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect(stdout).toMatch(/^StoreUnavailable The store folder .* is closed to user 65534 .*permission/);
    await chown(closed, 65534, 65534);
    const again = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect(again.stdout + again.stderr).toBe('');
  });

  it('says in one sentence that the disk is full, and keeps the old object', async ({ skip }) => {
    const disk = join(base, 'disk');
    await mkdir(disk, { recursive: true });
    if (!isRoot || spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]).status !== 0) {
      skip('a small file system can only be mounted by root');
    }
    try {
      const small = await openStore({ kind: 'directory', folder: join(disk, 'store') });
      await small.put('a/x', Buffer.from('old'));
      const put = small.put('a/x', Buffer.alloc(16 * MIB, 'x'));
      await expect(put).rejects.toThrow(StoreUnavailable);
      await expect(put).rejects.toThrow(/is full/);
      await expect(small.putIfAbsent('a/y', Buffer.alloc(16 * MIB, 'x'))).rejects.toThrow(/is full/);
      expect((await small.get('a/x')).toString()).toBe('old');
      expect(await readdir(join(disk, 'store/.tmp'))).toEqual([]);
      await small.put('a/x', Buffer.alloc(4 * MIB, 'y'));
      expect((await small.list('')).objects).toEqual([{ key: 'a/x', size: 4 * MIB }]);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  it('lets a process be killed while others create the same object', async () => {
    const child = execFile(process.execPath, [
      WRITER,
      JSON.stringify({ kind: 'directory', folder }),
      'a/x',
      String(MIB),
    ]);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    for (let turn = 0; turn < 20; turn += 1) {
      const bytes = await store.get('a/x').catch(() => undefined);
      if (bytes) expect(bytes.length).toBe(MIB);
      await store.put('a/x', Buffer.alloc(MIB, 'z'));
    }
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    expect((await store.get('a/x')).length).toBe(MIB);
  });
});
