// What one worker process runs by: the settings of its machine and, for tests, another trainer and shorter times.
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { Config } from '#config';
import type { LockTimes } from '#queue';
import type { ObjectStore } from '#storage';
import type { DiskRoom } from './disk-room.js';
import { ForkedTrainer, type TrainerStart } from './forked-trainer.js';
import { defaultMemoryShareBytes } from './process-memory.js';

export const SETTINGS = Symbol('worker settings');
export const STORE = Symbol('object store');

/** A program and its arguments; the work folder is added as the last one. */
export interface TrainerProgram {
  command: string;
  args: string[];
  /** It can be started ahead, with --wait in place of the folder, and told its job later. */
  canWait?: boolean;
}

export interface WorkerTimes {
  /** A trainer that says nothing for this long is hung and is killed, where no steps are to be expected. */
  heartbeatMs: number;
  /** A trainer that takes no step in ten times the median step, and at least this long, is hung and is killed. */
  stepSilenceMs: number;
  /** How often a trainer's memory is looked at. */
  memoryMs: number;
  /** From the cancel of everything to SIGKILL. */
  stopGraceMs: number;
  /** From 'stop' to SIGKILL when the worker goes away: time for the step under way and a last checkpoint. */
  leaveGraceMs: number;
  /** From when the worker is to go away until its job goes back, whatever is still on its way to the store. */
  leaveMs: number;
  /** How often the record is asked whether anything was cancelled or paused, in case a message was lost. */
  controlsMs: number;
  /** How often the trials themselves are looked at. */
  recordMs: number;
  /** How long an unreachable object store is waited for while a finished trial is stored. */
  storePatienceMs: number;
  registryMs: number;
  /** How often a full disk is looked at. */
  diskMs: number;
}

/** A checkpoint of a middling model and its upload fit into this. */
const LEAST_DISK_BYTES = 256 * 1024 ** 2;

export const WORKER_TIMES: WorkerTimes = {
  heartbeatMs: 5 * 60_000,
  stepSilenceMs: 60_000,
  memoryMs: 1_000,
  stopGraceMs: 4_000,
  leaveGraceMs: 5_000,
  leaveMs: 8_000,
  controlsMs: 2_500,
  recordMs: 30_000,
  storePatienceMs: 15 * 60_000,
  registryMs: 10_000,
  diskMs: 10_000,
};

export interface WorkerSettings {
  config: Config;
  workerId: string;
  trainer: TrainerProgram;
  startTrainer: TrainerStart;
  times: WorkerTimes;
  /** What a trainer may hold. */
  memoryBytes: number;
  disk: DiskRoom;
  lockTimes?: LockTimes;
  /** Called when this worker was told to go by message: what then ends the process in good order. */
  goAway(): void;
}

/** What a caller may change: tests run a scripted trainer with short times. */
export interface WorkerOverrides {
  trainer?: TrainerProgram;
  /** The benchmark leaves the process out to measure what is around it. */
  startTrainer?: TrainerStart;
  times?: Partial<WorkerTimes>;
  memoryBytes?: number;
  leastDiskBytes?: number;
  lockTimes?: LockTimes;
  store?: ObjectStore;
  goAway?: () => void;
}

/** The settings of this process. */
export function workerSettings(config: Config, overrides: WorkerOverrides = {}): WorkerSettings {
  return {
    config,
    workerId: workerIdFor(config),
    trainer: overrides.trainer ?? {
      command: process.execPath,
      args: [join(packageRoot(), 'dist', 'apps', 'worker', 'trainer', 'main.js')],
      canWait: true,
    },
    startTrainer: overrides.startTrainer ?? ((options) => ForkedTrainer.start(options)),
    memoryBytes: overrides.memoryBytes ?? config.memoryBytes ?? defaultMemoryShareBytes(),
    disk: { folder: config.cacheFolder, leastBytes: overrides.leastDiskBytes ?? LEAST_DISK_BYTES },
    times: { ...WORKER_TIMES, ...overrides.times },
    goAway: overrides.goAway ?? (() => process.kill(process.pid, 'SIGTERM')),
    ...(overrides.lockTimes ? { lockTimes: overrides.lockTimes } : {}),
  };
}

/** The folder of package.json, from the sources as well as from dist/. */
export function packageRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

function workerIdFor(config: Config): string {
  const name = config.workerName ?? `${hostname()}-${process.pid}`;
  return name.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 100);
}
