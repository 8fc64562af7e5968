// What the directory store knows about a file beside its bytes: SHA-256, size, content type, in a small JSON file.
//
// The file of an object keeps nothing but the object's bytes (people open it with their own tools), so its facts lie in
// `.meta/<key>/.<identity>-<writer>.json`, and must change together with the bytes although two files cannot be renamed
// at once. They do, because facts are bound to one *version* of the file: its identity is inode number and modification
// time, which a rename or a link keeps. A writer puts the facts of its temporary file down before the rename; the rename
// alone then switches bytes and facts. A reader opens the file and looks for the facts of just the version it has open.
//
// Whoever tidies may not take away facts that another writer has put down and not yet used. The rule: facts are garbage
// when (1) the writer's temporary file is gone, so its rename has happened or never will, and (2) after that the key has
// another identity. A process killed in between leaves its temporary file, so its facts stay until that one is swept.
//
// A store copied without inode numbers (cp, tar, restored backups) has facts that fit no version: then the bytes are
// hashed, and facts with that hash are taken and put down anew. Bytes that no facts fit are damaged.
import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from './directory-trouble.js';
import type { BodyFacts } from './object-store.js';

export interface FileFacts extends BodyFacts {
  contentType: string;
}

const FACTS_NAME = /^\.(\d+-\d+)-([0-9a-f-]{36})\.json$/;

export class DirectoryFacts {
  constructor(
    private readonly root: string,
    private readonly temporaryFolder: string,
  ) {}

  /** Puts the facts of one version down; they are durable once `synced` is. `writer` is the name of its temporary file. */
  async write(
    key: string,
    version: BigIntStats,
    facts: FileFacts,
    writer: string,
  ): Promise<{ path: string; name: string; synced: Promise<unknown> }> {
    const folder = this.folderOf(key);
    const name = `.${identityOf(version)}-${writer}.json`;
    const path = join(folder, name);
    const made = makingFolder();
    // Nearly always a new key, so its folder comes first.
    const file = await inFolder(folder, made.make, () => open(path, 'wx'));
    try {
      await file.writeFile(`${JSON.stringify(facts)}\n`);
    } catch (error) {
      await file.close();
      throw error;
    }
    const synced = Promise.all([file.sync().finally(() => file.close()), syncFolder(folder), made.sync()]);
    synced.catch(() => {}); // whoever wrote awaits it
    return { path, name, synced };
  }

  /** The facts of just this version, if they are there. */
  async find(key: string, version: BigIntStats): Promise<FileFacts | undefined> {
    const identity = identityOf(version);
    for (const name of await this.names(key)) {
      if (FACTS_NAME.exec(name)?.[1] !== identity) continue;
      const facts = await this.read(key, name);
      if (facts) return facts;
    }
    return undefined;
  }

  /** Facts of whatever version that have this content. */
  async findByContent(key: string, content: BodyFacts): Promise<FileFacts | undefined> {
    for (const facts of await this.all(key)) {
      if (facts.sha256 === content.sha256 && facts.size === content.size) return facts;
    }
    return undefined;
  }

  async all(key: string): Promise<FileFacts[]> {
    const found = await Promise.all((await this.names(key)).map((name) => this.read(key, name)));
    return found.filter((facts) => facts !== undefined);
  }

  /** Binds known facts to a version that has none (a copied store); the reader goes on when it may not write. */
  async adopt(key: string, version: BigIntStats, facts: FileFacts): Promise<void> {
    await this.write(key, version, facts, randomUUID())
      .then(({ synced }) => synced)
      .catch(() => {});
  }

  /** As tidy, after a rename has put `current` in place: there is nothing to do while its facts are the only ones. */
  async tidyAfter(current: string, key: string, path: string): Promise<void> {
    const names = await this.names(key);
    if (names.length !== 1 || names[0] !== current) await this.tidy(key, path, names);
  }

  /** Takes away the facts of versions that are no more. */
  async tidy(key: string, path: string, known?: string[]): Promise<void> {
    const names = known ?? (await this.names(key));
    for (const name of names) {
      const [, identity, writer] = FACTS_NAME.exec(name) ?? [];
      if (identity === undefined || writer === undefined) continue;
      if (await exists(join(this.temporaryFolder, writer))) continue;
      const current = await lstat(path, { bigint: true }).catch(absent);
      if (current && identityOf(current) === identity) continue;
      await unlink(join(this.folderOf(key), name)).catch(absent);
    }
    if (names.length === 0 || !(await exists(path)))
      await removeEmptyFolders(this.folderOf(key), join(this.root, '.meta'));
  }

