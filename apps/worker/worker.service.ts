// The worker's life: takes jobs from the fleet one at a time, shows itself in the registry, and gives its job back when
// it is told to go.
import { hostname } from 'node:os';
import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import type { LiveWorker, Numerics } from '#experiment';
import { type FleetJob, hostJobs, type JobContext, type JobHost } from '#queue';
import type { ObjectStore } from '#storage';
import { BundleRun } from './bundle-run.js';
import { FileCache } from './file-cache.js';
import type { JobTools, WorkerStatus } from './job-tools.js';
import { PreparationRun } from './preparation-run.js';
import { SETTINGS, STORE, type WorkerSettings } from './worker-settings.js';

@Injectable()
export class WorkerService implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly logger = new Logger('Worker');
  private readonly live: LiveWorker;
  private host?: JobHost;
  private bundle?: BundleRun;
  private registry?: NodeJS.Timeout;
  private lastTrouble = '';

  constructor(
    @Inject(SETTINGS) private readonly settings: WorkerSettings,
    @Inject(STORE) private readonly store: ObjectStore,
  ) {
    const now = new Date().toISOString();
    this.live = {
      workerId: settings.workerId,
      host: hostname(),
      processId: process.pid,
      state: 'idle',
      trialIds: [],
      startedAt: now,
      updatedAt: now,
    };
  }

  onApplicationBootstrap(): void {
    const { config, workerId, times, lockTimes } = this.settings;
    this.host = hostJobs(config, {
      workerId,
      handle: (job, context) => this.handle(job, context),
      onControls: (trialIds) => this.lookAtRecord(trialIds),
      onLockTrouble: () => this.lookAtRecord(),
      onTrouble: (message) => this.warnOnce(message),
      onReady: () => this.show(),
      ...(lockTimes ? { lockTimes } : {}),
    });
    this.registry = setInterval(() => this.show(), times.registryMs);
    for (const warning of this.store.warnings) this.logger.warn(warning);
    this.logger.log(`${workerId} takes jobs; store: ${this.store.description}`);
  }

  /** Jobs go back before anything is closed. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.registry);
    this.live.state = 'draining';
    await this.host?.giveBack();
    await this.host?.reports.workerGone(this.settings.workerId);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.host?.close();
    await this.store.close();
    this.logger.log('gone; what it was at is back in the queue');
  }

  private async handle(job: FleetJob, context: JobContext): Promise<void> {
    if (!this.host) throw new Error('a job before the host');
    const { settings, store } = this;
    const tools: JobTools = {
      settings,
      store,
      cache: new FileCache(store, settings.config.cacheFolder),
      reports: this.host.reports,
      status: this.status(),
      log: this.logger,
    };
    if (job.kind === 'preparation') return new PreparationRun(tools, job, context).run();
    this.bundle = new BundleRun(tools, job, context);
    try {
      await this.bundle.run();
    } finally {
      delete this.bundle;
    }
  }

  private lookAtRecord(trialIds?: string[]): void {
    this.bundle?.lookAtRecord(trialIds).catch((error: Error) => this.warnOnce(error.message));
  }

  private status(): WorkerStatus {
    return {
      training: (trialIds: string[]) => {
        this.live.trialIds = trialIds;
        if (this.live.state !== 'draining') this.live.state = trialIds.length > 0 ? 'training' : 'idle';
        if (trialIds.length === 0) delete this.live.tokensPerSecond;
        this.show();
      },
      speed: (tokensPerSecond: number) => {
        this.live.tokensPerSecond = tokensPerSecond;
      },
      numerics: (numerics: Numerics) => {
        this.live.numerics = numerics;
      },
    };
  }

  private show(): void {
    this.live.updatedAt = new Date().toISOString();
    void this.host?.reports.worker(this.live);
  }

  /** An outage says the same thing every second. */
  private warnOnce(message: string): void {
    if (message !== this.lastTrouble) this.logger.warn(message);
    this.lastTrouble = message;
  }
}
