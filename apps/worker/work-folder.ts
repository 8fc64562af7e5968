// Fresh folders for trainers inside the cache folder, and the removal of those that killed workers left behind.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

const parentOf = (cacheFolder: string) => join(cacheFolder, 'work');
const machine = () => hostname().replace(/[^A-Za-z0-9]+/g, '-');

/** Runs `use` in a fresh folder, which is removed afterwards however it ends. */
export async function inWorkFolder<T>(cacheFolder: string, use: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(parentOf(cacheFolder), { recursive: true });
  const folder = await mkdtemp(join(parentOf(cacheFolder), `${machine()}.${process.pid}.`));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes work folders of processes of this machine that are gone. */
export async function sweepWorkFolders(cacheFolder: string): Promise<void> {
  const names = await readdir(parentOf(cacheFolder)).catch(() => []);
  for (const name of names) {
    const [host, pid] = name.split('.');
    if (host !== machine() || isAlive(Number(pid))) continue;
    await rm(join(parentOf(cacheFolder), name), { recursive: true, force: true });
  }
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
