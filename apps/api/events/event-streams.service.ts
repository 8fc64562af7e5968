// Server-sent events: the current state first, then what the fleet reports, a comment every 15 s so that proxies keep the
// connection, and the final state last. The record is looked at as well, for events can be lost.
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { FleetEvent } from '#experiment';
import { EventsService } from './events.service.js';

const HEARTBEAT_MS = 15_000;
const LOOK_MS = 3_000;
/** A client that reads too slowly is let go; it can reconnect and gets the current state. */
const MAX_BUFFERED_BYTES = 4 * 1024 ** 2;

export interface Streamed<T> {
  /** Name of the event that carries the state. */
  name: string;
  state: () => Promise<T>;
  /** The state is final: nothing will follow. */
  isOver: (state: T) => boolean;
  /** Whether a fleet event belongs to this stream. */
  concerns: (event: FleetEvent) => boolean;
  /** Whether after this event the state is probably final. */
  ends: (event: FleetEvent) => boolean;
}

@Injectable()
export class EventStreamsService implements OnModuleDestroy {
  private readonly open = new Set<() => void>();
  private isClosing = false;

  constructor(private readonly events: EventsService) {}

  onModuleDestroy(): void {
    this.isClosing = true;
    for (const close of this.open) close();
  }

  /** Answers with the stream; resolves when it has ended. Errors before the first byte are thrown. */
  async send<T>(request: Request, response: Response, streamed: Streamed<T>): Promise<void> {
    const waiting: FleetEvent[] = [];
    let pass = (event: FleetEvent): void => {
      waiting.push(event);
    };
    // Listening starts before the state is read, so that nothing falls between the two.
    const unlisten = this.events.listen((event) => {
      if (streamed.concerns(event)) pass(event);
    });
    try {
      const first = await streamed.state();
      response.status(200).set({ 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' });
      response.flushHeaders();
      write(response, streamed.name, first);
      if (streamed.isOver(first) || this.isClosing || request.destroyed) {
        response.end();
        return;
      }
      await this.follow(response, streamed, (forward) => {
        pass = forward;
        for (const event of waiting) forward(event);
      });
    } finally {
      unlisten();
    }
  }

  private follow<T>(
    response: Response,
    streamed: Streamed<T>,
    start: (forward: (event: FleetEvent) => void) => void,
  ): Promise<void> {
    return new Promise((resolve) => {
      let isLooking = false;
      const close = () => response.end();
      const look = async (): Promise<void> => {
        if (isLooking) return;
        isLooking = true;
        try {
          const state = await streamed.state();
          if (!streamed.isOver(state)) return;
          write(response, streamed.name, state);
          response.end();
        } catch {
          // The record cannot be read just now; the next look tries again and the client keeps what it has.
        } finally {
          isLooking = false;
        }
      };
      const looking = setInterval(look, LOOK_MS);
      const heartbeat = setInterval(() => response.write(': alive\n\n'), HEARTBEAT_MS);
      this.open.add(close);
      response.once('close', () => {
        clearInterval(looking);
        clearInterval(heartbeat);
        this.open.delete(close);
        resolve();
      });
      start((event) => {
        if (response.writableEnded || response.destroyed) return;
        if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy();
        else if (event.type !== 'trial-progress' || !response.writableNeedDrain) write(response, event.type, event);
        if (streamed.ends(event)) void look();
      });
    });
  }
}

function write(response: Response, name: string, data: unknown): void {
  response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
