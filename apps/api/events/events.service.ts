// One subscription to the fleet's events per process, fanned out to whoever streams. Events may be missed, so nothing is
// decided by them.
import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { FleetEvent } from '#experiment';
import { type Fleet, FleetUnavailable } from '#queue';
import { FLEET } from '../connections.js';

@Injectable()
export class EventsService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly listeners = new Set<(event: FleetEvent) => void>();
  private subscription: Promise<(() => Promise<void>) | undefined> | undefined;

  constructor(@Inject(FLEET) private readonly fleet: Fleet) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.subscribe();
  }

  /** Calls back for every event from now on; returns the unsubscriber. */
  listen(listener: (event: FleetEvent) => void): () => void {
    this.listeners.add(listener);
    void this.subscribe();
    return () => this.listeners.delete(listener);
  }

  async onModuleDestroy(): Promise<void> {
    const unsubscribe = await this.subscription;
    await unsubscribe?.();
  }

  /** Once; when Redis was away, again at the next occasion. */
  private async subscribe(): Promise<void> {
    this.subscription ??= this.fleet
      .subscribe((event) => this.hear(event))
      .catch((error: unknown) => {
        this.subscription = undefined;
        if (error instanceof FleetUnavailable) return undefined;
        throw error;
      });
    await this.subscription;
  }

  private hear(event: FleetEvent): void {
    for (const listener of this.listeners) listener(event);
  }
}
