// The fleet's pub/sub channels: events for whoever watches, controls and drains for workers. Messages may be lost; whoever
// needs to be sure looks at the record.

import { Redis } from 'ioredis';
import type { FleetEvent } from '#experiment';
import { waitingOptions } from './connection.js';

const SUBSCRIBE_WAIT_MS = 1_000;

export const eventsChannel = (prefix: string) => `${prefix}:events`;
export const controlsChannel = (prefix: string) => `${prefix}:controls`;
export const drainChannel = (prefix: string) => `${prefix}:drains`;

type Listener = (message: string) => void;

/** One subscriber connection for any number of listeners; made when first needed, back by itself after an outage. */
export class FleetChannels {
  private connection?: Redis;
  private readonly listeners = new Map<string, Set<Listener>>();

  constructor(
    private readonly redisUrl: string,
    private readonly prefix: string,
  ) {}

  /** Calls `listener` for each event from now on; a Redis that is down delays nothing but the events. */
  async onEvent(listener: (event: FleetEvent) => void): Promise<() => Promise<void>> {
    return this.listen(eventsChannel(this.prefix), (message) => listener(JSON.parse(message) as FleetEvent));
  }

  /** Calls `listener` with the trials that someone cancelled, paused or resumed. */
  async onControls(listener: (trialIds: string[]) => void): Promise<() => Promise<void>> {
    return this.listen(controlsChannel(this.prefix), (message) => listener(JSON.parse(message) as string[]));
  }

  /** Calls `listener` with each worker that is told to go. */
  async onDrain(listener: (workerId: string) => void): Promise<() => Promise<void>> {
    return this.listen(drainChannel(this.prefix), listener);
  }

  async close(): Promise<void> {
    this.listeners.clear();
    this.connection?.disconnect();
  }

  private async listen(channel: string, listener: Listener): Promise<() => Promise<void>> {
    const connection = this.connect();
    const listeners = this.listeners.get(channel) ?? new Set();
    this.listeners.set(channel, listeners);
    listeners.add(listener);
    if (listeners.size === 1) await atMost(connection.subscribe(channel), SUBSCRIBE_WAIT_MS);
    return async () => {
      listeners.delete(listener);
      if (listeners.size === 0) await atMost(connection.unsubscribe(channel), SUBSCRIBE_WAIT_MS);
    };
  }

  private connect(): Redis {
    if (this.connection) return this.connection;
    const connection = new Redis(waitingOptions(this.redisUrl));
    connection.on('error', () => {}); // comes back by itself; what is lost meanwhile is in the record
    connection.on('message', (channel: string, message: string) => {
      for (const listener of [...(this.listeners.get(channel) ?? [])]) listener(message);
    });
    this.connection = connection;
    return connection;
  }
}

/** Waits for a command, but no longer than `ms`; it is sent when Redis is back. */
async function atMost(command: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([command.catch(() => {}), timeout]);
  clearTimeout(timer);
}
