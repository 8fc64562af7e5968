// The one folder a local fleet keeps everything in: store/, redis/, logs/, work/, the API key, where to reach it, and the
// lock that lets one fleet hold it at a time. Only the user may read it.
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Texts } from '../texts.js';
import { systemCode, Trouble } from '../trouble.js';
import { identify, isRunning, type ProcessIdentity, signalGroup } from './process-identity.js';

export interface StateFolder {
  path: string;
  store: string;
  redis: string;
  logs: string;
  work: string;
  keyFile: string;
  connectionFile: string;
  apiKey: string;
  /** Names this folder among others, e.g. in a Redis shared with them. */
  fingerprint: string;
}

/** How a CLI in the same folder reaches the fleet. */
export interface ConnectionFile {
  url: string;
  apiKey: string;
}

export const STATE_FOLDER_NAME = '.semdistill';
const MARKER = 'state.json';
const LOCK = 'lock';
const PROCESSES = 'processes.json';
/** What a fleet makes in its folder; nothing else is ever removed from it. */
const OWN_ENTRIES = [
  'store',
  'redis',
  'logs',
  'work',
  'report',
  'key',
  'connection.json',
  MARKER,
  PROCESSES,
  '.gitignore',
];
/** Less than this free, and training would end in a full disk. */
const LEAST_FREE_BYTES = 64 * 2 ** 20;
const OLD_FLEET_WAIT_MS = 15_000;

/** Makes or opens the folder. Throws Trouble: a file in its place, no permission, other files in it, disk full. */
export function openStateFolder(path: string, texts: Texts): StateFolder {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const foreign = readdirSync(path).filter((name) => name !== 'demo' && name !== LOCK);
    if (foreign.length > 0 && !existsSync(join(path, MARKER))) {
      throw new Trouble(texts.stateFolderForeign(path, foreign.slice(0, 3).join(', ')));
    }
    const { bavail, bsize } = statfsSync(path);
    if (bavail * bsize < LEAST_FREE_BYTES) throw new Trouble(texts.diskFull(path));
    writeFileSync(join(path, MARKER), `${JSON.stringify({ format: 1 })}\n`, { mode: 0o600 });
    writeFileSync(join(path, '.gitignore'), '*\n');
    const state = {
      path,
      store: join(path, 'store'),
      redis: join(path, 'redis'),
      logs: join(path, 'logs'),
      work: join(path, 'work'),
      keyFile: join(path, 'key'),
      connectionFile: join(path, 'connection.json'),
      fingerprint: createHash('sha256').update(realpathSync(path)).digest('hex').slice(0, 8),
    };
    for (const folder of [state.store, state.redis, state.logs, state.work])
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { ...state, apiKey: readOrMakeKey(state.keyFile) };
  } catch (error) {
    throw stateFolderTrouble(error, path, texts);
  }
}

/** Turns a failed system call on the folder into a sentence; anything else is passed on. */
export function stateFolderTrouble(error: unknown, path: string, texts: Texts): unknown {
  const code = systemCode(error);
  const options = { cause: error };
  if (code === 'ENOSPC' || code === 'EDQUOT') return new Trouble(texts.diskFull(path), 1, [], options);
  // Node's recursive mkdir says ENOENT where the file system is read-only.
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT')
    return new Trouble(texts.stateFolderNoPermission(path), 1, [], options);
  if (code === 'ENOTDIR' || code === 'EEXIST') return new Trouble(texts.stateFolderIsFile(path), 1, [], options);
  if (code === undefined) return error;
  return new Trouble(texts.stateFolderBad(path, code), 1, [], options);
}

function readOrMakeKey(keyFile: string): string {
  if (existsSync(keyFile)) {
    const key = readFileSync(keyFile, 'utf8').trim();
    if (key !== '') return key;
  }
  const key = `sd_${randomBytes(24).toString('base64url')}`;
  writeWhole(keyFile, `${key}\n`);
  return key;
}

/** A reader sees the old file or the new one; only the user may read it. */
export function writeWhole(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

// --------------------------------------------------------------------------------------------------------------- lock

interface LockFile extends ProcessIdentity {
  since: string;
}

/**
 * Takes the folder for this process; a lock whose process is gone (killed, machine restarted) is taken over once the
 * processes it had started are gone too. Returns what gives it back. Throws Trouble naming the holder.
 */
export async function lockStateFolder(path: string, texts: Texts): Promise<() => void> {
  const own = identify('semdistill', process.pid);
  if (own === undefined) throw new Error('this process does not find itself in the process table');
  const lock: LockFile = { ...own, since: new Date().toISOString() };
  const lockFile = join(path, LOCK);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    while (!takeLock(lockFile, lock)) {
      const holder = readLock(lockFile);
      if (holder === undefined) continue;
      if (isRunning(holder)) throw new Trouble(texts.stateFolderHeld(path, holder.processId, holder.since));
      setAside(lockFile, holder);
    }
  } catch (error) {
    throw stateFolderTrouble(error, path, texts);
  }
  await endOldProcesses(path);
  return () => {
    if (readLock(lockFile)?.processId === process.pid) rmSync(lockFile, { force: true });
  };
}

/** Who holds the folder now, if anybody does. */
export function holderOf(path: string): LockFile | undefined {
  const holder = readLock(join(path, LOCK));
  return holder !== undefined && isRunning(holder) ? holder : undefined;
}

function takeLock(lockFile: string, lock: LockFile): boolean {
  const temporary = `${lockFile}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(lock), { mode: 0o600 });
  try {
    // A link appears whole and fails if the name is taken: of two processes exactly one gets it.
    linkSync(temporary, lockFile);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function readLock(lockFile: string): LockFile | undefined {
  try {
    const lock: Partial<LockFile> = JSON.parse(readFileSync(lockFile, 'utf8'));
    if (typeof lock.processId !== 'number' || typeof lock.processStart !== 'string') return undefined;
    return { name: 'semdistill', since: '', ...lock } as LockFile;
  } catch (error) {
    if (error instanceof SyntaxError) rmSync(lockFile, { force: true });
    else if (systemCode(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/** Removes a dead holder's lock, unless another process has taken it over meanwhile: then it is put back. */
function setAside(lockFile: string, dead: LockFile): void {
  const aside = `${lockFile}.${process.pid}.old`;
  try {
    renameSync(lockFile, aside);
    const moved = readLock(aside);
    if (moved !== undefined && moved.processStart !== dead.processStart && isRunning(moved)) linkSync(aside, lockFile);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

// ---------------------------------------------------------------------------------------------------------- processes

/** Written whenever a service starts, so that whoever takes the folder over knows what may still be stopping. */
export function recordProcesses(path: string, processes: ProcessIdentity[]): void {
  writeWhole(join(path, PROCESSES), JSON.stringify(processes));
}

export function forgetProcesses(path: string): void {
  rmSync(join(path, PROCESSES), { force: true });
}

async function endOldProcesses(path: string): Promise<void> {
  let old: ProcessIdentity[] = [];
  try {
    old = JSON.parse(readFileSync(join(path, PROCESSES), 'utf8'));
  } catch {
    return;
  }
  const deadline = Date.now() + OLD_FLEET_WAIT_MS;
  while (old.some(isRunning) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100));
  for (const process of old.filter(isRunning)) signalGroup(process.processId, 'SIGKILL');
}

/** Empties a state folder nobody holds (for a fresh demo); leaves alone what a fleet did not make. */
export function clearStateFolder(path: string): void {
  if (!existsSync(join(path, MARKER)) || holderOf(path) !== undefined) return;
  for (const name of OWN_ENTRIES) rmSync(join(path, name), { recursive: true, force: true });
}
