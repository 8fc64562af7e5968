// A proxy before an S3 server that delays, resets, refuses, cuts, damages or ages its answers, lacks what some servers lack,
// and can hold one request for as long as a test needs to kill the client.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from 'minio';
import type { S3Settings } from '#config';

export const FAULTS = [
  /** The answer comes late, but in time. */
  'delay',
  /** The connection is reset before the server hears of the request. */
  'reset',
  /** The connection is reset while the body is on its way. */
  'resetInBody',
  'slowDown',
  'denied',
  /** No answer at all. */
  'silence',
  /** The server does as asked, and nobody hears of it. */
  'lostAnswer',
  /** The answer's body is cut and the connection reset. */
  'cut',
  /** The answer's body is cut and the connection closed in good order. */
  'truncated',
  /** One byte of the answer's body is another. */
  'damaged',
  /** A GET or HEAD is answered as it was the time before. */
  'stale',
] as const;
/** 'full': what is to be written is refused for want of space. */
export type Fault = (typeof FAULTS)[number] | 'full';

/** Things a lesser server lacks. */
export type Lack =
  | 'conditions'
  | 'conditionsSilently'
  | 'conditionalComplete'
  | 'multipart'
  | 'ranges'
  | 'startAfter'
  | 'uploadListing'
  | 'metadata';

export interface SeenRequest {
  method: string;
  /** Path and query. */
  url: string;
  /** Number of the part, where it is one of an upload. */
  part: number | undefined;
}

export interface FaultProxy {
  endpoint: URL;
  /** What to do to the next requests, in order; afterwards all is well. */
  fail(...faults: (Fault | undefined)[]): void;
  /** What to do to every part of an upload from this number on, until the next `fail`. */
  failParts(fault: Fault, from?: number): void;
  /** What to do to each request, until the next `fail`. */
  decide(choose: (request: SeenRequest) => Fault | undefined): void;
  /** How many requests have been failed since the last of these calls. */
  failed(): number;
  /** The server is without these from now on. */
  lack(...lacks: Lack[]): void;
  /** Requests since the last of these calls. */
  seen(): SeenRequest[];
  /** Holds the first request that fits, before the server hears of it or before its answer comes back. */
  hold(fits: (request: SeenRequest) => boolean, when: 'before' | 'after'): Promise<void>;
  close(): Promise<void>;
}

interface Exchange {
  request: http.IncomingMessage;
  answer: http.ServerResponse;
  fault: Fault | undefined;
}

