// Before the first object: is the server there, is there a bucket, can it be written, what did killed processes leave.
import { randomUUID } from 'node:crypto';
import type { S3Settings } from '#config';
import { StoreUnavailable, UNFINISHED_LIFE_MS, type UnfinishedWrite } from './object-store.js';
import { failureOf } from './s3-abilities.js';
import { abortUpload } from './s3-multipart.js';
import type { S3Requests } from './s3-requests.js';
import { elementsIn, escapeXml, tagIn } from './s3-xml.js';

const MAX_UPLOADS = 100_000;

/** Finds the bucket or creates it. Throws StoreUnavailable with what to do. */
export async function ensureBucket(requests: S3Requests, settings: S3Settings): Promise<void> {
  try {
    // A listing and not HEAD: its error document tells wrong credentials from missing permission.
    await requests.sendForText({ method: 'GET', query: 'list-type=2&max-keys=1' });
  } catch (error) {
    if (codeOf(error) !== 'NoSuchBucket') throw error;
    await createBucket(requests, settings);
  }
}

async function createBucket(requests: S3Requests, { bucket, region, endpoint }: S3Settings): Promise<void> {
  // AWS refuses its first region by name.
  const body =
    region === 'us-east-1'
      ? ''
      : `<CreateBucketConfiguration><LocationConstraint>${escapeXml(region)}</LocationConstraint></CreateBucketConfiguration>`;
  try {
    await requests.sendForText({ method: 'PUT', body: Buffer.from(body) });
  } catch (error) {
    const code = codeOf(error);
    if (code === 'BucketAlreadyOwnedByYou' || code === 'BucketAlreadyExists') return;
    if (code !== 'AccessDenied') throw error;
    throw new StoreUnavailable(
      `The S3 server at ${endpoint.origin} has no bucket ${bucket} and the access key may not create it; ` +
        'create it or allow s3:CreateBucket.',
      false,
      { cause: error },
    );
  }
}

/** Writes and deletes a small object. */
export async function probeWrite(requests: S3Requests): Promise<void> {
  const key = `probes/${randomUUID()}`;
  await requests.sendForText({ method: 'PUT', key, body: Buffer.from('probe') });
  await requests.sendForText({ method: 'DELETE', key });
}

/** An upload that was begun and neither completed nor aborted. */
interface UnfinishedUpload {
  key: string;
  uploadId: string;
  initiatedAt: Date;
}

/** All unfinished uploads that the server lists; some list none without their whole key (MinIO). */
async function unfinishedUploads(requests: S3Requests): Promise<UnfinishedUpload[]> {
  const found: UnfinishedUpload[] = [];
  for (let marker = ''; ; ) {
    const { text } = await requests.sendForText({ method: 'GET', query: `uploads=${marker}` });
    for (const upload of elementsIn(text, 'Upload')) {
      const key = tagIn(upload, 'Key');
      const uploadId = tagIn(upload, 'UploadId');
      if (key && uploadId) found.push({ key, uploadId, initiatedAt: new Date(tagIn(upload, 'Initiated') ?? '') });
    }
    const [nextKey, nextId] = [tagIn(text, 'NextKeyMarker'), tagIn(text, 'NextUploadIdMarker')];
    if (tagIn(text, 'IsTruncated') !== 'true' || !nextKey || found.length > MAX_UPLOADS) return found;
    const next = `&key-marker=${encodeURIComponent(nextKey)}&upload-id-marker=${encodeURIComponent(nextId ?? '')}`;
    if (next === marker) return found;
    marker = next;
  }
}

/** Unfinished uploads begun so long ago. Throws S3Failure where this access key may not list them. */
export async function unfinishedWrites(requests: S3Requests, olderThanMs: number): Promise<UnfinishedWrite[]> {
  const found: UnfinishedWrite[] = [];
  for (const { key, uploadId, initiatedAt } of await unfinishedUploads(requests)) {
    if (Date.now() - initiatedAt.getTime() < olderThanMs) continue;
    const remove = () => abortUpload(requests, key, uploadId);
    found.push({ name: key, size: await sizeOfParts(requests, key, uploadId), remove });
  }
  return found;
}

/** Of the first thousand parts, which is 16 GB. */
async function sizeOfParts(requests: S3Requests, key: string, uploadId: string): Promise<number> {
  try {
    const query = `uploadId=${encodeURIComponent(uploadId)}`;
    const { text } = await requests.sendForText({ method: 'GET', key, query });
    return elementsIn(text, 'Part').reduce((sum, part) => sum + Number(tagIn(part, 'Size') ?? 0), 0);
  } catch (error) {
    // It has ended since it was listed.
    if (failureOf(error)?.isNotFound) return 0;
    throw error;
  }
}

/** Takes unfinished uploads older than a day off the server, as far as it lists them and lets us. */
export async function sweepUploads(requests: S3Requests): Promise<void> {
  try {
    for (const { key, uploadId, initiatedAt } of await unfinishedUploads(requests)) {
      if (isOld(initiatedAt)) await abortUpload(requests, key, uploadId);
    }
  } catch {
    // Only tidiness is lost: servers need not have this listing, and keys need not be allowed to use it.
  }
}

/** Takes away what killed processes left of their probes (s3-abilities.ts). */
export async function sweepProbes(requests: S3Requests): Promise<void> {
  try {
    const { text } = await requests.sendForText({ method: 'GET', query: 'list-type=2&prefix=probes%2F' });
    for (const item of elementsIn(text, 'Contents')) {
      const key = tagIn(item, 'Key');
      if (key && isOld(new Date(tagIn(item, 'LastModified') ?? '')))
        await requests.sendForText({ method: 'DELETE', key });
    }
  } catch {
    // Only tidiness is lost.
  }
}

function isOld(date: Date): boolean {
  return Date.now() - date.getTime() > UNFINISHED_LIFE_MS;
}

const codeOf = (error: unknown): string | undefined => failureOf(error)?.code;
