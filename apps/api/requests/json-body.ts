// Reads a JSON body after the guard has let the request through (so nobody without the key makes us buffer anything), and
// hands it to one of libs/experiment's parsers, which name every fault at once.
import { createParamDecorator, type ExecutionContext, type PipeTransform } from '@nestjs/common';
import type { Request } from 'express';
import { InvalidRequest } from '#experiment';
import { HttpProblem } from '../problems/problem.js';
import { findJsonFault } from './json-fault.js';

const JSON_LIMIT_BYTES = 1024 * 1024;

/** The parsed JSON body of the request, before any meaning is given to it. */
export const JsonBody = createParamDecorator((_: unknown, context: ExecutionContext) =>
  readJson(context.switchToHttp().getRequest<Request>()),
);

/** Turns the body into a request by a parser that throws InvalidRequest. */
export class ParsePipe<T> implements PipeTransform<unknown, T> {
  constructor(private readonly parse: (body: unknown) => T) {}
  transform(body: unknown): T {
    return this.parse(body);
  }
}

export async function readJson(request: Request): Promise<unknown> {
  requireContentType(request, ['application/json']);
  const text = decodeUtf8(await readBytes(request, JSON_LIMIT_BYTES));
  if (text.trim() === '') throw new InvalidRequest([{ path: '', message: 'the body is empty; send a JSON object' }]);
  const fault = findJsonFault(text);
  if (fault === undefined) return JSON.parse(text);
  const before = text.slice(0, fault.offset).split('\n');
  const column = (before.at(-1)?.length ?? 0) + 1;
  throw new InvalidRequest([
    {
      path: '',
      message: `the body is not JSON: expected ${fault.wanted} at position ${fault.offset} (line ${before.length}, column ${column})`,
    },
  ]);
}

/** The bare media type of the body; refuses all but the allowed ones, other charsets than UTF-8, and encoded bodies. */
export function requireContentType(request: Request, allowed: string[]): string {
  const header = request.get('content-type') ?? '';
  const mediaType = header.split(';')[0]?.trim().toLowerCase() ?? '';
  if (!allowed.includes(mediaType)) {
    throw new HttpProblem(
      415,
      `Send the body as Content-Type ${allowed.join(' or ')}, not ${mediaType ? JSON.stringify(mediaType) : 'without a type'}.`,
    );
  }
  const charset = /;\s*charset="?([^";\s]+)/i.exec(header)?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    throw new HttpProblem(415, `Send the body in UTF-8, not ${JSON.stringify(charset)}.`);
  }
  const encoding = request.get('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new HttpProblem(415, `Send the body as it is, without Content-Encoding ${JSON.stringify(encoding)}.`);
  }
  return mediaType;
}

export function tooLarge(limitBytes: number): HttpProblem {
  return new HttpProblem(413, `The body is larger than the ${limitBytes / 1024 ** 2} MiB allowed here.`);
}

async function readBytes(request: Request, limitBytes: number): Promise<Buffer> {
  if (Number(request.get('content-length') ?? 0) > limitBytes) throw tooLarge(limitBytes);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      // Beyond the limit the rest is read and dropped, so that the client gets to see the answer.
      if (size > limitBytes) reject(tooLarge(limitBytes));
      else chunks.push(chunk);
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
    request.once('close', () => reject(new HttpProblem(400, 'The request was broken off.')));
  });
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InvalidRequest([{ path: '', message: 'the body is not UTF-8' }]);
  }
}
