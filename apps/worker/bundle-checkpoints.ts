// A bundle's checkpoints between work folder and object store: the newest one up in the background, down again when the bundle
// starts anew, gone when its trials have ended. Every attempt writes under its own fence, so that one that wakes up after its
// time harms no other. Failures here cost time, never a result: they are said and worked around.
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keys, ObjectCorrupt, ObjectNotFound, putJson } from '#storage';
import {
  CHECKPOINT_FOLDER,
  type CheckpointFile,
  filesOf,
  formatManifest,
  manifestNameOf,
  manifestNames,
  parseManifest,
} from './checkpoint-manifest.js';
import type { JobTools } from './job-tools.js';
import {
  type CheckpointPointer,
  removeAttempt,
  removeSuperseded,
  type StoredCheckpoint,
} from './stored-checkpoints.js';

export class BundleCheckpoints {
  /** This attempt's files in the store that its pointer there speaks of. */
  private stored = new Map<string, { key: string; sha256: string }>();
  private storedStep = -1;
  private uploading: Promise<void> | undefined;
  private isNewer = false;
  private hasTidied = false;

  constructor(
    private readonly tools: JobTools,
    private readonly bundleId: string,
    private readonly fence: string,
    private readonly workFolder: string,
  ) {}

  /** Puts a stored checkpoint where the trainer looks for one. False when it is no longer whole in the store. */
  async download({ fence, manifest, fileKeys }: StoredCheckpoint): Promise<boolean> {
    const folder = join(this.workFolder, CHECKPOINT_FOLDER);
    await mkdir(folder, { recursive: true });
    try {
      for (const { name } of filesOf(manifest))
        await this.tools.store.getToFile(fileKeys[name] ?? '', join(folder, name));
    } catch (error) {
      if (!(error instanceof ObjectNotFound) && !(error instanceof ObjectCorrupt)) throw error;
      this.tools.log.warn(`bundle ${this.bundleId}: the checkpoint of attempt ${fence} is not used: ${error.message}`);
      await rm(folder, { recursive: true, force: true });
      return false;
    }
    await writeFile(join(folder, manifestNameOf(manifest.state.step)), formatManifest(manifest));
    this.storedStep = manifest.state.step;
    return true;
  }

  /** The trainer has written one: up with it, after the one that is on its way. */
  note(): void {
    this.isNewer = true;
    this.uploading ??= this.uploadAll().finally(() => {
      this.uploading = undefined;
    });
  }

  /** The trainer is gone: what it left that is newer than what is stored goes up now. */
  async finish(): Promise<void> {
    await this.uploading;
    this.note();
    await this.uploading;
  }

  /** Waits for what is on its way. */
  async settle(): Promise<void> {
    this.isNewer = false;
    await this.uploading;
  }

  private async uploadAll(): Promise<void> {
    while (this.isNewer) {
      this.isNewer = false;
      try {
        await this.uploadNewest();
      } catch (error) {
        this.tools.log.warn(`bundle ${this.bundleId}: a checkpoint was not stored: ${(error as Error).message}`);
      }
    }
  }

  private async uploadNewest(): Promise<void> {
    const folder = join(this.workFolder, CHECKPOINT_FOLDER);
    const [newest] = await manifestNames(folder);
    const manifest = newest && parseManifest(await readFile(join(folder, newest), 'utf8'));
    if (!manifest || manifest.state.step <= this.storedStep) return;
    const missing = filesOf(manifest).filter(({ name, sha256 }) => this.stored.get(name)?.sha256 !== sha256);
    // The trainer removes old checkpoints while a slow upload lasts: it reads its own links to the files.
    const own = join(this.workFolder, 'uploading');
    await rm(own, { recursive: true, force: true });
    await mkdir(own);
    for (const { name } of missing) await link(join(folder, name), join(own, name));
    const stored = new Map<string, { key: string; sha256: string }>();
    for (const file of filesOf(manifest)) {
      const key = missing.includes(file) ? await this.put(file, own) : (this.stored.get(file.name)?.key ?? '');
      stored.set(file.name, { key, sha256: file.sha256 });
    }
    const pointer: CheckpointPointer = {
      manifest: JSON.parse(formatManifest(manifest)) as unknown,
      keys: Object.fromEntries([...stored].map(([name, { key }]) => [name, key])),
    };
    await putJson(this.tools.store, keys.bundleCheckpoint(this.bundleId, this.fence), pointer);
    this.storedStep = manifest.state.step;
    const before = this.stored;
    this.stored = stored;
    await rm(own, { recursive: true, force: true });
    const needed = new Set(Object.values(pointer.keys));
    for (const { key } of before.values()) if (!needed.has(key)) await this.tools.store.delete(key);
    if (this.hasTidied) return;
    this.hasTidied = true;
    await removeSuperseded(this.tools.store, this.bundleId, { fence: this.fence, manifest });
  }

  /** Nobody will go on from what this attempt has stored. */
  async removeOwn(): Promise<void> {
    await removeAttempt(this.tools.store, this.bundleId, this.fence);
  }

  private async put({ name, size, sha256 }: CheckpointFile, folder: string): Promise<string> {
    const key = keys.bundleCheckpointFile(this.bundleId, this.fence, name);
    await this.tools.store.put(
      key,
      { path: join(folder, name) },
      { size, sha256, contentType: 'application/octet-stream' },
    );
    return key;
  }
}
