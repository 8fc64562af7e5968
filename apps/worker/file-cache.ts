// Stored files on this machine's disk: fetched once by id, verified at every use, shared by all workers of the machine.
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CorpusRecord, StoredFile, TeacherRecord } from '#experiment';
import type { ObjectStore } from '#storage';

const READ_CHUNK = 1024 ** 2;

/** Where fetched teachers or corpora lie, one folder an id. */
export function fetchedFolder(cacheFolder: string, kind: string): string {
  return join(cacheFolder, 'fetched', kind);
}

export class FileCache {
  constructor(
    private readonly store: ObjectStore,
    private readonly cacheFolder: string,
  ) {}

  /** The path of the teacher's model.safetensors. */
  async teacherFile(teacher: TeacherRecord): Promise<string> {
    const folder = await this.folder('teachers', teacher.teacherId, teacher.files);
    return join(folder, 'model.safetensors');
  }

  /** The folder that holds vocab.json, train.json and test.json. */
  async corpusFolder(corpus: CorpusRecord): Promise<string> {
    return this.folder('corpora', corpus.corpusId, corpus.files);
  }

  /**
   * A folder with these files as the record describes them. Built aside and renamed into place: two workers may both
   * fetch, one rename wins, and nobody ever sees a part. A damaged folder is fetched again.
   */
  private async folder(kind: string, id: string, files: StoredFile[]): Promise<string> {
    const parent = fetchedFolder(this.cacheFolder, kind);
    const folder = join(parent, id);
    if (await holds(folder, files)) return folder;
    const aside = join(parent, `.${id}.${randomUUID()}`);
    await mkdir(aside, { recursive: true });
    try {
      for (const file of files) await this.fetch(file, join(aside, file.name));
      await replaceFolder(aside, folder, files);
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
    return folder;
  }

  private async fetch(file: StoredFile, path: string): Promise<void> {
    const facts = await this.store.getToFile(file.key, path);
    if (facts.sha256 !== file.sha256) {
      throw new Error(`${file.key} in the object store is not the file its record describes (SHA-256 ${facts.sha256})`);
    }
  }
}

async function replaceFolder(aside: string, folder: string, files: StoredFile[]): Promise<void> {
  for (let tries = 0; tries < 10; tries++) {
    try {
      await rename(aside, folder);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
    if (await holds(folder, files)) return; // another worker was first
    // Damaged: moved away before it is removed, so that no other worker reads it while it vanishes.
    const damaged = `${aside}.damaged`;
    await rename(folder, damaged).catch(() => {});
    await rm(damaged, { recursive: true, force: true });
  }
  throw new Error(`cannot put files in place at ${folder}: it keeps changing`);
}

async function holds(folder: string, files: StoredFile[]): Promise<boolean> {
  const isWhole = async (file: StoredFile) => {
    const path = join(folder, file.name);
    const found = await stat(path).catch(() => undefined);
    return found?.size === file.size && (await sha256Of(path)) === file.sha256;
  };
  return (await Promise.all(files.map(isWhole))).every(Boolean);
}

/** hex SHA-256 of a file. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_CHUNK, size + 1));
    for (;;) {
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
