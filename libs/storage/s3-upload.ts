// Writing one object to an S3 server: a single PUT up to 16 MiB, above it parts of 16 MiB under an upload id of its own,
// so that two writers of one key never mix; aborted when anything fails. Nothing is visible before the last request.
import { createHash, randomUUID } from 'node:crypto';
import { assertStated, measureBody, pieces, wholeBody } from './body.js';
import { type Body, type BodyFacts, type PutOptions, StoreUnavailable } from './object-store.js';
import { S3Failure } from './s3-failure.js';
import type { S3Requests } from './s3-requests.js';
import { errorIn, escapeXml, tagIn } from './s3-xml.js';

export const PART_SIZE = 16 * 1024 ** 2;
/** Parts on their way at once: hides the server's latency; each costs a buffer of PART_SIZE. */
const PARTS_AT_ONCE = 2;
/** S3 allows 10,000 parts of one upload. */
const MAX_SIZE = 10_000 * PART_SIZE;

export interface UploadOptions extends PutOptions {
  /** Let the server refuse when there is an object already (If-None-Match: *). */
  onlyIfAbsent?: boolean;
}

export interface Uploaded {
  facts: BodyFacts;
  /** Stands in the object's metadata; tells our object from another writer's with the same bytes. */
  writer: string;
  etag: string | undefined;
}

/** Uploads a body. Undefined: the condition onlyIfAbsent did not hold. Throws BodyMismatch, StoreUnavailable. */
export async function upload(
  requests: S3Requests,
  key: string,
  body: Body,
  options: UploadOptions,
): Promise<Uploaded | undefined> {
  // The hash stands in a header, before the first byte: a large file is read once more for it.
  const facts = await measureBody(body, options.signal);
  assertStated(key, facts, options);
  if (facts.size > MAX_SIZE) throw new RangeError(`${key} has ${facts.size} bytes, S3 takes at most ${MAX_SIZE} here`);
  const writer = randomUUID();
  const plan = { requests, key, body, facts, writer, options };
  try {
    const etag = facts.size <= PART_SIZE ? await putWhole(plan) : await putParts(plan);
    return { facts, writer, etag };
  } catch (error) {
    if (!(error instanceof S3Failure)) throw error;
    if (!error.isConditionFailed) throw requests.trouble(error);
    // When the first try was written but its answer lost, the second is refused because of ourselves.
    return (await writerOf(requests, key)) === writer ? { facts, writer, etag: undefined } : undefined;
  }
}

interface Plan {
  requests: S3Requests;
  key: string;
  body: Body;
  facts: BodyFacts;
  writer: string;
  options: UploadOptions;
}

async function putWhole({ requests, key, body, facts, writer, options }: Plan): Promise<string | undefined> {
  const bytes = await wholeBody(key, body, facts.size);
  const { headers } = await requests.sendForText({
    method: 'PUT',
    key,
    body: bytes,
    sha256: facts.sha256,
    headers: { ...objectHeaders(facts, writer, options), ...condition(options) },
    signal: options.signal,
  });
  return headers.etag;
}

async function putParts(plan: Plan): Promise<string | undefined> {
  const { requests, key, facts, writer, options } = plan;
  const { text } = await requests.sendForText({
    method: 'POST',
    key,
    query: 'uploads=',
    headers: objectHeaders(facts, writer, options),
    signal: options.signal,
  });
  const uploadId = tagIn(text, 'UploadId');
  if (!uploadId) throw new StoreUnavailable(`The S3 server at ${requests.address} gave no upload id for ${key}.`, true);
  try {
    const etags = await sendParts(plan, uploadId);
    return await completeUpload(plan, uploadId, etags);
  } catch (error) {
    await abortUpload(requests, key, uploadId);
    throw error;
  }
}

