// Starts a worker in this process: checks everything it needs, then takes jobs until a signal ends it.
import 'reflect-metadata';
import { access, constants, mkdir } from 'node:fs/promises';
import { ConsoleLogger, type INestApplicationContext, type LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Config } from '#config';
import { openFleet } from '#queue';
import { openStore } from '#storage';
import { sweepWorkFolders } from './work-folder.js';
import { workerModule } from './worker.module.js';
import { type WorkerOverrides, workerSettings } from './worker-settings.js';

/** Within which a worker told to go is gone; the queue takes the job back by itself if it had to be left. */
const GO_WITHIN_MS = 9_500;
const REDIS_WAIT_MS = 10_000;

/** A fault of the machine's set-up, as one sentence for whoever started the worker. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart';
}

/** Throws FleetUnavailable, StoreUnavailable or CannotStart, each with one sentence, when something needed is missing. */
export async function startWorker(config: Config, overrides: WorkerOverrides = {}): Promise<INestApplicationContext> {
  await checkCacheFolder(config.cacheFolder);
  const store = overrides.store ?? (await openStore(config.store));
  await store.check();
  const fleet = openFleet(config);
  try {
    await fleet.check(REDIS_WAIT_MS);
  } finally {
    await fleet.close();
  }
  await sweepWorkFolders(config.cacheFolder);
  const app = await NestFactory.createApplicationContext(workerModule(workerSettings(config, overrides), store), {
    logger: new ConsoleLogger({ logLevels: logLevels(config.logLevel), colors: false }),
    abortOnError: false,
  });
  return app;
}

/** The first SIGTERM or SIGINT gives the job back and exits 0 within ten seconds; the second exits at once. */
export function goOnSignal(app: INestApplicationContext): void {
  const signals = ['SIGTERM', 'SIGINT'] as const;
  let count = 0;
  for (const signal of signals) {
    process.on(signal, () => {
      count++;
      if (count === 1) setTimeout(() => process.exit(0), GO_WITHIN_MS).unref();
      else process.exit(signal === 'SIGTERM' ? 143 : 130);
    });
  }
  app.enableShutdownHooks([...signals], { useProcessExit: true });
}

async function checkCacheFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CannotStart(
      `The cache folder ${folder} cannot be written (${code}); set SEMDISTILL_CACHE to a folder that can.`,
    );
  }
}

function logLevels(least: Config['logLevel']): LogLevel[] {
  const all: [Config['logLevel'], LogLevel[]][] = [
    ['error', ['fatal', 'error']],
    ['warn', ['warn']],
    ['info', ['log']],
    ['debug', ['debug', 'verbose']],
  ];
  return all.slice(0, all.findIndex(([level]) => level === least) + 1).flatMap(([, levels]) => levels);
}
