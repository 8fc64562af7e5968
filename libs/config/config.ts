// The only reader of process.env: where things are and what this process may use, never what changes results.
// Read once at the start; every bad variable is named in one error.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type OwnerLimits, readOwnerKeys, readOwnerLimits } from './owners.js';

export interface S3Settings {
  kind: 's3';
  endpoint: URL;
  /** What clients outside reach the same server by; presigned URLs carry it. */
  publicEndpoint: URL;
  bucket: string;
  region: string;
  accessKey: string;
  secretKey: string;
  sessionToken?: string;
  pathStyle: boolean;
  /** PEM file of an own certificate authority. */
  caFile?: string;
}

export interface DirectorySettings {
  kind: 'directory';
  folder: string;
}

export interface Config {
  redisUrl: string;
  /** Prefix of every key in Redis; a hash tag, so that a cluster keeps them together. */
  redisPrefix: string;
  /** Go on although Redis may evict keys or forget on restart. */
  allowUnsafeRedis: boolean;
  store: S3Settings | DirectorySettings;
  apiHost: string;
  apiPort: number;
  /** Where clients reach the API (links, signed URLs). */
  publicUrl: string;
  /** SEMDISTILL_API_KEY, or the first of SEMDISTILL_API_KEYS; empty: there is none. */
  apiKey: string;
  /** Who shows which key. */
  ownersByKey: Record<string, string>;
  /** What owners may have of the devices, by name; '*': whoever is not named. */
  owners: Record<string, OwnerLimits>;
  cacheFolder: string;
  /** CPU threads TensorFlow may use; undefined: all cores. */
  threads?: number;
  /** Memory a trainer may hold; undefined: nearly all of the machine's. */
  memoryBytes?: number;
  backend: 'auto' | 'tensorflow' | 'wasm';
  requireGpu: boolean;
  /** How often a training writes down where it is; 0: after every step. */
  checkpointSeconds: number;
  workerName?: string;
  /** Which bundles this worker takes: those of this pool alone. */
  workerPool: string;
  /** What this worker has that a sweep may require. */
  workerLabels: string[];
  logLevel: 'debug' | 'info' | 'warn' | 'error';
}

const LABEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const LABEL_IN_WORDS = "up to 64 letters, digits, '.', '_' or '-', starting with a letter or digit";

export class InvalidConfig extends Error {
  override readonly name = 'InvalidConfig';
  constructor(readonly problems: string[]) {
    super(`Bad settings: ${problems.join('; ')}`);
  }
}

type Environment = Record<string, string | undefined>;

/** Where downloads and built files are kept between runs: SEMDISTILL_CACHE, else the user's cache folder. */
export function cacheFolder(env: Environment = process.env): string {
  return env.SEMDISTILL_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'semdistill');
}