/** Takes a broken upload's parts off the server; what stays because that fails too is swept after a day. */
export async function abortUpload(requests: S3Requests, key: string, uploadId: string): Promise<void> {
  await requests
    .sendForText({ method: 'DELETE', key, query: `uploadId=${encodeURIComponent(uploadId)}` })
    .catch(() => {});
}

/** Sends the parts in order, a few at once, and returns their ETags; hashes what was really sent. */
async function sendParts({ requests, key, body, facts, options }: Plan, uploadId: string): Promise<string[]> {
  const etags: string[] = [];
  const buffers: Buffer[] = [];
  const underWay = new Set<Promise<void>>();
  const hash = createHash('sha256');
  let size = 0;
  // The first failure stops the other parts too.
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const send = async (part: Buffer, index: number) => {
    const { headers } = await requests.sendForText({
      method: 'PUT',
      key,
      query: `partNumber=${index + 1}&uploadId=${encodeURIComponent(uploadId)}`,
      body: part,
      signal,
    });
    if (!headers.etag) {
      throw new StoreUnavailable(`The S3 server at ${requests.address} gave no ETag for a part of ${key}.`, true);
    }
    etags[index] = headers.etag;
    if (!(body instanceof Uint8Array)) buffers.push(Buffer.from(part.buffer, part.byteOffset, PART_SIZE));
  };
  try {
    let index = 0;
    for await (const part of pieces(key, body, { size: facts.size, pieceSize: PART_SIZE, buffers })) {
      signal.throwIfAborted();
      hash.update(part);
      size += part.length;
      const sent: Promise<void> = send(part, index)
        .catch((error: unknown) => stop.abort(error))
        .finally(() => underWay.delete(sent));
      underWay.add(sent);
      index += 1;
      if (underWay.size >= PARTS_AT_ONCE) await Promise.race(underWay);
    }
    await Promise.all(underWay);
    signal.throwIfAborted();
  } catch (error) {
    stop.abort(error);
    await Promise.all(underWay);
    throw error;
  }
  assertStated(key, { size, sha256: hash.digest('hex') }, facts);
  return etags;
}

async function completeUpload(
  { requests, key, writer, options }: Plan,
  uploadId: string,
  etags: string[],
): Promise<string | undefined> {
  const parts = etags.map(
    (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
  );
  const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
  return await requests.retrying(options.signal, async (attempt) => {
    try {
      const { text } = await requests.sendForText({
        method: 'POST',
        key,
        query: `uploadId=${encodeURIComponent(uploadId)}`,
        body,
        headers: { 'content-type': 'application/xml', ...condition(options) },
        signal: options.signal,
      });
      const failed = errorIn(text);
      if (failed) throw new S3Failure(500, failed.code, failed.message);
      return tagIn(text, 'ETag') || undefined;
    } catch (error) {
      // The first try may have completed it although its answer was lost; then the upload is gone and the object is ours.
      const isGone = error instanceof S3Failure && error.isNotFound;
      if (isGone && (await writerOf(requests, key)) === writer) return undefined;
      if (isGone) {
        throw new StoreUnavailable(`The upload of ${key} was lost by the S3 server (try ${attempt}).`, true, {
          cause: error,
        });
      }
      throw error;
    }
  });
}

function objectHeaders(facts: BodyFacts, writer: string, options: UploadOptions): Record<string, string> {
  return {
    'content-type': options.contentType ?? 'application/octet-stream',
    'x-amz-meta-sha256': facts.sha256,
    'x-amz-meta-writer': writer,
  };
}

function condition(options: UploadOptions): Record<string, string> {
  return options.onlyIfAbsent ? { 'if-none-match': '*' } : {};
}

async function writerOf(requests: S3Requests, key: string): Promise<string | undefined> {
  try {
    const { headers } = await requests.sendForText({ method: 'HEAD', key });
    const writer = headers['x-amz-meta-writer'];
    return typeof writer === 'string' ? writer : undefined;
  } catch (error) {
    if (error instanceof S3Failure && error.isNotFound) return undefined;
    throw error;
  }
}
