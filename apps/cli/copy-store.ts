// `semdistill copy-store FROM TO`: everything from one object store into another. What is there already is passed over, so
// a copy that was broken off goes on; each object is checked against its SHA-256 on both sides. Files come before the
// records that name them: whoever reads the new store meanwhile never finds a result without its files.
import { createHash } from 'node:crypto';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from '#config';
import { listPages, type ObjectHead, type ObjectStore } from '#storage';
import type { Context } from './context.js';
import { asTrouble, openNamedStore } from './named-store.js';
import { EXIT_WRONG_REQUEST, Interrupted, Trouble } from './trouble.js';
import { shownBytes } from './wording.js';

const PARALLEL = 6;
/** Larger objects go through a file, so that their upload can be resumed; smaller ones through memory. */
const MEMORY_SIZE = 4 * 1024 ** 2;
const DRAW_EVERY_MS = 250;
const LINE_EVERY_MS = 5_000;

/** What says how far something is: read, it must not speak of what is not there yet. */
const RECORD_OF_STATE =
  /^(?:trials|sweeps|preparations)\/[^/]+\/(?:versions\/\d+\/)?(?:result|settled|cancelled|paused|trimmed|kept|sweep|results\/\d+|retries\/\d+)\.json$/;

/** In this order: files, then what names them, then what says that they are done. */
const RANKS = [
  (key: string) => rankOf(key) === 0,
  (key: string) => rankOf(key) === 1,
  (key: string) => rankOf(key) === 2,
];

function rankOf(key: string): number {
  if (RECORD_OF_STATE.test(key)) return 2;
  return /^[^/]+\/[^/]+\/[^/]+\.json$/.test(key) ? 1 : 0;
}

interface Progress {
  seen: number;
  copied: number;
  present: number;
  bytes: number;
  /** Objects that could not be copied, each with its reason. */
  faults: { key: string; reason: string }[];
}

interface Route {
  from: ObjectStore;
  to: ObjectStore;
  folder: string;
  overwrite: boolean;
  signal: AbortSignal;
}

export async function copyStore(
  context: Context,
  [fromName, toName]: [string, string],
  flags: { overwrite?: boolean },
): Promise<void> {
  const { texts, terminal } = context;
  const from = await openNamedStore(context, fromName);
  const to = await openNamedStore(context, toName, { mayBeNew: true });
  if (from.description === to.description) throw new Trouble(texts.sameStore(from.description), EXIT_WRONG_REQUEST);
  // The same names again find the same folder, and in it what a killed copy left.
  const name = createHash('sha256').update(`${from.description} ${to.description}`).digest('hex').slice(0, 16);
  const folder = join(cacheFolder(), 'copy-store', name);
  await mkdir(folder, { recursive: true });
  const route = { from, to, folder, overwrite: flags.overwrite === true, signal: context.interrupted };
  const progress: Progress = { seen: 0, copied: 0, present: 0, bytes: 0, faults: [] };
  const startedAt = performance.now();
  const line = () => {
    const seconds = Math.max(0.001, (performance.now() - startedAt) / 1000);
    return texts.copying(
      progress.copied,
      progress.present,
      shownBytes(progress.bytes),
      shownBytes(progress.bytes / seconds),
    );
  };
  const draw = terminal.interactive
    ? setInterval(() => terminal.live([line()]), DRAW_EVERY_MS)
    : setInterval(() => terminal.say(line()), LINE_EVERY_MS);
  try {
    await asTrouble(async () => {
      for (const isMeant of RANKS) await copyRank(route, isMeant, progress);
    });
  } finally {
    clearInterval(draw);
    terminal.live([]);
  }
  await Promise.all([from.close(), to.close()]);
  const { copied, present, bytes, faults } = progress;
  if (faults.length === 0) await rm(folder, { recursive: true, force: true });
  if (context.json)
    terminal.print(
      JSON.stringify({ from: from.description, to: to.description, copied, present, bytes, faults }, null, 2),
    );
  else {
    for (const { key, reason } of faults) terminal.say(`  - ${key}: ${reason}`);
    terminal.say(texts.copied(copied, present, shownBytes(bytes), to.description));
  }
  if (faults.length > 0) throw new Trouble(texts.notAllCopied(faults.length));
}

/** One pass over the listing for the objects of one rank. */
async function copyRank(route: Route, isMeant: (key: string) => boolean, progress: Progress): Promise<void> {
  for await (const objects of listPages(route.from, '')) {
    const waiting = objects.filter(({ key }) => isMeant(key) && !key.startsWith('probes/'));
    const work = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if (route.signal.aborted) throw new Interrupted();
        progress.seen += 1;
        await copyOne(route, next.key, progress);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
  }
}

async function copyOne(route: Route, key: string, progress: Progress): Promise<void> {
  try {
    const source = await route.from.head(key);
    // Deleted since it was listed.
    if (source === undefined) return;
    const there = await headOrNone(route.to, key);
    if (there?.sha256 === source.sha256 && there.size === source.size) {
      progress.present += 1;
      return;
    }
    // Names are the only records that change; anything else that differs is not ours to replace.
    if (there && !route.overwrite && !key.startsWith('names/')) {
      progress.faults.push({ key, reason: 'another object of this name is there; --overwrite replaces it' });
      return;
    }
    await transfer(route, source);
    progress.copied += 1;
    progress.bytes += source.size;
  } catch (error) {
    // Damage of one object must not keep the others from being saved.
    if (!(error instanceof Error && error.name === 'ObjectCorrupt')) throw error;
    progress.faults.push({ key, reason: error.message });
  }
}

async function transfer({ from, to, folder, signal }: Route, source: ObjectHead): Promise<void> {
  const { key, size, sha256, contentType } = source;
  if (size <= MEMORY_SIZE) {
    await to.put(key, await from.get(key, { signal }), { size, sha256, contentType });
    return;
  }
  const path = join(folder, sha256);
  // Left by a copy that was killed during the upload; it was renamed to this name when it was whole.
  const isThere = (await stat(path).catch(() => undefined))?.size === size;
  if (!isThere) await from.getToFile(key, path, { signal });
  // Without the signal: a large upload that is broken off by Ctrl-C keeps its parts, for the next copy goes on from them.
  await to.put(key, { path }, { size, sha256, contentType });
  await rm(path, { force: true });
}

/** An object there that cannot be trusted is one that differs. */
async function headOrNone(store: ObjectStore, key: string): Promise<Pick<ObjectHead, 'size' | 'sha256'> | undefined> {
  try {
    return await store.head(key);
  } catch (error) {
    if (error instanceof Error && error.name === 'ObjectCorrupt') return { size: -1, sha256: '' };
    throw error;
  }
}
