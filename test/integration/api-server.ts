// The real API for tests: real Redis, a directory store in a temporary folder, a free port; and a client that holds every
// JSON answer against the committed OpenAPI document.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, readConfig } from '#config';
import { openFleet, type RedisFleet } from '#queue';
import { type ObjectStore, openStore } from '#storage';
import type { LogLine } from '../../apps/api/requests/request-log.js';
import { startApi } from '../../apps/api/start-api.js';
import { type RedisServer, startRedis } from '../support/redis.js';
import { findMismatch, type Schema } from './api-conformance.js';

export const API_KEY = 'a-key-for-tests-0123456789';

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers as a client without types would.
  body: any;
  text: string;
}

export type Payload = string | Uint8Array | ReadableStream<Uint8Array>;

export interface RequestOptions {
  method?: string;
  json?: unknown;
  body?: Payload;
  headers?: Record<string, string>;
  key?: string | null;
}

export interface ApiServer {
  url: string;
  config: Config;
  redis: RedisServer;
  store: ObjectStore;
  fleet: RedisFleet;
  log: LogLine[];
  request(path: string, options?: RequestOptions): Promise<Answer>;
  get(path: string): Promise<Answer>;
  post(path: string, json: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** All keys of the store, to compare before and after. */
  stored(): Promise<string[]>;
  close(): Promise<void>;
}

/** `settings` are variables over the usual ones. */
export async function startTestApi(settings: Record<string, string> = {}): Promise<ApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'semdistill-api-'));
  const redis = await startRedis();
  const config = readConfig({
    REDIS_URL: redis.url,
    SEMDISTILL_STORE: join(folder, 'store'),
    SEMDISTILL_PORT: '0',
    SEMDISTILL_API_KEY: API_KEY,
    ...settings,
  });
  const log: LogLine[] = [];
  const running = await startApi(config, (line) => log.push(line));
  const store = await openStore(config.store);
  const fleet = openFleet(config);
  const request = async (path: string, options: RequestOptions = {}) => {
    const answer = await send(running.url, path, options);
    // No test expects the server to fail, so the reason in its log is what one wants to read.
    const failure = answer.status === 500 ? log.find((line) => line.requestId === answer.body?.requestId) : undefined;
    if (answer.status === 500) throw new Error(`${path}: ${JSON.stringify(failure)}`);
    requireDocumented(options.method ?? 'GET', path, answer);
    return answer;
  };
  return {
    url: running.url,
    config,
    redis,
    store,
    fleet,
    log,
    request,
    get: (path) => request(path),
    post: (path, json, headers = {}) => request(path, { method: 'POST', json, headers }),
    async stored() {
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.list('', cursor === undefined ? {} : { cursor });
        found.push(...page.objects.map(({ key }) => key));
        cursor = page.cursor;
      } while (cursor !== undefined);
      return found;
    },
    async close() {
      await running.close();
      await fleet.close();
      await store.close();
      await redis.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function send(server: string, path: string, options: RequestOptions): Promise<Answer> {
  const { method = 'GET', json, body, headers = {}, key = API_KEY } = options;
  const response = await fetch(server + path, {
    method,
    redirect: 'manual',
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(json === undefined ? (body === undefined ? {} : { body, duplex: 'half' }) : { body: JSON.stringify(json) }),
  } as RequestInit);
  const text = await response.text();
  const type = response.headers.get('content-type') ?? '';
  const isJson = text !== '' && /^application\/(problem\+)?json/.test(type);
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? JSON.parse(text) : undefined,
    text,
  };
}

interface Document {
  paths: Record<
    string,
    Record<string, { responses: Record<string, { content?: Record<string, { schema: Schema }> }> }>
  >;
  components: { schemas: Record<string, Schema> };
}

const document = JSON.parse(readFileSync(new URL('../../apps/api/openapi.json', import.meta.url), 'utf8')) as Document;

/** Throws when the answer is not what the document promises for this operation and status. */
export function requireDocumented(
  method: string,
  path: string,
  answer: Pick<Answer, 'status' | 'headers' | 'body' | 'text'>,
): void {
  if (answer.body === undefined) return;
  const bare = path.split('?')[0] ?? path;
  const template = Object.keys(document.paths).find((candidate) =>
    new RegExp(`^${candidate.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+?')}$`).test(bare),
  );
  const operation = template === undefined ? undefined : document.paths[template]?.[method.toLowerCase()];
  if (operation === undefined) return;
  const media = answer.headers.get('content-type')?.split(';')[0] ?? '';
  const schema = operation.responses[answer.status]?.content?.[media]?.schema;
  if (schema === undefined)
    throw new Error(`${method} ${template} does not document ${answer.status} as ${media}: ${answer.text}`);
  const mismatch = findMismatch(answer.body, schema, document.components.schemas);
  if (mismatch !== undefined) throw new Error(`${method} ${template} ${answer.status}: ${mismatch}`);
}
