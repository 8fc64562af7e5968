// Lets through whoever shows the API key (Authorization: Bearer, or X-API-Key) and every route marked @Open.
import { createHash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Inject, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import type { Config } from '#config';
import { CONFIG } from '../connections.js';
import { HttpProblem } from '../problems/problem.js';

const OPEN = 'open to everyone';

/** Marks a controller or route that needs no API key. */
export const Open = () => SetMetadata(OPEN, true);

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

@Injectable()
export class ApiKeyGuard implements CanActivate {
  private readonly expected: Buffer;

  constructor(
    @Inject(CONFIG) config: Config,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {
    this.expected = digest(config.apiKey);
  }

  canActivate(context: ExecutionContext): boolean {
    if (this.reflector.getAllAndOverride<boolean>(OPEN, [context.getHandler(), context.getClass()])) return true;
    const request = context.switchToHttp().getRequest<Request>();
    const key = keyIn(request);
    // Digests have one length, so the comparison takes the same time whatever was sent.
    if (key !== undefined && timingSafeEqual(digest(key), this.expected)) return true;
    throw new HttpProblem(
      401,
      key === undefined
        ? 'This needs the API key: send the header "Authorization: Bearer <key>" or "X-API-Key: <key>".'
        : 'The API key is not the one this server was started with (SEMDISTILL_API_KEY).',
      { 'WWW-Authenticate': 'Bearer' },
    );
  }
}

function keyIn(request: Request): string | undefined {
  const header = request.get('authorization');
  const bearer = header === undefined ? undefined : /^Bearer +(.+)$/i.exec(header.trim())?.[1];
  return bearer ?? request.get('x-api-key');
}
