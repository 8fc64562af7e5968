// The object store in a folder of this machine: the key is the path, so that people find
// trials/<id>/attempts/<fence>/final_student_model.safetensors with ls. Written to a temporary file, synced, then renamed
// (put) or linked (putIfAbsent) into place; several processes may use one folder. Facts about objects: directory-facts.ts.
import { createHash, randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, link, lstat, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pipeline, type Readable } from 'node:stream';
import type { DirectorySettings } from '#config';
import { assertIntact, assertStated, bodyChunks, consumeFacts, factsOf, saveVerified, verifier } from './body.js';
import {
  absent,
  DirectoryFacts,
  type FileFacts,
  identityOf,
  makeFolder,
  removeEmptyFolders,
  syncFolder,
  withFolder,
} from './directory-facts.js';
import { directoryTrouble, errnoOf } from './directory-trouble.js';
import { assertKey, assertPrefix, isKey } from './key-rules.js';
import {
  type Body,
  type BodyFacts,
  type ListPage,
  ObjectCorrupt,
  type ObjectHead,
  ObjectNotFound,
  type ObjectStore,
  ObjectTooLarge,
  type PresignOptions,
  type PutOptions,
  StoreUnavailable,
  UNFINISHED_LIFE_MS,
  type UnfinishedWrite,
} from './object-store.js';

const DEFAULT_TYPE = 'application/octet-stream';
const DEFAULT_PAGE = 1000;
const READ_CHUNK = 1024 ** 2;
const STATS_AT_ONCE = 32;

/** Signs a URL of the API that streams the object: what a directory store has in place of presigned URLs. */
export type SignUrl = (key: string, options: PresignOptions) => string;

/** An object that is open for reading: one version of it, whatever is renamed over it meanwhile. */
interface OpenObject {
  file: FileHandle;
  version: BigIntStats;
  facts: FileFacts;
}

/** Opens (and makes) the folder, and tries that it can be written; takes away temporary files older than a day. */
export async function openDirectoryStore(
  settings: DirectorySettings,
  { signUrl, keepUnfinished }: { signUrl?: SignUrl | undefined; keepUnfinished?: boolean | undefined } = {},
): Promise<ObjectStore> {
  const store = new DirectoryStore(resolve(settings.folder), signUrl);
  await store.check();
  if (keepUnfinished) return store;
  for (const left of await store.unfinished({ olderThanMs: UNFINISHED_LIFE_MS })) await left.remove();
  return store;
}

class DirectoryStore implements ObjectStore {
  readonly description: string;
  readonly warnings: readonly string[] = [];
  private readonly temporaryFolder: string;
  private readonly facts: DirectoryFacts;
  private isOpen = false;

  constructor(
    private readonly root: string,
    private readonly signUrl: SignUrl | undefined,
  ) {
    this.description = `directory ${root}`;
    this.temporaryFolder = join(root, '.tmp');
    this.facts = new DirectoryFacts(root, this.temporaryFolder);
  }

  async check(): Promise<void> {
    if (!this.isOpen) await this.make();
    this.isOpen = true;
    await this.guarded(async () => {
      const temporary = await this.writeTemporary(Buffer.alloc(4096), {});
      await temporary.synced;
      await unlink(temporary.path);
    });
  }

  /** Only when it is opened: later on a folder that is not there has gone. */
  private async make(): Promise<void> {
    try {
      await makeFolder(this.temporaryFolder);
      await makeFolder(join(this.root, '.meta'));
    } catch (error) {
      throw directoryTrouble(error, this.root);
    }
  }

  async put(key: string, body: Body, options: PutOptions = {}): Promise<BodyFacts> {
    assertKey(key);
    return await this.guarded(() => this.write(key, body, options, rename), key);
  }

  async putIfAbsent(key: string, body: Body, options: PutOptions = {}): Promise<boolean> {
    assertKey(key);
    return await this.guarded(async () => {
      if ((await this.statFile(key)) !== undefined) return false;
      try {
        await this.write(key, body, options, link);
        return true;
      } catch (error) {
        if (errnoOf(error) === 'EEXIST' && (await this.statFile(key)) !== undefined) return false;
        throw error;
      }
    }, key);
  }

  async get(key: string, options: { signal?: AbortSignal; maxBytes?: number } = {}): Promise<Buffer> {
    return await this.reading(key, async ({ file, facts }) => {
      if (options.maxBytes !== undefined && facts.size > options.maxBytes) {
        throw new ObjectTooLarge(`${key} has ${facts.size} bytes where at most ${options.maxBytes} are read`);
      }
      const bytes = await file.readFile();
      options.signal?.throwIfAborted();
      assertIntact(key, factsOf(bytes), facts);
      return bytes;
    });
  }

  async getToFile(key: string, path: string, options: { signal?: AbortSignal } = {}): Promise<BodyFacts> {
    return await this.reading(key, async ({ file, facts }) => {
      const source = file.createReadStream({ autoClose: false, highWaterMark: READ_CHUNK });
      await saveVerified(key, source, path, { written: facts, signal: options.signal });
      return { size: facts.size, sha256: facts.sha256 };
    });
  }

