// The folder outside the checkout that keeps what is big or slow to make, shared by all checkouts of a user. Things are
// made in a folder of their own under tmp/ and renamed into place, so nothing half-made is ever taken for whole.
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { SetupFailure } from './child.mjs';

const hour = 3_600_000;

export class CacheFolder {
  #temporary = new Set();
  #count = 0;

  constructor(folder) {
    this.folder = folder;
  }

  /** SEMDISTILL_CACHE, else $XDG_CACHE_HOME/semdistill, else ~/.cache/semdistill; made if missing. */
  static open(env) {
    const folder = env.SEMDISTILL_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'semdistill');
    try {
      for (const part of ['tmp', 'logs']) makeFolder(join(folder, part));
      for (const part of [folder, join(folder, 'tmp')]) accessSync(part, constants.W_OK);
    } catch (error) {
      throw new SetupFailure(
        `The cache folder ${folder} cannot be written (${error.code}): set SEMDISTILL_CACHE to a folder of your own.`,
      );
    }
    const cache = new CacheFolder(folder);
    cache.#removeAbandoned();
    return cache;
  }

  path(...parts) {
    return join(this.folder, ...parts);
  }

  log(step) {
    return join(this.folder, 'logs', `${step}-${process.pid}.log`);
  }

  /** A fresh folder on the same file system as the final places. */
  temporary() {
    const folder = this.path('tmp', `${hostname()}-${process.pid}-${this.#count++}`);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    this.#temporary.add(folder);
    return folder;
  }

  /** Renames a finished file or folder to its final path, in place of a broken one that lies there. */
  publish(made, final) {
    mkdirSync(dirname(final), { recursive: true });
    try {
      if (existsSync(final) && statSync(final).isDirectory()) renameSync(final, join(this.temporary(), 'broken'));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
    try {
      renameSync(made, final);
    } catch (error) {
      // another set-up was faster; its copy is as good
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    }
  }

  requireSpace(bytes, what) {
    const { bavail, bsize } = statfsSync(this.folder);
    if (bavail * bsize >= bytes) return;
    const gigabytes = (value) => (value / 1e9).toFixed(1);
    throw new SetupFailure(
      `${what} needs ${gigabytes(bytes)} GB in ${this.folder} and ${gigabytes(bavail * bsize)} GB are free: free some space, or set SEMDISTILL_CACHE to a folder on another disk.`,
    );
  }

  removeTemporary() {
    for (const folder of this.#temporary) rmSync(folder, { recursive: true, force: true });
    this.#temporary.clear();
  }

  /** Left by killed set-ups: of this machine at once, of machines or containers that share the folder after a day. */
  #removeAbandoned() {
    for (const name of readdirSync(this.path('logs'))) removeIfOlder(this.path('logs', name), 7 * 24 * hour);
    for (const name of readdirSync(this.path('tmp'))) {
      const path = this.path('tmp', name);
      const [, host, pid] = /^(.*)-(\d+)-\d+$/.exec(name) ?? [];
      try {
        if (host === hostname() && !isRunning(Number(pid))) rmSync(path, { recursive: true, force: true });
        else removeIfOlder(path, 24 * hour);
      } catch {
        // another set-up removes it at this moment
      }
    }
  }
}

/** As mkdir -p; Node's own recursive mkdir never returns on file systems that refuse with ENOENT, such as /proc. */
function makeFolder(folder) {
  if (existsSync(folder)) return;
  if (!existsSync(dirname(folder))) makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
}

function removeIfOlder(path, age) {
  try {
    if (Date.now() - statSync(path).mtimeMs > age) rmSync(path, { recursive: true, force: true });
  } catch {
    // another set-up removes it at this moment
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
