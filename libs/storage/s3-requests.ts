// One HTTP request to an S3 server, and how often it is tried. The minio client signs and sends; it neither retries, nor
// limits time, nor cancels here, because its own way of doing so loses the server's answer: this file does.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { Client } from 'minio';
import type { S3Settings } from '#config';
import { giveBack } from './give-back.js';
import { StoreUnavailable } from './object-store.js';
import { asFailure, isRetriable, S3Failure, storeTrouble } from './s3-failure.js';
import { errorIn } from './s3-xml.js';

export interface RetryPolicy {
  /** How often one request is tried in all. */
  attempts: number;
  /** Wait before the second try; doubled each time, with up to as much again at random. */
  firstDelayMs: number;
  /** A connection on which nothing moves for so long is broken off. */
  idleTimeoutMs: number;
}

export const DEFAULT_RETRIES: RetryPolicy = { attempts: 6, firstDelayMs: 150, idleTimeoutMs: 30_000 };

export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Absent: the request is about the bucket. */
  key?: string;
  query?: string;
  headers?: Record<string, string>;
  /** Bytes, or a part of a file that is opened anew for every try. */
  body?: Buffer | RequestBody;
  signal?: AbortSignal | undefined;
}

export interface RequestBody {
  size: number;
  /** Signed: the server refuses other bytes. */
  sha256: string;
  /** Chunks hold until the next one is asked for. */
  open(): Buffer | AsyncIterable<Buffer>;
}

const ERROR_BYTES = 64 * 1024;
const EMPTY = Buffer.alloc(0);
/** What S3 servers allow between their clock and a client's. */
const MAX_SKEW_MS = 15 * 60_000;
const MAX_SOCKETS = 64;

export class S3Requests {
  private constructor(
    private readonly settings: S3Settings,
    private readonly retries: RetryPolicy,
    private readonly agent: http.Agent,
  ) {}

  static async open(settings: S3Settings, retries: RetryPolicy): Promise<S3Requests> {
    const authorities = settings.caFile ? [...rootCertificates, await readAuthority(settings.caFile)] : undefined;
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS, scheduling: 'lifo' as const };
    const agent =
      settings.endpoint.protocol === 'https:'
        ? new https.Agent(authorities ? { ...options, ca: authorities } : options)
        : new http.Agent(options);
    return new S3Requests(settings, retries, agent);
  }

  /** The same server with less patience: for finding out whether it is there at all. */
  impatient(): S3Requests {
    const { attempts, firstDelayMs, idleTimeoutMs } = this.retries;
    const retries = { attempts: Math.min(attempts, 3), firstDelayMs, idleTimeoutMs: Math.min(idleTimeoutMs, 10_000) };
    return new S3Requests(this.settings, retries, this.agent);
  }

  get address(): string {
    return this.settings.endpoint.origin;
  }

  close(): void {
    this.agent.destroy();
  }

  /** One request, tried again where that may help. The answer's body is for the caller to read or `discard`. */
  async send(request: S3Request): Promise<http.IncomingMessage> {
    return await this.retrying(request.signal, () => this.sendOnce(request));
  }

  /** A request whose answer is a short text. */
  async sendForText(
    request: S3Request,
    isWhole: (text: string) => boolean = () => true,
  ): Promise<{ text: string; headers: http.IncomingHttpHeaders }> {
    return await this.retrying(request.signal, async () => {
      const response = await this.sendOnce(request);
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString('utf8');
      if (!isWhole(text)) throw new S3Failure(200, 'IncompleteBody', 'the answer is not whole');
      return { text, headers: response.headers };
    });
  }

  /**
   * Runs `task` until it succeeds, with growing pauses. Throws S3Failure for answers that callers decide on (not found,
   * condition failed), StoreUnavailable for the rest, and the signal's reason.
   */
  async retrying<T>(signal: AbortSignal | undefined, task: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        return await task(attempt);
      } catch (error) {
        await this.beforeNext(error, attempt, signal);
      }
    }
  }

  /** Waits before the next try where there is one to be made; else throws, as `retrying` does. */
  async beforeNext(error: unknown, attempt: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const failure = asFailure(error);
    if (!(failure instanceof S3Failure)) throw failure;
    if (failure.isNotFound || failure.isConditionFailed || failure.status === 416) throw failure;
    if (!isRetriable(failure) || attempt >= this.retries.attempts) throw this.trouble(failure);
    await this.pause(attempt, signal);
  }

  /** The pause after the given try. */
  async pause(attempt: number, signal: AbortSignal | undefined): Promise<void> {
    const pauseMs = this.retries.firstDelayMs * 2 ** (attempt - 1) * (1 + Math.random());
    await sleep(pauseMs, undefined, signal ? { signal } : {}).catch(() => {});
  }

  trouble(failure: S3Failure): StoreUnavailable {
    return storeTrouble(failure, { address: this.address, bucket: this.settings.bucket });
  }

  /** One try. */
  async sendOnce(request: S3Request): Promise<http.IncomingMessage> {
    const body = signedBody(request.body ?? EMPTY);
    const client = clientFor(this.settings, this.settings.endpoint, this.transport(body, request.signal));
    // Also over TLS: the server then checks the body that it stores, whatever stood in between.
    client.enableSHA256 = true;
    const headers = { ...request.headers };
    if (request.method === 'PUT' || request.method === 'POST') headers['content-length'] = String(body.size);
    return await client.makeRequestStreamAsync(
      {
        method: request.method,
        bucketName: this.settings.bucket,
        headers,
        ...(request.key === undefined ? {} : { objectName: request.key }),
        ...(request.query === undefined ? {} : { query: request.query }),
      },
      // The transport writes the body.
      EMPTY,
      body.sha256,
      [200, 204, 206],
      this.settings.region,
    );
  }

  /** http(s).request with an idle time-out, a signal, the body, and error answers as S3Failure. */
  private transport(body: RequestBody, signal: AbortSignal | undefined) {
    const { request: send } = this.settings.endpoint.protocol === 'https:' ? https : http;
    const request = (options: http.RequestOptions, answer: (response: http.IncomingMessage) => void) => {
      let response: http.IncomingMessage | undefined;
      const sent = send({ ...options, agent: this.agent, ...(signal ? { signal } : {}) }, (received) => {
        response = received;
        if ((received.statusCode ?? 0) < 300) answer(received);
        else void failureFrom(received).then((failure) => refuse(sent, failure));
      });
      sent.once('socket', (socket) => {
        // Listens after Node's own parser, which has then copied what it wants of the bytes.
        const onRead = (bytes: Buffer) => giveBack([bytes]);
        socket.on('data', onRead);
        sent.once('close', () => socket.off('data', onRead));
      });
      sent.setTimeout(this.retries.idleTimeoutMs);
      sent.on('timeout', () => {
        if (response && response.readableLength >= response.readableHighWaterMark) {
          // The reader pauses, the server waits for it: nobody's fault.
          sent.setTimeout(this.retries.idleTimeoutMs);
          return;
        }
        const idle = Object.assign(new Error(`nothing moved for ${this.retries.idleTimeoutMs} ms`), {
          code: 'ETIMEDOUT',
        });
        if (response) response.destroy(idle);
        else sent.destroy(idle);
      });
      // In place of the client, whose way of sending a stream keeps more of it in memory.
      const end = () => void writeBody(sent, body);
      return { on: sent.on.bind(sent), end };
    };
    return { request } as unknown as typeof http;
  }
}

