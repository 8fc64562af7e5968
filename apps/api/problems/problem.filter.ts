// The one place where errors become answers: application/problem+json, one sentence, never a stack. What the user did wrong
// is said in full; what we did wrong goes to the log under the request id.
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Conflict, type Fault, Impossible, InvalidRequest, NotFound, NotReady, Removed } from '#experiment';
import { FleetUnavailable } from '#queue';
import { ObjectCorrupt, ObjectNotFound, StoreUnavailable } from '#storage';
import { requestIdOf } from '../requests/request-log.js';
import { HttpProblem, type ProblemView, titleOf, typeOf } from './problem.js';

interface Answer {
  status: number;
  detail: string;
  errors?: Fault[];
  headers?: Record<string, string>;
}

/** Seconds after which a client should try again when Redis or the store is away. */
const RETRY_AFTER_SECONDS = '2';

@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logFailure: (requestId: string, error: unknown) => void) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    const requestId = requestIdOf(request);
    const answer = answerTo(error, request);
    if (answer.status >= 500) this.logFailure(requestId, error);
    if (response.headersSent || response.destroyed) {
      // Half an answer is out: breaking the connection is the only way left to say that it is not whole.
      response.destroy();
      return;
    }
    const problem: ProblemView = {
      type: typeOf(answer.status),
      title: titleOf(answer.status),
      status: answer.status,
      detail: answer.detail,
      ...(answer.errors ? { errors: answer.errors } : {}),
      requestId,
    };
    for (const name of ['Content-Length', 'Content-Disposition', 'Content-Range', 'ETag', 'Accept-Ranges']) {
      response.removeHeader(name);
    }
    response.status(answer.status).set({ 'Cache-Control': 'no-store', ...answer.headers });
    response.type('application/problem+json').send(JSON.stringify(problem));
  }
}

function answerTo(error: unknown, request: Request): Answer {
  if (error instanceof InvalidRequest) return { status: 400, detail: error.message, errors: error.faults };
  if (error instanceof NotFound) return { status: 404, detail: error.message };
  if (error instanceof Removed) return { status: 410, detail: error.message };
  if (error instanceof NotReady || error instanceof Conflict) return { status: 409, detail: error.message };
  if (error instanceof Impossible) return { status: 400, detail: error.message };
  if (error instanceof FleetUnavailable || error instanceof StoreUnavailable) {
    return { status: 503, detail: error.message, headers: { 'Retry-After': RETRY_AFTER_SECONDS } };
  }
  if (error instanceof HttpProblem) return { status: error.status, detail: error.message, headers: error.headers };
  if (error instanceof ObjectNotFound) return { status: 404, detail: 'The object store does not hold this file.' };
  if (error instanceof ObjectCorrupt) return { status: 500, detail: `${error.message}; restore it from a backup.` };
  if (error instanceof HttpException && error.getStatus() === 404) {
    return { status: 404, detail: `There is no ${request.method} ${request.path}; /docs lists what there is.` };
  }
  const status = statusIn(error);
  if (status !== undefined && status < 500) return { status, detail: `The request could not be read (${status}).` };
  return { status: 500, detail: 'The server failed; its log has the details under this request id.' };
}

/** Express and its parsers throw errors that carry the status they stand for. */
function statusIn(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus();
  if (typeof error !== 'object' || error === null || !('status' in error)) return undefined;
  return typeof error.status === 'number' && error.status >= 400 && error.status < 600 ? error.status : undefined;
}
