// Starts an aggregator in this process: checks what it needs, then settles sweeps until a signal ends it.
import 'reflect-metadata';
import { ConsoleLogger, type DynamicModule, type INestApplicationContext, type LogLevel, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Config } from '#config';
import { openFleet } from '#queue';
import { openStore } from '#storage';
import { AggregatorService } from './aggregator.service.js';
import { FLEET, LOOK_EVERY_MS, STORE } from './connections.js';
import { ReconcilerService } from './reconciler.service.js';

const LOOK_MS = 15_000;
const REDIS_WAIT_MS = 10_000;
const GO_WITHIN_MS = 9_000;

@Module({})
class AggregatorModule {}

/** Throws FleetUnavailable or StoreUnavailable with one sentence when Redis or the store is not there. */
export async function startAggregator(
  config: Config,
  { lookEveryMs = LOOK_MS }: { lookEveryMs?: number } = {},
): Promise<INestApplicationContext> {
  const store = await openStore(config.store);
  await store.check();
  const fleet = openFleet(config);
  try {
    await fleet.check(REDIS_WAIT_MS);
  } catch (error) {
    await fleet.close();
    throw error;
  }
  const module: DynamicModule = {
    module: AggregatorModule,
    providers: [
      { provide: STORE, useValue: store },
      { provide: FLEET, useValue: fleet },
      { provide: LOOK_EVERY_MS, useValue: lookEveryMs },
      ReconcilerService,
      AggregatorService,
    ],
  };
  const logger = new ConsoleLogger({ logLevels: logLevels(config.logLevel), colors: false });
  return NestFactory.createApplicationContext(module, { logger, abortOnError: false });
}

/** The first SIGTERM or SIGINT ends it after what it is at; the second at once. Nothing is lost either way. */
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

function logLevels(least: Config['logLevel']): LogLevel[] {
  const all: [Config['logLevel'], LogLevel[]][] = [
    ['error', ['fatal', 'error']],
    ['warn', ['warn']],
    ['info', ['log']],
    ['debug', ['debug', 'verbose']],
  ];
  return all.slice(0, all.findIndex(([level]) => level === least) + 1).flatMap(([, levels]) => levels);
}
