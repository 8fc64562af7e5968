// Lets through whoever shows an API key (Authorization: Bearer, or X-API-Key), notes whose it is, and every route marked @Open.
import { createHash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Inject, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import type { Config } from '#config';
import { CONFIG } from '../connections.js';
import { HttpProblem } from '../problems/problem.js';
import { setOwner } from './owner.js';

const OPEN = 'open to everyone';

/** Marks a controller or route that needs no API key. */
export const Open = () => SetMetadata(OPEN, true);

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

@Injectable()
export class ApiKeyGuard implements CanActivate {
  private readonly expected: { digest: Buffer; owner: string }[];

  constructor(
    @Inject(CONFIG) config: Config,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {
    this.expected = Object.entries(config.ownersByKey).map(([key, owner]) => ({ digest: digest(key), owner }));
  }

  canActivate(context: ExecutionContext): boolean {
    if (this.reflector.getAllAndOverride<boolean>(OPEN, [context.getHandler(), context.getClass()])) return true;
    const request = context.switchToHttp().getRequest<Request>();
    const key = keyIn(request);
    const owner = key === undefined ? undefined : this.ownerOf(key);
    if (owner !== undefined) {
      setOwner(owner);
      return true;
    }
    throw new HttpProblem(
      401,
      key === undefined
        ? 'This needs the API key: send the header "Authorization: Bearer <key>" or "X-API-Key: <key>".'
        : 'The API key is none of those this server was started with (SEMDISTILL_API_KEY, SEMDISTILL_API_KEYS).',
      { 'WWW-Authenticate': 'Bearer' },
    );
  }

  /** Digests have one length, and all are compared, so it takes the same time whatever was sent. */
  private ownerOf(key: string): string | undefined {
    const shown = digest(key);
    let found: string | undefined;
    for (const { digest: expected, owner } of this.expected) if (timingSafeEqual(shown, expected)) found = owner;
    return found;
  }
}

function keyIn(request: Request): string | undefined {
  const header = request.get('authorization');
  const bearer = header === undefined ? undefined : /^Bearer +(.+)$/i.exec(header.trim())?.[1];
  return bearer ?? request.get('x-api-key');
}
