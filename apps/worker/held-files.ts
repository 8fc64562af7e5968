// Which teachers and corpora lie in this machine's cache, by id: a worker says so, and gets bundles that need them first.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchedFolder } from './file-cache.js';

/** The last fetched of each kind; a cache may hold hundreds. */
const MOST = 32;

export class HeldFiles {
  ids: string[] = [];

  constructor(private readonly cacheFolder: string) {}

  /** Looks again; what cannot be read counts as not there. */
  async look(): Promise<void> {
    const found = await Promise.all(
      ['teachers', 'corpora'].map((kind) => this.newest(fetchedFolder(this.cacheFolder, kind))),
    );
    this.ids = found.flat();
  }

  private async newest(folder: string): Promise<string[]> {
    const names = await readdir(folder).catch(() => []);
    const dated = await Promise.all(
      names
        .filter((name) => !name.startsWith('.')) // those are being built
        .map(async (name) => ({ name, at: (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0 })),
    );
    return dated
      .sort((a, b) => b.at - a.at)
      .slice(0, MOST)
      .map(({ name }) => name);
  }
}
