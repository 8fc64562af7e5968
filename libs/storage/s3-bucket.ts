// Before the first object: is the server there, is there a bucket, what can the server do.
import { randomUUID } from 'node:crypto';
import type { S3Settings } from '#config';
import { StoreUnavailable } from './object-store.js';
import { S3Failure } from './s3-failure.js';
import type { S3Requests } from './s3-requests.js';
import { abortUpload } from './s3-upload.js';
import { elementsIn, escapeXml, tagIn } from './s3-xml.js';

const UPLOAD_LIFE_MS = 24 * 3600 * 1000;

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

/**
 * Whether the server keeps If-None-Match: some ignore it silently, some answer 501. Also finds out whether objects can
 * be written and deleted at all.
 */
export async function probeConditionalPut(requests: S3Requests): Promise<boolean> {
  const key = `probes/${randomUUID()}`;
  const put = () =>
    requests.sendForText({ method: 'PUT', key, body: Buffer.from('probe'), headers: { 'if-none-match': '*' } });
  try {
    await put();
    await put();
    return false;
  } catch (error) {
    if (error instanceof S3Failure && error.isConditionFailed) return true;
    if (codeOf(error) === 'NotImplemented' || statusOf(error) === 501) return false;
    throw error;
  } finally {
    await deleteQuietly(requests, key);
  }
}

/** Writes and deletes a small object. */
export async function probeWrite(requests: S3Requests): Promise<void> {
  const key = `probes/${randomUUID()}`;
  await requests.sendForText({ method: 'PUT', key, body: Buffer.from('probe') });
  await requests.sendForText({ method: 'DELETE', key });
}

/** Takes unfinished uploads older than a day off the server, as far as it lists them and lets us. */
export async function sweepUploads(requests: S3Requests): Promise<void> {
  try {
    const { text } = await requests.sendForText({ method: 'GET', query: 'uploads=' });
    for (const upload of elementsIn(text, 'Upload')) {
      const key = tagIn(upload, 'Key');
      const uploadId = tagIn(upload, 'UploadId');
      const initiated = Date.parse(tagIn(upload, 'Initiated') ?? '');
      if (key && uploadId && Date.now() - initiated > UPLOAD_LIFE_MS) await abortUpload(requests, key, uploadId);
    }
  } catch {
    // Only tidiness is lost: servers need not have this listing, and keys need not be allowed to use it.
  }
}

async function deleteQuietly(requests: S3Requests, key: string): Promise<void> {
  await requests.sendForText({ method: 'DELETE', key }).catch(() => {});
}

function failureOf(error: unknown): S3Failure | undefined {
  if (error instanceof S3Failure) return error;
  return error instanceof Error && error.cause instanceof S3Failure ? error.cause : undefined;
}

const codeOf = (error: unknown): string | undefined => failureOf(error)?.code;
const statusOf = (error: unknown): number | undefined => failureOf(error)?.status;
