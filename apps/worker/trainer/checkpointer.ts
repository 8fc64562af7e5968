// Checkpoints of a bundle in training: every so often the run's state is held (by reference, no copy), read out a little between
// the next steps, and written by a thread. Training waits for none of it longer than the time box below.
import { createHash } from 'node:crypto';
import { copyFile, link, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { safetensorsHeader } from '#checkpoint';
import type { TrainingRun, TrainingSnapshot } from '#distillation';
import type { Numerics, TrainingResume } from '#experiment';
import { type CheckpointFile, type CheckpointManifest, newManifest } from '../checkpoint-manifest.js';
import type { FromCheckpointThread, ToCheckpointThread } from './checkpoint-thread.js';

/** Read out at a time: large tensors come in pieces, so that the time box below holds. */
const PIECE_FLOATS = 2 ** 20;

/** Reading out goes on for this long between two steps; what is not read by then TensorFlow copies in the next update. */
const READ_MS = 50;

const SLOTS = ['w', 'm', 'v'] as const;

export interface CheckpointerOptions {
  folder: string;
  everyMs: number;
  about: { job: string; trialIds: string[]; numerics: Numerics; resumes: TrainingResume[] };
  /** Models that a checkpoint brought along. */
  models: CheckpointFile[];
  onWritten(step: number): void;
  log(sentence: string): void;
}

/** A held moment that is being read out. */
interface Reading {
  manifest: CheckpointManifest;
  /** w of every parameter, then m, then v */
  left: tf.Tensor[];
  /** floats of the first of them that are read already */
  done: number;
  longestMs: number;
}

export class Checkpointer {
  private readonly models = new Map<string, CheckpointFile>();
  private readonly thread: Worker;
  /** Models of the checkpoints taken last, as many as are kept and one that is being written; the thread clears up after those. */
  private readonly taken: Set<string>[] = [];
  private reading: Reading | undefined;
  /** Steps that the last checkpoint, or the start, already had. */
  private stepsSaved: number | undefined;
  private takenAt = performance.now();
  private writing: { longestMs: number; done: () => void } | undefined;
  private written: Promise<void> = Promise.resolve();
  /** Without its thread it does nothing more; training goes on. */
  private isBroken = false;

  /** The folder is there already. */
  constructor(private readonly options: CheckpointerOptions) {
    for (const model of options.models) this.models.set(model.name, model);
    this.thread = new Worker(new URL('./checkpoint-thread.js', import.meta.url), {
      workerData: { folder: options.folder },
    });
    this.thread.unref();
    this.thread.on('message', (message: FromCheckpointThread | null) => this.hear(message));
    this.thread.on('error', (error) => {
      this.isBroken = true;
      this.drop();
      this.hear({ kind: 'failed', message: `there will be none any more, its thread died: ${error.message}` });
    });
  }

  /**
   * Keeps a model beside the checkpoints under a name that is its alone, and puts it at `path` for the user. `replaces` is one
   * that the run no longer needs; a checkpoint may.
   */
  async keepModel(name: string, bytes: Uint8Array, path: string, replaces?: string): Promise<void> {
    const kept = join(this.options.folder, name);
    const file = await open(`${kept}.part`, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${kept}.part`, kept);
    await placeModel(kept, path);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    this.models.set(name, { name, size: bytes.length, sha256 });
    if (replaces && !this.taken.some((names) => names.has(replaces)))
      await rm(join(this.options.folder, replaces), { force: true });
  }

  /** To be called whenever the run is at rest. */
  atRest(run: TrainingRun): void {
    if (this.isBroken) return;
    this.stepsSaved ??= run.stepsDone - 1;
    const { everyMs } = this.options;
    if (this.reading) this.read(run.isOver ? Number.POSITIVE_INFINITY : READ_MS);
    else if (!this.writing && run.stepsDone > this.stepsSaved && performance.now() - this.takenAt >= everyMs) {
      this.take(run);
      this.read(run.isOver ? Number.POSITIVE_INFINITY : READ_MS);
    }
  }

  /** A checkpoint of this moment, whole on disk when the promise resolves. */
  async takeNow(run: TrainingRun): Promise<void> {
    this.drop();
    this.thread.ref();
    await this.written;
    if (this.isBroken || run.stepsDone === 0 || run.stepsDone === this.stepsSaved) return;
    this.take(run);
    this.read(Number.POSITIVE_INFINITY);
    await this.written;
  }

  /** Waits for what is being written, and ends the thread. */
  async close(): Promise<void> {
    this.drop();
    this.thread.ref();
    await this.written;
    await this.thread.terminate();
  }

  private take(run: TrainingRun): void {
    this.takenAt = performance.now();
    this.stepsSaved = run.stepsDone;
    const { state, parameters } = run.snapshot();
    const tensors = SLOTS.flatMap((slot) =>
      [...parameters.slots].map(([name, held]) => ({ name: `${slot}/${name}`, tensor: held[slot] })),
    );
    const header = safetensorsHeader(
      tensors.map(({ name, tensor }) => ({ name, dtype: 'F32', shape: tensor.shape })),
      { format: 'semdistill-checkpoint', job: this.options.about.job, step: String(state.step) },
    );
    const name = `step-${state.step}.safetensors`;
    const manifest = newManifest({
      ...this.options.about,
      state,
      tensors: {
        name,
        size: 0,
        sha256: '',
        dataStart: header.length,
        tensors: tensors.map((one) => ({ name: one.name, floats: one.tensor.size })),
      },
      models: this.modelsOf(state),
    });
    this.taken.unshift(new Set(manifest.models.map((model) => model.name)));
    this.taken.splice(3);
    this.post({ kind: 'begin', name });
    this.post({ kind: 'piece', bytes: header });
    this.reading = {
      manifest,
      left: tensors.map(({ tensor }) => tensor),
      done: 0,
      longestMs: performance.now() - this.takenAt,
    };
  }

  /** The models that the students of this state have: file names are a function of trial and epoch. */
  private modelsOf(state: CheckpointManifest['state']): CheckpointFile[] {
    return this.options.about.trialIds.flatMap((trialId, k) => {
      const { outcome, bestEpoch, epochs } = state.students[k] as CheckpointManifest['state']['students'][number];
      if (outcome !== 'trained') return [];
      const names = bestEpoch > 0 ? [bestModelName(trialId, bestEpoch)] : [];
      for (const { epoch } of epochs) if (epoch % 10 === 0) names.push(epochModelName(trialId, epoch));
      // A teacher keeps its best model only.
      return names.flatMap((name) => this.models.get(name) ?? []);
    });
  }

  private read(milliseconds: number): void {
    const { reading } = this;
    if (!reading) return;
    const started = performance.now();
    for (let tensor = reading.left[0]; tensor; tensor = reading.left[0]) {
      const values = piece(tensor, reading.done);
      reading.done += values.length;
      if (reading.done >= tensor.size) {
        tensor.dispose();
        reading.left.shift();
        reading.done = 0;
      }
      this.post({ kind: 'piece', bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) });
      if (performance.now() - started >= milliseconds) break;
    }
    if (Number.isFinite(milliseconds)) reading.longestMs = Math.max(reading.longestMs, performance.now() - started);
    if (reading.left.length > 0) return;
    this.reading = undefined;
    this.written = new Promise((done) => {
      this.writing = { longestMs: reading.longestMs, done };
    });
    this.post({ kind: 'end', manifest: reading.manifest });
  }

  private drop(): void {
    if (!this.reading) return;
    for (const tensor of this.reading.left) tensor.dispose();
    this.reading = undefined;
    this.stepsSaved = -1;
    this.post({ kind: 'abandon' });
  }

  /** Pieces change hands without a copy. */
  private post(message: ToCheckpointThread): void {
    const transfer = message.kind === 'piece' ? [message.bytes.buffer as ArrayBuffer] : [];
    this.thread.postMessage(message, transfer);
  }

  private hear(message: FromCheckpointThread | null): void {
    const { writing } = this;
    this.writing = undefined;
    if (message?.kind === 'written') {
      const size = (message.bytes / 1e6).toFixed(1);
      const pause = writing ? `, training waited at most ${writing.longestMs.toFixed(0)} ms` : '';
      this.options.log(
        `checkpoint of step ${message.step}: ${size} MB in ${(message.milliseconds / 1000).toFixed(1)} s${pause}`,
      );
      this.options.onWritten(message.step);
    } else if (message) this.options.log(`no checkpoint: ${message.message}`);
    writing?.done();
  }
}

/** Values of a tensor from one on, at most a piece. */
function piece(tensor: tf.Tensor, from: number): Float32Array<ArrayBuffer> {
  if (tensor.size <= PIECE_FLOATS) return tensor.dataSync() as Float32Array<ArrayBuffer>;
  const part = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), from, Math.min(PIECE_FLOATS, tensor.size - from)));
  const values = part.dataSync() as Float32Array<ArrayBuffer>;
  part.dispose();
  return values;
}

export function bestModelName(trialId: string, epoch: number): string {
  return `${trialId}.best-${epoch}.safetensors`;
}

export function epochModelName(trialId: string, epoch: number): string {
  return `${trialId}.epoch-${epoch}.safetensors`;
}

/** The file under another name too: a link where the file system has links. */
export async function placeModel(from: string, to: string): Promise<void> {
  const aside = `${to}.part`;
  await rm(aside, { force: true });
  await link(from, aside).catch(() => copyFile(from, aside));
  await rename(aside, to);
  // Renaming one name of a file onto another of the same file does nothing.
  await rm(aside, { force: true });
}

/** The parameters in a checkpoint's tensor file, read one after another. */
export async function readTensors(
  folder: string,
  { tensors: file, state }: CheckpointManifest,
): Promise<TrainingSnapshot<Float32Array>['parameters']> {
  const values = new Map<string, Float32Array>();
  const handle = await open(join(folder, file.name));
  try {
    let at = file.dataStart;
    for (const { name, floats } of file.tensors) {
      const bytes = new Uint8Array(floats * 4);
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, at + done);
        if (bytesRead === 0) throw new Error(`${file.name} ends before ${name} does`);
        done += bytesRead;
      }
      values.set(name, new Float32Array(bytes.buffer));
      at += bytes.length;
    }
  } finally {
    await handle.close();
  }
  const names = file.tensors.flatMap(({ name }) => (name.startsWith('w/') ? [name.slice(2)] : []));
  const of = (slot: string, name: string) => values.get(`${slot}/${name}`) ?? new Float32Array(0);
  const slots = new Map(names.map((name) => [name, { w: of('w', name), m: of('m', name), v: of('v', name) }] as const));
  return { steps: state.step, slots };
}
