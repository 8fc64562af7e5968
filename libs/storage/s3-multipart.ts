// One object in parts of 16 MiB under an upload id of its own, so that two writers of one key never mix. When it fails it
// is aborted; a file above 64 MiB keeps its parts on the server instead and goes on from them, in this process or, after
// a kill, in the next one that uploads the same file (upload-journal.ts).
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertStated } from './body.js';
import { StoreUnavailable } from './object-store.js';
import { S3Failure } from './s3-failure.js';
import type { S3Requests } from './s3-requests.js';
import { condition, objectHeaders, PART_SIZE, type Uploaded, type UploadPlan, writerOf } from './s3-upload-plan.js';
import { elementsIn, errorIn, escapeXml, tagIn } from './s3-xml.js';
import { type JournalPart, UploadJournal } from './upload-journal.js';

/** Smaller ones are sent again as a whole. */
export const RESUMABLE_SIZE = 64 * 1024 ** 2;
/** Parts on their way at once: hides the server's latency. They are streamed, so each costs little memory. */
const PARTS_AT_ONCE = 3;
const ABORT_PATIENCE_MS = 3_000;
/** A thousand parts are listed at once. */
const MAX_LISTINGS = 20;

interface PartsUpload {
  uploadId: string;
  writer: string;
  journal: UploadJournal | undefined;
  /** Parts that are there: their hash as it was when they were sent, and the server's name for them. */
  kept: Map<number, JournalPart>;
}

/** Uploads in parts. Throws S3Failure where the condition did not hold, BodyMismatch, StoreUnavailable. */
export async function putParts(plan: UploadPlan): Promise<Uploaded> {
  const upload = (await resume(plan)) ?? (await begin(plan));
  plan.writer = upload.writer;
  const { target, key, facts } = plan;
  try {
    const etags = await sendParts(plan, upload);
    const answeredAt = await complete(plan, upload, etags);
    await upload.journal?.remove();
    return { facts, writer: upload.writer, answeredAt };
  } catch (error) {
    const mayGoOn = upload.journal !== undefined && error instanceof StoreUnavailable && error.retriable;
    if (mayGoOn) await upload.journal?.close();
    else {
      await abortSoon(target.requests, key, upload.uploadId);
      await upload.journal?.remove();
    }
    throw error;
  }
}

async function begin(plan: UploadPlan): Promise<PartsUpload> {
  const { target, key, path, facts, writer, options } = plan;
  const { requests } = target;
  const { text } = await requests.sendForText({
    method: 'POST',
    key,
    query: 'uploads=',
    headers: objectHeaders(facts, writer, options),
    signal: options.signal,
  });
  const uploadId = tagIn(text, 'UploadId');
  if (!uploadId) throw new StoreUnavailable(`The S3 server at ${requests.address} gave no upload id for ${key}.`, true);
  const journal =
    path === undefined || facts.size <= RESUMABLE_SIZE
      ? undefined
      : await UploadJournal.begin(path, { ...destinationOf(plan), uploadId, writer });
  return { uploadId, writer, journal, kept: new Map() };
}

/** Takes up what an earlier try of the same file left, as far as the server still has it. */
async function resume(plan: UploadPlan): Promise<PartsUpload | undefined> {
  const { target, key, path, facts, options } = plan;
  if (path === undefined || facts.size <= RESUMABLE_SIZE) return undefined;
  const journal = await UploadJournal.find(path, destinationOf(plan));
  if (!journal) return undefined;
  const { uploadId, writer } = journal.header;
  const query = `uploadId=${encodeURIComponent(uploadId)}`;
  const kept = new Map<number, JournalPart>();
  try {
    let marker = '0';
    for (let page = 0; page < MAX_LISTINGS; page += 1) {
      const { text } = await target.requests.sendForText({
        method: 'GET',
        key,
        query: `${query}&part-number-marker=${marker}`,
        signal: options.signal,
      });
      for (const part of elementsIn(text, 'Part')) {
        const known = journal.parts.get(Number(tagIn(part, 'PartNumber')));
        // The server's name for the part must be the one it gave us for bytes whose hash we know.
        if (known && bare(tagIn(part, 'ETag')) === bare(known.etag) && Number(tagIn(part, 'Size')) === known.size) {
          kept.set(known.part, known);
        }
      }
      const next = tagIn(text, 'NextPartNumberMarker');
      if (tagIn(text, 'IsTruncated') !== 'true' || !next || next === marker) break;
      marker = next;
    }
    await journal.reopen();
    return { uploadId, writer, journal, kept };
  } catch (error) {
    if (!(error instanceof S3Failure)) throw error;
    // The upload is no more: the server has swept it, or it had been completed and that was not noticed. Either way anew.
    await journal.remove();
    return undefined;
  }
}

