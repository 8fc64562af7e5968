// The thread that writes checkpoints: training blocks its own thread for seconds, so nothing asynchronous gets on there. It takes
// a file piece by piece, and the manifest last; each is written aside, synced, renamed. The newest two checkpoints are kept.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import {
  type CheckpointManifest,
  filesOf,
  formatManifest,
  manifestNameOf,
  manifestNames,
  parseManifest,
} from '../checkpoint-manifest.js';

/** What the trainer says, in this order: begin, pieces, end (or abandon). */
export type ToCheckpointThread =
  | { kind: 'begin'; name: string }
  | { kind: 'piece'; bytes: Uint8Array }
  /** `tensors.size` and `sha256` are filled in here. */
  | { kind: 'end'; manifest: CheckpointManifest }
  | { kind: 'abandon' };

export type FromCheckpointThread =
  | { kind: 'written'; step: number; bytes: number; milliseconds: number }
  | { kind: 'failed'; message: string };

const KEPT = 2;

const { folder } = workerData as { folder: string };
let open: { name: string; file: number; hash: Hash; size: number; started: number } | undefined;

function begin(name: string): void {
  abandon();
  const file = openSync(join(folder, `${name}.part`), 'w');
  open = { name, file, hash: createHash('sha256'), size: 0, started: performance.now() };
}

function add(bytes: Uint8Array): void {
  if (!open) return;
  for (let at = 0; at < bytes.length; ) at += writeSync(open.file, bytes, at);
  open.hash.update(bytes);
  open.size += bytes.length;
}

function abandon(): void {
  if (!open) return;
  closeSync(open.file);
  rmSync(join(folder, `${open.name}.part`), { force: true });
  open = undefined;
}

async function end(manifest: CheckpointManifest): Promise<FromCheckpointThread | undefined> {
  if (!open) return undefined;
  const { name, file, hash, size, started } = open;
  open = undefined;
  fsyncSync(file);
  closeSync(file);
  renameSync(join(folder, `${name}.part`), join(folder, name));
  const whole = { ...manifest, tensors: { ...manifest.tensors, size, sha256: hash.digest('hex') } };
  writeWhole(manifestNameOf(manifest.state.step), formatManifest(whole));
  await prune();
  return { kind: 'written', step: manifest.state.step, bytes: size, milliseconds: performance.now() - started };
}

function writeWhole(name: string, text: string): void {
  const aside = join(folder, `${name}.part`);
  const file = openSync(aside, 'w');
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(aside, join(folder, name));
  const directory = openSync(folder, 'r');
  fsyncSync(directory);
  closeSync(directory);
}

/** Removes what only older checkpoints need. Models of the present moment may be newer than the newest manifest: they stay. */
async function prune(): Promise<void> {
  const names = await manifestNames(folder);
  const read = (name: string) => parseManifest(readFileSync(join(folder, name), 'utf8'));
  const kept = names.slice(0, KEPT).flatMap((name) => read(name) ?? []);
  const needed = new Set(kept.flatMap((manifest) => filesOf(manifest).map((file) => file.name)));
  for (const name of names.slice(KEPT)) {
    const files = read(name);
    rmSync(join(folder, name), { force: true });
    for (const file of files ? filesOf(files) : [])
      if (!needed.has(file.name)) rmSync(join(folder, file.name), { force: true });
  }
  for (const name of readdirSync(folder)) {
    if (/^step-\d+\.safetensors$/.test(name) && !needed.has(name)) rmSync(join(folder, name), { force: true });
  }
}

/** Messages are worked off in their order; after a failure the rest of that checkpoint is passed over. */
let work: Promise<void> = Promise.resolve();
parentPort?.on('message', (message: ToCheckpointThread) => {
  work = work.then(async () => {
    try {
      if (message.kind === 'begin') begin(message.name);
      else if (message.kind === 'piece') add(message.bytes);
      else if (message.kind === 'abandon') abandon();
      else parentPort?.postMessage((await end(message.manifest)) ?? null);
    } catch (error) {
      abandonQuietly();
      parentPort?.postMessage({
        kind: 'failed',
        message: (error as Error).message,
      } satisfies FromCheckpointThread);
    }
  });
});

function abandonQuietly(): void {
  try {
    abandon();
  } catch {
    open = undefined;
  }
}