  async stream(key: string, range?: { start: number; end?: number }): Promise<Readable> {
    assertKey(key);
    return await this.guarded(async () => {
      const { file, facts } = await this.openObject(key);
      if (range === undefined) {
        const whole = file.createReadStream({ highWaterMark: READ_CHUNK });
        return pipeline(whole, verifier(key, facts), () => {});
      }
      if (range.start >= facts.size) {
        await file.close();
        throw new RangeError(`${key} has ${facts.size} bytes, a range cannot start at ${range.start}`);
      }
      const end = Math.min(range.end ?? facts.size - 1, facts.size - 1);
      return file.createReadStream({ start: range.start, end });
    }, key);
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    try {
      return await this.reading(key, async ({ version, facts }) => ({
        key,
        size: facts.size,
        sha256: facts.sha256,
        contentType: facts.contentType,
        modifiedAt: version.mtime,
      }));
    } catch (error) {
      if (error instanceof ObjectNotFound) return undefined;
      throw error;
    }
  }

  async list(prefix: string, options: { cursor?: string; limit?: number } = {}): Promise<ListPage> {
    assertPrefix(prefix);
    const limit = options.limit ?? DEFAULT_PAGE;
    return await this.guarded(async () => {
      const found: string[] = [];
      const base = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      for await (const key of this.walk(base, prefix, options.cursor ?? '')) {
        found.push(key);
        if (found.length > limit) break;
      }
      const isMore = found.length > limit;
      const objects = await this.sizesOf(found.slice(0, limit));
      if (isMore) return { objects, cursor: found[limit - 1] ?? '' };
      await this.requireFolder();
      return { objects };
    });
  }

  /** Those that are still there, in their order. */
  private async sizesOf(listed: string[]): Promise<ListPage['objects']> {
    const objects: ListPage['objects'] = [];
    for (let start = 0; start < listed.length; start += STATS_AT_ONCE) {
      const some = listed.slice(start, start + STATS_AT_ONCE);
      const stats = await Promise.all(some.map((key) => stat(this.pathOf(key)).catch(absent)));
      for (const [index, key] of some.entries()) {
        const size = stats[index]?.size;
        if (size !== undefined) objects.push({ key, size });
      }
    }
    return objects;
  }

  async delete(key: string): Promise<void> {
    assertKey(key);
    await this.guarded(async () => {
      if ((await this.statFile(key)) === undefined) return;
      const path = this.pathOf(key);
      await unlink(path).catch(absent);
      await syncFolder(dirname(path));
      await this.facts.tidy(key, path);
      await removeEmptyFolders(dirname(path), this.root);
    });
  }

  async presign(key: string, options: PresignOptions): Promise<string | undefined> {
    assertKey(key);
    return this.signUrl?.(key, options);
  }

  async unfinished({ olderThanMs }: { olderThanMs: number }): Promise<UnfinishedWrite[]> {
    return await this.guarded(async () => {
      const found: UnfinishedWrite[] = [];
      for (const name of (await readdir(this.temporaryFolder).catch(absent)) ?? []) {
        const path = join(this.temporaryFolder, name);
        const file = await stat(path).catch(absent);
        if (!file || Date.now() - file.mtimeMs < olderThanMs) continue;
        const remove = () => this.guarded(async () => void (await unlink(path).catch(absent)));
        found.push({ name: `.tmp/${name}`, size: file.size, remove });
      }
      return found;
    });
  }

  async close(): Promise<void> {}

  /** Temporary file, facts, then the one step that makes both visible: `publish` is rename or link. */
  private async write(
    key: string,
    body: Body,
    options: PutOptions,
    publish: (from: string, to: string) => Promise<void>,
  ): Promise<BodyFacts> {
    const path = this.pathOf(key);
    const { writer, path: temporary, version, facts, synced } = await this.writeTemporary(body, options);
    let described: Awaited<ReturnType<DirectoryFacts['write']>> | undefined;
    try {
      assertStated(key, facts, options);
      const contentType = options.contentType ?? DEFAULT_TYPE;
      described = await this.facts.write(key, version, { ...facts, contentType }, writer);
      // At once: the system's journal then takes them down together.
      await Promise.all([synced, described.synced]);
      options.signal?.throwIfAborted();
      await withFolder(dirname(path), () => publish(temporary, path));
    } catch (error) {
      await Promise.allSettled([synced, described?.synced]);
      await rm(temporary, { force: true });
      if (described !== undefined) await rm(described.path, { force: true });
      throw error;
    }
    if (publish === rename) {
      await Promise.all([syncFolder(dirname(path)), this.facts.tidyAfter(described.name, key, path)]);
    } else {
      await rm(temporary, { force: true });
      await Promise.all([syncFolder(dirname(path)), this.facts.tidy(key, path)]);
    }
    return facts;
  }