/** Whoever cancels is not made to wait for a server that has fallen silent; the abort goes on by itself. */
async function abortSoon(requests: S3Requests, key: string, uploadId: string): Promise<void> {
  const waited = new AbortController();
  const enough = sleep(ABORT_PATIENCE_MS, undefined, { signal: waited.signal, ref: false }).catch(() => {});
  await Promise.race([abortUpload(requests, key, uploadId), enough]);
  waited.abort();
}

/** Takes a broken upload's parts off the server; what stays because that fails too is swept after a day. */
export async function abortUpload(requests: S3Requests, key: string, uploadId: string): Promise<void> {
  await requests
    .sendForText({ method: 'DELETE', key, query: `uploadId=${encodeURIComponent(uploadId)}` })
    .catch(() => {});
}

/** Hashes the parts in order and sends those that are not there, a few at once; returns all ETags. */
async function sendParts({ target, key, source, facts, options }: UploadPlan, upload: PartsUpload): Promise<string[]> {
  const { requests } = target;
  const etags: string[] = [];
  const underWay = new Set<Promise<void>>();
  const whole = createHash('sha256');
  // The first failure stops the other parts too.
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const send = async (part: number, start: number, size: number, sha256: string) => {
    const { headers } = await requests.sendForText({
      method: 'PUT',
      key,
      query: `partNumber=${part}&uploadId=${encodeURIComponent(upload.uploadId)}`,
      body: { size, sha256, open: () => source.part(start, size) },
      signal,
    });
    if (!headers.etag) {
      throw new StoreUnavailable(`The S3 server at ${requests.address} gave no ETag for a part of ${key}.`, true);
    }
    etags[part - 1] = headers.etag;
    await upload.journal?.add({ part, size, sha256, etag: headers.etag });
  };
  try {
    for (let start = 0, part = 1; start < facts.size; start += PART_SIZE, part += 1) {
      signal.throwIfAborted();
      const size = Math.min(PART_SIZE, facts.size - start);
      const sha256 = await source.hashPart(start, size, whole);
      const kept = upload.kept.get(part);
      if (kept?.sha256 === sha256 && kept.size === size) {
        etags[part - 1] = kept.etag;
        continue;
      }
      const sent: Promise<void> = send(part, start, size, sha256)
        .catch((error: unknown) => stop.abort(asUnavailable(error, key)))
        .finally(() => underWay.delete(sent));
      underWay.add(sent);
      if (underWay.size >= PARTS_AT_ONCE) await Promise.race(underWay);
    }
    await Promise.all(underWay);
    signal.throwIfAborted();
  } catch (error) {
    stop.abort(error);
    await Promise.all(underWay);
    throw error;
  }
  // What was sent may be another file than the one that was measured.
  assertStated(key, { size: facts.size, sha256: whole.digest('hex') }, facts);
  return etags;
}

/** NoSuchUpload for a part: somebody, or the server itself, has taken the upload away. The next try begins a new one. */
function asUnavailable(error: unknown, key: string): unknown {
  if (!(error instanceof S3Failure) || !error.isNotFound) return error;
  return new StoreUnavailable(`The upload of ${key} was lost by the S3 server.`, true, { cause: error });
}

/** Makes the object visible, in one step. Returns when the server did so, by its clock. */
async function complete({ target, key, options }: UploadPlan, upload: PartsUpload, etags: string[]): Promise<Date> {
  const { requests } = target;
  const parts = etags.map(
    (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
  );
  const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
  return await requests.retrying(options.signal, async () => {
    try {
      const { text, headers } = await requests.sendForText({
        method: 'POST',
        key,
        query: `uploadId=${encodeURIComponent(upload.uploadId)}`,
        body,
        headers: { 'content-type': 'application/xml', ...condition(options) },
        signal: options.signal,
      });
      const failed = errorIn(text);
      if (failed) throw new S3Failure(500, failed.code, failed.message);
      // An answer that is cut says nothing; asked again, the server tells whether it was done.
      if (!text.includes('</CompleteMultipartUploadResult>')) {
        throw new S3Failure(0, 'ERR_STREAM_PREMATURE_CLOSE', 'the answer is not whole');
      }
      return new Date(headers.date ?? Date.now());
    } catch (error) {
      // The first try may have completed it although its answer was lost; then the upload is gone and the object is ours.
      const isGone = error instanceof S3Failure && error.isNotFound;
      if (isGone && (await writerOf(requests, key)) === upload.writer) return new Date();
      throw asUnavailable(error, key);
    }
  });
}

function destinationOf({ target, key, facts, options }: UploadPlan) {
  const address = `${target.requests.address}/${target.bucket}/${key}`;
  return { address, partSize: PART_SIZE, contentType: options.contentType ?? '', ...facts };
}

/** Servers quote ETags, or not. */
function bare(etag: string | undefined): string | undefined {
  return etag?.replace(/^"|"$/g, '');
}
