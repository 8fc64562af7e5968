// When the aggregator works: at the start, at every event that may end a sweep, and every few seconds whatever happened.
// One thing at a time.
import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import type { FleetEvent } from '#experiment';
import type { RedisFleet } from '#queue';
import type { ObjectStore } from '#storage';
import { FLEET, LOOK_EVERY_MS, STORE } from './connections.js';
import { ReconcilerService } from './reconciler.service.js';

/** Trials of a bundle end close together; their events are answered with one look. */
const GATHER_MS = 100;
/** So many looks apart everything is searched for what needs mending; at 15 s a look that is every five minutes. */
const LOOKS_A_SEARCH = 20;
/** An event about an unknown trial tells of a sweep not seen yet; not more often than this is it looked for. */
const EXTRA_LOOK_MS = 1_000;

@Injectable()
export class AggregatorService implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly logger = new Logger('Aggregator');
  private readonly ended = new Set<string>();
  private unsubscribe?: () => Promise<void>;
  private timer?: NodeJS.Timeout;
  private gathering?: NodeJS.Timeout;
  private work: Promise<void> = Promise.resolve();
  private isClosing = false;
  private lastLookAt = Number.NEGATIVE_INFINITY;
  private lastTrouble = '';
  private looks = 0;

  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    @Inject(FLEET) private readonly fleet: RedisFleet,
    @Inject(LOOK_EVERY_MS) private readonly lookEveryMs: number,
    private readonly reconciler: ReconcilerService,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.unsubscribe = await this.fleet.subscribe((event) => this.hear(event));
    this.timer = setInterval(() => this.enqueueLook(), this.lookEveryMs);
    this.enqueueLook();
    for (const warning of this.store.warnings) this.logger.warn(warning);
    this.logger.log(`settles sweeps; store: ${this.store.description}`);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.isClosing = true;
    clearInterval(this.timer);
    clearTimeout(this.gathering);
    await this.unsubscribe?.();
    await this.work;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.fleet.close();
    await this.store.close();
  }

  private hear(event: FleetEvent): void {
    // What a sweep waits for besides its trials: its models joined.
    if (event.type === 'preparation-ended') this.inTurn(() => this.look());
    if (event.type !== 'trial-ended') return;
    this.ended.add(event.trialId);
    this.gathering ??= setTimeout(() => {
      delete this.gathering;
      const trialIds = [...this.ended];
      this.ended.clear();
      this.inTurn(() => this.answer(trialIds));
    }, GATHER_MS);
  }

  private async answer(trialIds: string[]): Promise<void> {
    const isNew = trialIds.some((trialId) => !this.reconciler.isAsked(trialId));
    if (isNew && performance.now() - this.lastLookAt > EXTRA_LOOK_MS) await this.look();
    await this.reconciler.trialsEnded(trialIds);
  }

  private enqueueLook(): void {
    // A look that takes longer than the time between two is not queued up behind itself.
    if (performance.now() - this.lastLookAt < this.lookEveryMs / 2) return;
    this.inTurn(() => this.look());
  }

  private async look(): Promise<void> {
    this.lastLookAt = performance.now();
    await this.reconciler.reconcile();
    if (++this.looks % LOOKS_A_SEARCH === 0) await this.reconciler.mendTheRest();
    this.lastLookAt = performance.now();
  }

  private inTurn(task: () => Promise<void>): void {
    this.work = this.work.then(async () => {
      if (this.isClosing) return;
      try {
        await task();
        this.lastTrouble = '';
      } catch (error) {
        const { message } = error as Error;
        if (message !== this.lastTrouble) this.logger.warn(`${message} (tried again at the next look)`);
        this.lastTrouble = message;
      }
    });
  }
}