  private folderOf(key: string): string {
    return join(this.root, '.meta', key);
  }

  private async names(key: string): Promise<string[]> {
    const names = (await readdir(this.folderOf(key)).catch(absent)) ?? [];
    return names.filter((name) => FACTS_NAME.test(name));
  }

  private async read(key: string, name: string): Promise<FileFacts | undefined> {
    const text = await readFile(join(this.folderOf(key), name), 'utf8').catch(absent);
    return text === undefined ? undefined : parseFacts(text);
  }
}

/** Inode number and modification time: what a version of a file keeps when it is renamed or linked. */
export function identityOf(version: BigIntStats): string {
  return `${version.ino}-${version.mtimeNs}`;
}

/** Runs `task` in a folder that is nearly always there; it is made, durably, when it is not. */
export async function withFolder<T>(folder: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return inFolder(folder, makeFolder, task);
}

/** Runs `task` after `make`, both again when another process has just tidied the empty folder away. */
async function inFolder<T>(
  folder: string,
  make: (folder: string) => Promise<unknown>,
  task: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await make(folder);
      return await task();
    } catch (error) {
      // Node's mkdir may say ENOTDIR or EEXIST, too, when a folder vanishes under it.
      const code = errnoOf(error) ?? '';
      const mayBeRace =
        code === 'ENOENT' || (['ENOTDIR', 'EEXIST'].includes(code) && !(await isBlocked(folder, error)));
      if (!mayBeRace || attempt === 100) throw error;
    }
  }
}

/** Whether a file stands where the folder or one above it should be, or the fault is not the folder's at all. */
async function isBlocked(folder: string, error: unknown): Promise<boolean> {
  if ((error as NodeJS.ErrnoException).syscall !== 'mkdir') return true;
  for (let path = folder; ; path = dirname(path)) {
    const found = await lstat(path).catch(absent);
    if (found) return !found.isDirectory();
    if (path === dirname(path)) return false;
  }
}

/** Makes a folder so that it is still there after a power cut. */
export async function makeFolder(folder: string): Promise<void> {
  const made = makingFolder();
  await made.make(folder);
  await made.sync();
}

/** Makes a folder; that it is still there after a power cut is seen to by `sync`, together with whatever else is synced. */
function makingFolder() {
  const changed = new Set<string>();
  return {
    async make(folder: string): Promise<void> {
      const first = await mkdir(folder, { recursive: true });
      if (first === undefined) return;
      for (let path = dirname(folder); ; path = dirname(path)) {
        changed.add(path);
        if (path === dirname(first) || path === dirname(path)) return;
      }
    },
    async sync(): Promise<void> {
      await Promise.all([...changed].map(syncFolder));
    },
  };
}

/** Syncs that wait for the one under way, by folder. */
const waiting = new Map<string, Promise<void>>();
const running = new Map<string, Promise<void>>();

/**
 * Makes renames and links in a folder durable; a folder that is already gone needs none. Of many who ask at once all those are
 * served by one sync that asked before it began.
 */
export function syncFolder(folder: string): Promise<void> {
  const queued = waiting.get(folder);
  if (queued) return queued;
  const before = running.get(folder);
  const own = (before ? before.catch(() => {}) : Promise.resolve()).then(() => {
    waiting.delete(folder);
    running.set(folder, own);
    return syncNow(folder).finally(() => {
      if (running.get(folder) === own) running.delete(folder);
    });
  });
  waiting.set(folder, own);
  return own;
}

async function syncNow(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(absent);
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

/** Removes `folder` and the folders above it, up to but without `top`, as long as they are empty. */
export async function removeEmptyFolders(folder: string, top: string): Promise<void> {
  for (let path = folder; path !== top && path.length > top.length; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') continue;
      return;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(absent)) !== undefined;
}

/** For catch: not there is an answer, anything else an error. */
export function absent(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
  throw error;
}

function parseFacts(text: string): FileFacts | undefined {
  try {
    const value = JSON.parse(text) as Partial<Record<keyof FileFacts, unknown>> | null;
    const { sha256, size, contentType } = value ?? {};
    if (typeof sha256 !== 'string' || typeof size !== 'number' || typeof contentType !== 'string') return undefined;
    return { sha256, size, contentType };
  } catch {
    return undefined;
  }
}
