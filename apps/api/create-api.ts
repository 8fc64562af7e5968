// Puts the Nest application together: middleware, guard, filter, versions, documentation. It listens to nothing yet.
import { type LoggerService, VersioningType } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { apiModule } from './api.module.js';
import { keepOwner } from './authentication/owner.js';
import type { Connections } from './connections.js';
import { serveDocument } from './openapi/document.js';
import { ProblemFilter } from './problems/problem.filter.js';
import { type Log, requestLog } from './requests/request-log.js';
import { securityHeaders } from './requests/security-headers.js';

/** Time a client may take for one request: long enough for half a gigabyte over a slow line. */
const REQUEST_TIMEOUT_MS = 3600_000;
const HEADERS_TIMEOUT_MS = 30_000;

export async function createApi(connections: Connections, log: Log): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(apiModule(connections), {
    bodyParser: false,
    logger: nestLogger(log),
    abortOnError: false,
  });
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  app.set('etag', false);
  app.use(requestLog(log), securityHeaders, keepOwner);
  app.enableVersioning({ type: VersioningType.URI });
  app.useGlobalFilters(new ProblemFilter((requestId, error) => log({ level: 'error', requestId, ...describe(error) })));
  serveDocument(app);
  const server = app.getHttpServer();
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  return app;
}

function describe(error: unknown): { error: string; cause?: string; stack?: string } {
  if (!(error instanceof Error)) return { error: String(error) };
  const cause = error.cause instanceof Error ? { cause: error.cause.message } : {};
  // What is known to fail (Redis, store) says where by itself; the stack is for our own mistakes.
  const isKnown = error.name === 'FleetUnavailable' || error.name === 'StoreUnavailable';
  return { error: `${error.name}: ${error.message}`, ...cause, ...(isKnown ? {} : { stack: error.stack ?? '' }) };
}

/** Nest's own warnings and errors as log lines; its chatter is dropped. */
function nestLogger(log: Log): LoggerService {
  const quiet = () => {};
  return {
    log: quiet,
    debug: quiet,
    verbose: quiet,
    warn: (message: unknown) => log({ level: 'warn', message: String(message) }),
    error: (message: unknown, ...rest: unknown[]) => log({ level: 'error', message: String(message), details: rest }),
    fatal: (message: unknown) => log({ level: 'error', message: String(message) }),
  };
}