/** Parses the environment. Throws InvalidConfig with one clause per bad variable. */
export function readConfig(env: Environment = process.env): Config {
  const problems: string[] = [];
  const bad = (variable: string, wanted: string) => {
    problems.push(`${variable} must be ${wanted}, not ${JSON.stringify(env[variable])}`);
  };
  const oneOf = <T extends string>(variable: string, allowed: readonly T[], fallback: T): T => {
    const value = env[variable] || fallback;
    if ((allowed as readonly string[]).includes(value)) return value as T;
    bad(variable, `one of ${allowed.join(', ')}`);
    return fallback;
  };
  const integer = (variable: string, low: number, high: number, fallback: number): number => {
    const text = env[variable];
    if (!text) return fallback;
    const value = Number(text);
    if (Number.isInteger(value) && value >= low && value <= high) return value;
    bad(variable, `a whole number from ${low} to ${high}`);
    return fallback;
  };
  const isSet = (variable: string): boolean => oneOf(variable, ['0', '1'], '0') === '1';

  const redisUrl = env.REDIS_URL || 'redis://127.0.0.1:6379';
  if (!/^(rediss?|unix):\/\//.test(redisUrl)) bad('REDIS_URL', 'a redis://, rediss:// or unix:// address');
  const apiHost = env.SEMDISTILL_HOST || '127.0.0.1';
  const apiPort = integer('SEMDISTILL_PORT', 0, 65535, 8080);
  const publicUrl = (env.SEMDISTILL_PUBLIC_URL || `http://${apiHost}:${apiPort}`).replace(/\/+$/, '');
  if (!URL.canParse(publicUrl)) bad('SEMDISTILL_PUBLIC_URL', 'an http(s) address');
  const threads = env.SEMDISTILL_THREADS ? integer('SEMDISTILL_THREADS', 1, 1024, 1) : undefined;
  const ownersByKey = readOwnerKeys(env.SEMDISTILL_API_KEY, env.SEMDISTILL_API_KEYS, problems);
  const config: Config = {
    redisUrl,
    redisPrefix: env.SEMDISTILL_REDIS_PREFIX || '{semdistill}',
    allowUnsafeRedis: isSet('SEMDISTILL_ALLOW_UNSAFE_REDIS'),
    store: readStore(env.SEMDISTILL_STORE || join(cacheFolder(env), 'store'), env, problems),
    apiHost,
    apiPort,
    publicUrl,
    apiKey: env.SEMDISTILL_API_KEY || Object.keys(ownersByKey).sort()[0] || '',
    ownersByKey,
    owners: readOwnerLimits(env.SEMDISTILL_OWNERS, problems),
    cacheFolder: cacheFolder(env),
    backend: oneOf('SEMDISTILL_BACKEND', ['auto', 'tensorflow', 'wasm'], 'auto'),
    requireGpu: isSet('SEMDISTILL_REQUIRE_GPU'),
    checkpointSeconds: integer('SEMDISTILL_CHECKPOINT_SECONDS', 0, 86_400, 20),
    workerPool: env.SEMDISTILL_WORKER_POOL || 'default',
    workerLabels: (env.SEMDISTILL_WORKER_LABELS || '').split(/[\s,]+/).filter(Boolean),
    logLevel: oneOf('SEMDISTILL_LOG', ['debug', 'info', 'warn', 'error'], 'info'),
  };
  if (!LABEL.test(config.workerPool)) bad('SEMDISTILL_WORKER_POOL', `a name (${LABEL_IN_WORDS})`);
  if (config.workerLabels.length > 16 || !config.workerLabels.every((label) => LABEL.test(label)))
    bad('SEMDISTILL_WORKER_LABELS', `at most 16 labels with commas (each ${LABEL_IN_WORDS})`);
  if (threads !== undefined) config.threads = threads;
  const megabytes = env.SEMDISTILL_MEMORY_MB ? integer('SEMDISTILL_MEMORY_MB', 256, 2 ** 24, 256) : undefined;
  if (megabytes !== undefined) config.memoryBytes = megabytes * 1024 ** 2;
  if (env.SEMDISTILL_WORKER_NAME) config.workerName = env.SEMDISTILL_WORKER_NAME;
  if (problems.length > 0) throw new InvalidConfig(problems);
  return config;
}

/**
 * The settings of one store by its name: a folder, `s3` (the S3_* variables), or `s3:OLD` (OLD_S3_*), so that one command
 * can speak of two servers. Without a name SEMDISTILL_STORE counts; undefined when that is not set either.
 */
export function readStoreSettings(
  name: string | undefined,
  env: Environment = process.env,
): Config['store'] | undefined {
  const store = name || env.SEMDISTILL_STORE;
  if (!store) return undefined;
  const problems: string[] = [];
  const settings = readStore(store, env, problems);
  if (problems.length > 0) throw new InvalidConfig(problems);
  return settings;
}

function readStore(store: string, env: Environment, problems: string[]): Config['store'] {
  const prefix = /^s3(?::([A-Z][A-Z0-9_]*))?$/.exec(store);
  if (!prefix) return { kind: 'directory', folder: store.replace(/^directory:/, '') };
  const named = (variable: string) => (prefix[1] === undefined ? variable : `${prefix[1]}_${variable}`);
  const value = (variable: string) => env[named(variable)];
  const required = (variable: string): string => {
    const found = value(variable);
    if (!found) problems.push(`${named(variable)} is missing (the store is ${store})`);
    return found || '';
  };
  const address = (plain: string, fallback?: string): URL => {
    const variable = named(plain);
    const value = env[variable] || fallback || '';
    if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return new URL(value);
    problems.push(
      value
        ? `${variable} must be an http(s) address, not ${JSON.stringify(value)}`
        : `${variable} is missing (the store is ${store})`,
    );
    return new URL('http://127.0.0.1:9000');
  };
  const endpoint = address('S3_ENDPOINT');
  return {
    kind: 's3',
    endpoint,
    publicEndpoint: address('S3_PUBLIC_ENDPOINT', endpoint.href),
    bucket: value('S3_BUCKET') || 'semdistill',
    region: value('S3_REGION') || 'us-east-1',
    accessKey: required('S3_ACCESS_KEY'),
    secretKey: required('S3_SECRET_KEY'),
    ...optional('sessionToken', value('S3_SESSION_TOKEN')),
    pathStyle: (value('S3_PATH_STYLE') || '1') === '1',
    ...optional('caFile', value('S3_CA_FILE')),
  };
}

function optional<K extends string>(name: K, value: string | undefined): { [name in K]?: string } {
  return (value ? { [name]: value } : {}) as { [name in K]?: string };
}
