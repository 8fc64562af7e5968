// Faults of the HTTP exchange itself (no key, wrong content type, a range outside the file): what the filter turns into
// application/problem+json beside the domain errors of libs/experiment.
import type { Fault } from '#experiment';

/** The body of every error answer (RFC 9457). */
export interface ProblemView {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: Fault[];
  requestId: string;
}

export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

const TITLES: Record<number, string> = {
  400: 'Invalid request',
  401: 'API key needed',
  403: 'Forbidden',
  404: 'Not found',
  410: 'Gone',
  406: 'Not acceptable',
  409: 'Conflict',
  413: 'Too large',
  415: 'Unsupported media type',
  416: 'Range not satisfiable',
  429: 'Too much waiting',
  500: 'Internal error',
  503: 'Unavailable',
};

export function titleOf(status: number): string {
  return TITLES[status] ?? (status < 500 ? 'Request refused' : 'Internal error');
}

export function typeOf(status: number): string {
  return `urn:semdistill:problem:${titleOf(status).toLowerCase().replaceAll(' ', '-')}`;
}
