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
import { type FleetJob, GivenBack, hostJobs, type JobContext, type JobHost, type Taker } from '#queue';
import type { ObjectStore } from '#storage';
import { BundleRun } from './bundle-run.js';
import { deviceFacts } from './device-facts.js';
import { hasRoom, isDiskFull } from './disk-room.js';
import { FileCache } from './file-cache.js';
import { trainerEnvironment } from './fork-environment.js';
import { HeldFiles } from './held-files.js';
import type { JobTools, WorkerStatus } from './job-tools.js';
import { PreparationRun } from './preparation-run.js';
import { WarmTrainer } from './trainer-process.js';
import { SETTINGS, STORE, type WorkerSettings } from './worker-settings.js';

@Injectable()
export class WorkerService implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly logger = new Logger('Worker');
  private readonly live: LiveWorker;
  private readonly warm: WarmTrainer;
  /** What lies in this machine's cache; its workers share it. */
  private readonly held: HeldFiles;
  private host?: JobHost;
  private bundle?: BundleRun;
  private registry?: NodeJS.Timeout;
  private diskWatch: NodeJS.Timeout | undefined;
  private lastTrouble = '';

  constructor(
    @Inject(SETTINGS) private readonly settings: WorkerSettings,
    @Inject(STORE) private readonly store: ObjectStore,
  ) {
    const { config, trainer } = settings;
    this.held = new HeldFiles(config.cacheFolder);
    this.warm = new WarmTrainer(trainer, config.cacheFolder, trainerEnvironment(config.threads));
    const now = new Date().toISOString();
    this.live = {
      workerId: settings.workerId,
      host: hostname(),
      processId: process.pid,
      device: deviceFacts(),
      pool: config.workerPool,
      labels: config.workerLabels,
      memoryBytes: settings.memoryBytes,
      holds: this.held.ids,
      state: 'idle',
      trialIds: [],
      startedAt: now,
      updatedAt: now,
    };
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.held.look();
    const { config, workerId, times, lockTimes } = this.settings;
    this.host = hostJobs(config, {
      workerId,
      handle: (job, context) => this.handle(job, context),
      onControls: (trialIds) => this.lookAtRecord(trialIds),
      onLockTrouble: () => this.lookAtRecord(),
      onDrain: () => this.drain(),
      onTrouble: (message) => this.warnOnce(message),
      onReady: () => this.show(),
      taker: () => this.taker(),
      ...(lockTimes ? { lockTimes } : {}),
    });
    this.warm.prepare();
    this.registry = setInterval(() => this.showAndAsk(), times.registryMs);
    for (const warning of this.store.warnings) this.logger.warn(warning);
    this.logger.log(`${workerId} takes jobs; store: ${this.store.description}`);
  }

  /** Jobs go back before anything is closed. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.registry);
    clearInterval(this.diskWatch);
    this.live.state = 'draining';
    this.warm.drop();
    await this.host?.giveBack();
    await this.host?.reports.takeDrain(this.settings.workerId);
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
    await this.requireRoom();
    const tools: JobTools = {
      settings,
      store,
      cache: new FileCache(store, settings.config.cacheFolder),
      reports: this.host.reports,
      status: this.status(),
      warm: this.warm,
      log: this.logger,
    };
    try {
      if (job.kind === 'preparation') return await new PreparationRun(tools, job, context).run();
      this.bundle = new BundleRun(tools, job, context);
      await this.bundle.run();
    } catch (error) {
      // What failed for want of room is no fault of the job.
      if (isDiskFull(error)) await this.requireRoom();
      throw error;
    } finally {
      delete this.bundle;
    }
  }

  /** Gives the job back, and takes none until there is room, when the disk is full. */
  private async requireRoom(): Promise<void> {
    const { disk, times } = this.settings;
    if (await hasRoom(disk)) return;
    this.logger.warn(`the disk of ${disk.folder} is full; no jobs are taken until there is room`);
    await this.host?.rest();
    this.diskWatch ??= setInterval(async () => {
      if (!(await hasRoom(disk).catch(() => false))) return;
      clearInterval(this.diskWatch);
      this.diskWatch = undefined;
      this.logger.log('there is room on the disk again');
      this.host?.wake();
    }, times.diskMs);
    throw new GivenBack('the disk of this worker is full');
  }

  private lookAtRecord(trialIds?: string[]): void {
    this.bundle?.lookAtRecord(trialIds).catch((error: Error) => this.warnOnce(error.message));
  }

  private taker(): Taker {
    const { config, memoryBytes } = this.settings;
    return { pool: config.workerPool, labels: config.workerLabels, memoryBytes, holds: this.held.ids };
  }

  private status(): WorkerStatus {
    return {
      training: (trialIds: string[]) => {
        this.live.trialIds = trialIds;
        if (this.live.state !== 'draining') this.live.state = trialIds.length > 0 ? 'training' : 'idle';
        if (trialIds.length === 0) delete this.live.tokensPerSecond;
        this.show();
        if (trialIds.length === 0) void this.held.look(); // what was fetched for them is there now
      },
      speed: (tokensPerSecond: number) => {
        this.live.tokensPerSecond = tokensPerSecond;
      },
      numerics: (numerics: Numerics) => {
        this.live.numerics = numerics;
      },
    };
  }

  /** Told to go over the API; the process ends as after SIGTERM. */
  private drain(): void {
    if (this.live.state === 'draining') return;
    this.live.state = 'draining';
    this.show();
    this.logger.log('drained: takes no more jobs, gives back what it is at');
    this.settings.goAway();
  }

  /** The message to go may be lost, the mark for it is not. */
  private showAndAsk(): void {
    this.show();
    void this.host?.reports.takeDrain(this.settings.workerId).then((isAsked) => {
      if (isAsked) this.drain();
    });
  }

  private show(): void {
    this.live.updatedAt = new Date().toISOString();
    this.live.holds = this.held.ids;
    void this.host?.reports.worker(this.live);
  }

  /** An outage says the same thing every second. */
  private warnOnce(message: string): void {
    if (message !== this.lastTrouble) this.logger.warn(message);
    this.lastTrouble = message;
  }
}
