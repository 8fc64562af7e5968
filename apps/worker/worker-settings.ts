// What one worker process runs by: the settings of its machine and, for tests, another trainer and shorter times.
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { Config } from '#config';
import type { LockTimes } from '#queue';
import type { ObjectStore } from '#storage';

export const SETTINGS = Symbol('worker settings');
export const STORE = Symbol('object store');

/** A program and its arguments; the work folder is added as the last one. */
export interface TrainerProgram {
  command: string;
  args: string[];
}

export interface WorkerTimes {
  /** A trainer that says nothing for this long is hung and is killed. */
  heartbeatMs: number;
  /** From the cancel of everything to SIGKILL. */
  stopGraceMs: number;
  /** From 'stop' to SIGKILL when the worker goes away: time for the step under way and a last checkpoint. */
  leaveGraceMs: number;
  /** How often the record is asked whether anything was cancelled or paused, in case a message was lost. */
  controlsMs: number;
  /** How often the trials themselves are looked at. */
  recordMs: number;
  /** How long an unreachable object store is waited for while a finished trial is stored. */
  storePatienceMs: number;
  registryMs: number;
}

export const WORKER_TIMES: WorkerTimes = {
  heartbeatMs: 5 * 60_000,
  stopGraceMs: 4_000,
  leaveGraceMs: 20_000,
  controlsMs: 2_500,
  recordMs: 30_000,
  storePatienceMs: 15 * 60_000,
  registryMs: 10_000,
};

export interface WorkerSettings {
  config: Config;
  workerId: string;
  trainer: TrainerProgram;
  times: WorkerTimes;
  lockTimes?: LockTimes;
}

/** What a caller may change: tests run a scripted trainer with short times. */
export interface WorkerOverrides {
  trainer?: TrainerProgram;
  times?: Partial<WorkerTimes>;
  lockTimes?: LockTimes;
  store?: ObjectStore;
}

/** The settings of this process. */
export function workerSettings(config: Config, overrides: WorkerOverrides = {}): WorkerSettings {
  return {
    config,
    workerId: workerIdFor(config),
    trainer: overrides.trainer ?? {
      command: process.execPath,
      args: [join(packageRoot(), 'dist', 'apps', 'worker', 'trainer', 'main.js')],
    },
    times: { ...WORKER_TIMES, ...overrides.times },
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