/** The server has said no; where it did so before the body was over, the connection is of no more use. */
function refuse(sent: http.ClientRequest, failure: S3Failure): void {
  const isOver = sent.writableFinished;
  sent.emit('error', failure);
  if (!isOver) sent.destroy();
}

/** Writes a body at the pace of the connection; a body that fails breaks the request off with its error. */
async function writeBody(sent: http.ClientRequest, body: RequestBody): Promise<void> {
  const source = body.open();
  if (Buffer.isBuffer(source)) {
    sent.end(source);
    return;
  }
  let isGone = false;
  const gone = new Promise<void>((resolve) => {
    const end = () => {
      isGone = true;
      resolve();
    };
    sent.once('close', end).once('error', end);
  });
  try {
    for await (const chunk of source) {
      await Promise.race([gone, new Promise<unknown>((written) => sent.write(chunk, written))]);
      if (isGone) return;
    }
    sent.end();
  } catch (error) {
    sent.destroy(error as Error);
  }
}

function signedBody(body: Buffer | RequestBody): RequestBody {
  if (!Buffer.isBuffer(body)) return body;
  return { size: body.length, sha256: createHash('sha256').update(body).digest('hex'), open: () => body };
}

/** A minio client for one address of the server. */
export function clientFor(settings: S3Settings, address: URL, transport?: typeof http): Client {
  const { hostname, port, protocol } = address;
  return new Client({
    endPoint: hostname.replace(/^\[|\]$/g, ''),
    useSSL: protocol === 'https:',
    ...(port === '' ? {} : { port: Number(port) }),
    accessKey: settings.accessKey,
    secretKey: settings.secretKey,
    ...(settings.sessionToken === undefined ? {} : { sessionToken: settings.sessionToken }),
    region: settings.region,
    pathStyle: settings.pathStyle,
    retryOptions: { disableRetry: true },
    ...(transport ? { transport } : {}),
  });
}

/** Reads an answer to its end without keeping it, so that its connection can be used again. */
export function discard(response: http.IncomingMessage): void {
  response.on('error', () => {}).resume();
}

async function failureFrom(response: http.IncomingMessage): Promise<S3Failure> {
  const status = response.statusCode ?? 0;
  let text = '';
  try {
    for await (const chunk of response) {
      text += (chunk as Buffer).toString('utf8');
      if (text.length > ERROR_BYTES) break;
    }
  } catch {
    // The status alone says enough.
  }
  const { code, message } = errorIn(text) ?? {};
  const skewMs = Date.parse(response.headers.date ?? '') - Date.now();
  if (code === 'RequestTimeTooSkewed' || (status === 403 && Math.abs(skewMs) > MAX_SKEW_MS)) {
    // Some servers, and all of them for HEAD, say no more than 403; the Date of the answer tells.
    return new S3Failure(status, 'RequestTimeTooSkewed', skewSentence(skewMs));
  }
  return new S3Failure(status, code ?? codeOf(status), message ?? response.statusMessage ?? 'no explanation');
}

function skewSentence(skewMs: number): string {
  if (Number.isNaN(skewMs)) return 'the clocks differ by more than 15 minutes';
  return `this machine's clock is ${Math.round(Math.abs(skewMs) / 60_000)} minutes ${skewMs > 0 ? 'behind' : 'ahead'}`;
}

/** HEAD has no body to say more. */
function codeOf(status: number): string {
  const codes: Record<number, string> = { 403: 'AccessDenied', 404: 'NotFound', 412: 'PreconditionFailed' };
  return codes[status] ?? 'Error';
}

async function readAuthority(path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (!text.includes('-----BEGIN CERTIFICATE-----')) {
      throw new StoreUnavailable(`S3_CA_FILE ${path} holds no PEM certificate.`, false);
    }
    return text;
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error;
    throw new StoreUnavailable(`S3_CA_FILE ${path} cannot be read: ${(error as Error).message}.`, false, {
      cause: error,
    });
  }
}
