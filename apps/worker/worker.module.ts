// The worker as a Nest application: what it stands on, and the one service that works.
import { type DynamicModule, Module } from '@nestjs/common';
import type { ObjectStore } from '#storage';
import { WorkerService } from './worker.service.js';
import { SETTINGS, STORE, type WorkerSettings } from './worker-settings.js';

@Module({})
export class WorkerModule {}

/** The module of a worker with these settings on this store. */
export function workerModule(settings: WorkerSettings, store: ObjectStore): DynamicModule {
  return {
    module: WorkerModule,
    providers: [{ provide: SETTINGS, useValue: settings }, { provide: STORE, useValue: store }, WorkerService],
  };
}
