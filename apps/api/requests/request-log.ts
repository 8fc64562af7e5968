// Gives every request an id and, when it has been answered, one JSON line on stderr. The query string is never logged: a
// signed URL's query is a credential.
import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';

export type LogLine = Record<string, unknown>;
export type Log = (line: LogLine) => void;

const ids = new WeakMap<object, string>();

/** One JSON line on stderr. */
export function logToStderr(line: LogLine): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), service: 'api', ...line })}\n`);
}

export function requestIdOf(request: Request): string {
  let id = ids.get(request);
  if (id === undefined) {
    const given = request.get('x-request-id');
    id = given && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : randomUUID();
    ids.set(request, id);
  }
  return id;
}

/** Express middleware that writes a line for each answered or abandoned request. */
export function requestLog(log: Log) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const requestId = requestIdOf(request);
    const started = performance.now();
    const path = request.path;
    response.setHeader('X-Request-Id', requestId);
    response.once('close', () => {
      log({
        level: response.statusCode >= 500 ? 'error' : 'info',
        method: request.method,
        path,
        status: response.writableFinished ? response.statusCode : 'aborted',
        ms: Math.round((performance.now() - started) * 10) / 10,
        requestId,
      });
    });
    next();
  };
}