interface Remembered {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

const MAX_REMEMBERED = 4 * 1024 ** 2;
const DELAY_MS = 100;

export async function startFaultProxy(settings: S3Settings): Promise<FaultProxy> {
  let choose: (request: SeenRequest) => Fault | undefined = () => undefined;
  let failed = 0;
  let seen: SeenRequest[] = [];
  let held: { fits: (request: SeenRequest) => boolean; when: 'before' | 'after'; reached: () => void } | undefined;
  const lacks = new Set<Lack>();
  const remembered = new Map<string, Remembered>();
  const reset = (next: typeof choose) => {
    choose = next;
    failed = 0;
    seen = [];
  };

  const server = http.createServer((request, answer) => {
    request.on('error', () => {});
    answer.on('error', () => {});
    const url = request.url ?? '/';
    const part = /[?&]partNumber=(\d+)/.exec(url)?.[1];
    const shown = { method: request.method ?? '', url, part: part === undefined ? undefined : Number(part) };
    seen.push(shown);
    const fault = choose(shown);
    if (fault) failed += 1;
    const hold = held?.fits(shown) ? held : undefined;
    if (hold) held = undefined;
    if (hold?.when === 'before') hold.reached();
    else handle({ request, answer, fault }, hold?.reached);
  });

  function handle({ request, answer, fault }: Exchange, holdAnswer: (() => void) | undefined): void {
    const resetSocket = () => request.socket.resetAndDestroy();
    const lacking = lackOf(request, lacks);
    const old = fault === 'stale' ? remembered.get(`${request.method} ${request.url}`) : undefined;
    if (fault === 'silence') request.resume();
    else if (fault === 'reset') resetSocket();
    else if (fault === 'resetInBody') request.once('data', resetSocket).once('end', resetSocket);
    else if (fault === 'slowDown') refuse(answer, 503, 'SlowDown');
    else if (fault === 'denied') refuse(answer, 403, 'AccessDenied');
    else if (fault === 'full') refuse(answer, 507, 'XMinioStorageFull');
    else if (fault === 'delay') setTimeout(() => pass({ request, answer, fault: undefined }, holdAnswer), DELAY_MS);
    else if (old) answer.writeHead(old.status, old.headers as http.OutgoingHttpHeaders).end(old.body);
    else if (lacking === 'refused') refuse(answer, 501, 'NotImplemented');
    else if (lacking) void forwardChanged(settings, { request, answer, fault }, lacking);
    else pass({ request, answer, fault }, holdAnswer);
  }

  /** The signature covers the host header, which is passed on as it came. */
  function pass({ request, answer, fault }: Exchange, holdAnswer: (() => void) | undefined): void {
    const { hostname, port } = settings.endpoint;
    const options = { hostname, port, method: request.method, path: request.url ?? '/', headers: request.headers };
    const passed = http.request({ ...options, agent: false }, (response) => {
      response.on('error', () => answer.destroy());
      const isUnheard = holdAnswer !== undefined || fault === 'lostAnswer';
      if (isUnheard) {
        response.resume().on('end', holdAnswer ?? (() => request.socket.resetAndDestroy()));
        return;
      }
      remember(request, response);
      answer.writeHead(response.statusCode ?? 500, response.headers);
      if (fault === 'cut' || fault === 'truncated') {
        cutAfterFirst({ request, answer, fault }, response);
        return;
      }
      let isDamaged = fault !== 'damaged';
      response.on('data', (chunk: Buffer) => {
        if (!isDamaged) chunk[chunk.length >> 1] = (chunk[chunk.length >> 1] ?? 0) ^ 1;
        isDamaged = true;
        if (!answer.write(chunk)) {
          response.pause();
          answer.once('drain', () => response.resume());
        }
      });
      response.on('end', () => answer.end());
      answer.on('close', () => response.destroy());
    });
    passed.on('error', () => request.socket.destroy());
    request.on('close', () => {
      if (!request.complete) passed.destroy();
    });
    request.pipe(passed);
  }

  function remember(request: http.IncomingMessage, response: http.IncomingMessage): void {
    if (request.method !== 'GET' && request.method !== 'HEAD') return;
    if (Number(response.headers['content-length'] ?? 0) > MAX_REMEMBERED) return;
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(Buffer.from(chunk)));
    response.on('end', () => {
      const { statusCode: status = 500, headers } = response;
      remembered.set(`${request.method} ${request.url}`, { status, headers, body: Buffer.concat(chunks) });
    });
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    fail: (...faults) => reset(() => faults.shift()),
    failParts: (fault, from = 1) => reset(({ part }) => (part !== undefined && part >= from ? fault : undefined)),
    decide: reset,
    failed: () => failed,
    lack: (...now) => {
      lacks.clear();
      for (const one of now) lacks.add(one);
    },
    seen: () => seen,
    hold: (fits, when) =>
      new Promise((reached) => {
        held = { fits, when, reached };
        seen = [];
      }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(answer: http.ServerResponse, status: number, code: string): void {
  answer.writeHead(status, { connection: 'close' }).end(`<Error><Code>${code}</Code><Message>No</Message></Error>`);
}

function cutAfterFirst({ request, answer, fault }: Exchange, response: http.IncomingMessage): void {
  const end = () => (fault === 'cut' ? request.socket.resetAndDestroy() : request.socket.end());
  response.once('data', (chunk: Buffer) => {
    answer.write(chunk.subarray(0, Math.max(1, chunk.length >> 1)), end);
    response.destroy();
  });
  response.once('end', end);
}

interface Change {
  withoutHeader?: RegExp;
  withoutQuery?: string;
}

/** What a server with such lacks makes of a request: an error, or another request. */
function lackOf(request: http.IncomingMessage, lacks: Set<Lack>): 'refused' | Change | undefined {
  const { method, url = '', headers } = request;
  const isConditional = headers['if-none-match'] !== undefined;
  if (isConditional && lacks.has('conditions')) return 'refused';
  if (isConditional && lacks.has('conditionsSilently')) return { withoutHeader: /^if-none-match$/ };
  if (isConditional && method === 'POST' && lacks.has('conditionalComplete'))
    return { withoutHeader: /^if-none-match$/ };
  if (method === 'POST' && /[?&]uploads/.test(url) && lacks.has('multipart')) return 'refused';
  if (method === 'GET' && /[?&]uploads/.test(url) && lacks.has('uploadListing')) return 'refused';
  if (headers.range !== undefined && lacks.has('ranges')) return { withoutHeader: /^range$/ };
  if (url.includes('start-after=') && lacks.has('startAfter')) return { withoutQuery: 'start-after' };
  if (method === 'PUT' && lacks.has('metadata')) return { withoutHeader: /^x-amz-meta-/ };
  return undefined;
}

/** Sends a changed request under a signature of its own. */
async function forwardChanged(settings: S3Settings, { request, answer }: Exchange, change: Change): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const [, bucketName = '', ...key] = path.split('/');
  const kept = query.split('&').filter((item) => !item.startsWith(`${change.withoutQuery}=`));
  const headers = Object.fromEntries(
    Object.entries(request.headers).filter(
      ([name]) => /^(content-type|range|if-none-match|x-amz-meta-.*)$/.test(name) && !change.withoutHeader?.test(name),
    ),
  ) as Record<string, string>;
  const options = {
    method: request.method as 'GET',
    bucketName,
    objectName: key.join('/'),
    query: kept.join('&'),
    headers,
  };
  const every = Array.from({ length: 600 }, (_, status) => status);
  const body = Buffer.concat(chunks);
  if (options.method !== 'GET') headers['content-length'] = String(body.length);
  const response = await minioClient(settings).makeRequestAsync(options, body, every, settings.region);
  answer.writeHead(response.statusCode ?? 500, response.headers);
  response.pipe(answer);
}

/** The plain client, for what tests do behind the store's back. */
export function minioClient({ endpoint, accessKey, secretKey, region }: S3Settings): Client {
  const { hostname, port } = endpoint;
  return new Client({
    endPoint: hostname,
    port: Number(port),
    useSSL: false,
    accessKey,
    secretKey,
    region,
    retryOptions: { disableRetry: true },
  });
}

/** Unfinished uploads of a key: MinIO lists them only by the whole key. */
export async function countUnfinishedUploads(settings: S3Settings, key: string): Promise<number> {
  let count = 0;
  for await (const _upload of minioClient(settings).listIncompleteUploads(settings.bucket, key, true)) count += 1;
  return count;
}