  /** The bytes in a file of their own; they are durable once `synced` is. */
  private async writeTemporary(body: Body, { signal }: { signal?: AbortSignal | undefined }) {
    const writer = randomUUID();
    const path = join(this.temporaryFolder, writer);
    const file = await withFolder(this.temporaryFolder, () => open(path, 'wx'));
    try {
      const hash = createHash('sha256');
      let size = 0;
      for await (const bytes of bodyChunks(body)) {
        signal?.throwIfAborted();
        hash.update(bytes);
        size += bytes.byteLength;
        await file.writeFile(bytes);
      }
      const version = await file.stat({ bigint: true });
      const synced = file.sync().finally(() => file.close());
      synced.catch(() => {}); // whoever wrote awaits it
      return { writer, path, version, facts: { size, sha256: hash.digest('hex') }, synced };
    } catch (error) {
      await file.close();
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Opens one version of an object with its facts; a version replaced in that moment is passed over. */
  private async openObject(key: string): Promise<OpenObject> {
    const path = this.pathOf(key);
    for (;;) {
      const file = await open(path, 'r').catch(absent);
      if (!file) throw new ObjectNotFound(key);
      try {
        const version = await file.stat({ bigint: true });
        if (!version.isFile()) throw new ObjectNotFound(key);
        const facts = (await this.facts.find(key, version)) ?? (await this.factsByContent(key, file, version));
        if (facts) return { file, version, facts };
        const current = await lstat(path, { bigint: true }).catch(absent);
        if (current && identityOf(current) === identityOf(version)) throw await this.damaged(key);
      } catch (error) {
        await file.close();
        throw error;
      }
      await file.close();
    }
  }

  /** For a store that was copied: its bytes are known, but by another inode number. */
  private async factsByContent(key: string, file: FileHandle, version: BigIntStats): Promise<FileFacts | undefined> {
    const current = await lstat(this.pathOf(key), { bigint: true }).catch(absent);
    if (!current || identityOf(current) !== identityOf(version)) return undefined;
    const content = await consumeFacts(
      file.createReadStream({ start: 0, autoClose: false, highWaterMark: READ_CHUNK }),
    );
    const facts = await this.facts.findByContent(key, content);
    if (facts) await this.facts.adopt(key, version, facts);
    return facts;
  }

  private async damaged(key: string): Promise<ObjectCorrupt> {
    const known = await this.facts.all(key);
    return new ObjectCorrupt(
      known.length === 0
        ? `${key} cannot be trusted: the store has no SHA-256 of it, so something else put the file there`
        : `${key} is damaged: its bytes are not those that had been written (SHA-256 ${known.map((one) => one.sha256).join(' or ')})`,
    );
  }

  private async reading<T>(key: string, use: (object: OpenObject) => Promise<T>): Promise<T> {
    assertKey(key);
    return await this.guarded(async () => {
      const object = await this.openObject(key);
      try {
        return await use(object);
      } finally {
        await object.file.close();
      }
    }, key);
  }

  private async *walk(folder: string, prefix: string, after: string): AsyncGenerator<string> {
    const entries = (await readdir(join(this.root, folder), { withFileTypes: true }).catch(absent)) ?? [];
    // With the slash that a folder's keys have, so that the order of names is the order of keys (a-b < a/b < a0).
    const names = entries
      .filter((entry) => !entry.name.startsWith('.') && (entry.isFile() || entry.isDirectory()))
      .map((entry) => folder + (entry.isDirectory() ? `${entry.name}/` : entry.name))
      .sort((a, b) => (a < b ? -1 : 1));
    for (const name of names) {
      if (name.endsWith('/')) {
        const isPast = name < after && !after.startsWith(name);
        if (!isPast && (name.startsWith(prefix) || prefix.startsWith(name))) yield* this.walk(name, prefix, after);
      } else if (name > after && name.startsWith(prefix) && isKey(name)) {
        yield name;
      }
    }
  }

  private pathOf(key: string): string {
    return join(this.root, key);
  }

  private async statFile(key: string): Promise<BigIntStats | undefined> {
    const found = await stat(this.pathOf(key), { bigint: true }).catch(absent);
    return found?.isFile() ? found : undefined;
  }

  /** A disk that is not mounted (any more) is no empty store: nothing is missing then, and nothing may be written there. */
  private async requireFolder(): Promise<void> {
    const marks = await Promise.all(
      [this.temporaryFolder, join(this.root, '.meta')].map((path) => stat(path).catch(absent)),
    );
    if (marks.some((found) => found?.isDirectory())) return;
    throw new StoreUnavailable(
      `The store folder ${this.root} is gone, or it is not the one that was opened; is its disk mounted?`,
      true,
    );
  }

  private async guarded<T>(task: () => Promise<T>, key?: string): Promise<T> {
    try {
      await this.requireFolder();
      return await task();
    } catch (error) {
      if (error instanceof ObjectNotFound) await this.requireFolder();
      if (key !== undefined && ['EISDIR', 'ENOTDIR', 'EEXIST', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) {
        throw new StoreUnavailable(
          `${key} cannot be stored in ${this.description}: a key cannot be an object and a folder of others`,
          false,
          { cause: error },
        );
      }
      throw directoryTrouble(error, this.root);
    }
  }
}
