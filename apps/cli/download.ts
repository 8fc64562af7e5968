// Fetches one artifact into a file: through the API's redirect, on from where an earlier try stopped (.part and Range),
// checked against its SHA-256, and renamed into place only when whole.
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { appendFile, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ApiClient } from './api-client.js';
import { pause } from './fleet/local-fleet.js';
import type { Texts } from './texts.js';
import { Interrupted, systemCode, Trouble } from './trouble.js';

export interface Download {
  /** The API's path of the artifact; it answers with bytes or a redirect to them. */
  path: string;
  size: number;
  sha256: string;
  file: string;
}

export type DownloadOutcome = 'fetched' | 'resumed' | 'present';

const TRIES = 5;
/** A transfer without a byte for so long is broken off and tried again. */
const STALL_MS = 30_000;

export interface DownloadOptions {
  texts: Texts;
  signal: AbortSignal;
  /** How many bytes of the file are there now. */
  onPosition: (bytes: number) => void;
}

/** Throws Trouble when the bytes cannot be had or are not the ones the server promised. */
export async function download(
  client: ApiClient,
  wanted: Download,
  options: DownloadOptions,
): Promise<DownloadOutcome> {
  const { texts, signal, onPosition } = options;
  const part = `${wanted.file}.part`;
  try {
    if (await isWhole(wanted.file, wanted)) {
      onPosition(wanted.size);
      return 'present';
    }
    await mkdir(dirname(wanted.file), { recursive: true });
    const isResumed = (await sizeOf(part)) > 0;
    for (let attempt = 1; ; attempt++) {
      try {
        await fetchInto(client, wanted, part, options);
        break;
      } catch (error) {
        if (signal.aborted) throw new Interrupted();
        if (error instanceof Trouble || isFileFault(error)) throw error;
        if (attempt === TRIES)
          throw new Trouble(texts.downloadFailed(wanted.file, reasonOf(error)), 1, [], { cause: error });
      }
      await pause(250 * 2 ** attempt, signal);
    }
    await rename(part, wanted.file);
    return isResumed ? 'resumed' : 'fetched';
  } catch (error) {
    throw fileTrouble(error, wanted.file, texts);
  }
}

/** One try: on from what the .part file holds, then the whole is checked. Wrong bytes are removed: the next try begins anew. */
async function fetchInto(client: ApiClient, wanted: Download, part: string, options: DownloadOptions): Promise<void> {
  const hash = createHash('sha256');
  let have = existsSync(part) ? await hashFile(part, hash) : 0;
  const old = have;
  if (have < wanted.size) have += await append(client, wanted, part, { ...options, hash, from: have });
  else if (have === 0) await appendFile(part, '');
  if (have < wanted.size) throw new Error(`${have} of ${wanted.size} bytes`);
  const found = hash.digest('hex');
  if (have === wanted.size && found === wanted.sha256) return;
  await rm(part);
  // Old bytes may have been another file's; bytes all just fetched are what the server has.
  if (old > 0) throw new Error('SHA-256');
  throw new Trouble(options.texts.wrongChecksum(wanted.file, wanted.sha256, found));
}

async function append(
  client: ApiClient,
  wanted: Download,
  part: string,
  options: DownloadOptions & { hash: Hash; from: number },
): Promise<number> {
  const { hash, from } = options;
  const stall = stallGuard(options.signal);
  let count = 0;
  const file = await open(part, 'a');
  try {
    const response = await requestBytes(client, wanted, from, stall.signal);
    for await (const chunk of response.body ?? []) {
      stall.touch();
      await file.appendFile(chunk);
      hash.update(chunk);
      count += chunk.length;
      options.onPosition(from + count);
    }
    await file.datasync();
  } catch (error) {
    // A server that cannot go on from here gives the whole file next time.
    if (error instanceof RangeRefused) await file.truncate(0);
    throw error;
  } finally {
    stall.end();
    await file.close();
  }
  return count;
}

class RangeRefused extends Error {}

/** Follows the redirect without the API key: the address it leads to carries its own signature. */
export async function requestBytes(
  client: ApiClient,
  wanted: Pick<Download, 'path'>,
  from: number,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
  let response = await client.send(wanted.path, { headers, accept: '*/*', signal });
  const location = response.headers.get('location');
  if (response.status >= 300 && location !== null) {
    await response.body?.cancel();
    response = await fetch(new URL(location, client.url), { headers, signal });
  }
  const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
  const start = response.status === 206 ? Number(range?.[1] ?? -1) : 0;
  if ((response.status === 200 || response.status === 206) && start === from) return response;
  await response.body?.cancel();
  if (response.status === 416 || response.ok) throw new RangeRefused(`Range (${response.status})`);
  throw new Error(`HTTP ${response.status}`);
}

/** Aborts when nothing has been touched for a while, or when the outer signal is. */
export function stallGuard(outer: AbortSignal): { signal: AbortSignal; touch: () => void; end: () => void } {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(new Error(`no byte for ${STALL_MS / 1000} s`)), STALL_MS);
  return {
    signal: AbortSignal.any([outer, stalled.signal]),
    touch: () => timer.refresh(),
    end: () => clearTimeout(timer),
  };
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return systemCode(cause) ?? (cause instanceof Error ? cause.message : String(cause));
}

async function isWhole(file: string, wanted: { size: number; sha256: string }): Promise<boolean> {
  if ((await sizeOf(file)) !== wanted.size) return false;
  const hash = createHash('sha256');
  await hashFile(file, hash);
  return hash.digest('hex') === wanted.sha256;
}

async function hashFile(file: string, hash: Hash): Promise<number> {
  let size = 0;
  await pipeline(createReadStream(file), async (chunks) => {
    for await (const chunk of chunks) {
      hash.update(chunk);
      size += chunk.length;
    }
  });
  return size;
}

async function sizeOf(file: string): Promise<number> {
  try {
    const facts = await stat(file);
    return facts.isFile() ? facts.size : -1;
  } catch {
    return -1;
  }
}

function isFileFault(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'EEXIST'].includes(
    systemCode(error) ?? '',
  );
}

/** A failed system call on the file as a sentence; anything else is passed on. */
export function fileTrouble(error: unknown, file: string, texts: Texts): unknown {
  const code = systemCode(error);
  if (error instanceof Trouble || error instanceof Interrupted || code === undefined) return error;
  const sentence = code === 'ENOSPC' || code === 'EDQUOT' ? texts.diskFull(file) : texts.cannotWrite(file, code);
  return new Trouble(sentence, 1, [], { cause: error });
}
