// What an S3 server can do beyond the least that is asked of it, found out by trying at the start, and what is done
// instead where it cannot.
import { randomUUID } from 'node:crypto';
import { StoreUnavailable } from './object-store.js';
import { S3Failure } from './s3-failure.js';
import { abortUpload } from './s3-multipart.js';
import type { S3Requests } from './s3-requests.js';
import { elementsIn, errorIn, escapeXml, tagIn } from './s3-xml.js';

export interface S3Abilities {
  /** If-None-Match: * on a PUT: exactly one of racing writers creates an object. */
  conditionalPut: boolean;
  /** The same on the last request of an upload in parts. */
  conditionalComplete: boolean;
  multipart: boolean;
  /** GET of a part of an object. */
  ranges: boolean;
  /** A listing that begins behind a given key. */
  startAfter: boolean;
  /** Unfinished uploads are listed, so that ours can be swept. */
  listsUploads: boolean;
}

const PROBE = Buffer.from('probe');

/**
 * Tries the server with two small objects under probes/, which are deleted again; fails where they cannot be written,
 * read or deleted, or where their metadata is not kept, for without that nothing here works.
 */
export async function probeAbilities(requests: S3Requests): Promise<S3Abilities> {
  const folder = `probes/${randomUUID()}/`;
  const [first, second] = [`${folder}a`, `${folder}b`];
  try {
    const conditionalPut = await probeConditionalPut(requests, first);
    await requests.sendForText({ method: 'PUT', key: second, body: PROBE });
    const [ranges, startAfter, parts] = await Promise.all([
      probeRange(requests, first),
      probeStartAfter(requests, { folder, first, second }),
      probeMultipart(requests, second),
      assertMetadata(requests, first),
    ]);
    return { conditionalPut, ranges, startAfter, ...parts };
  } finally {
    await Promise.all([first, second].map((key) => deleteQuietly(requests, key)));
  }
}

/** Fallbacks in sentences for the log. */
export function warningsFor(abilities: S3Abilities): string[] {
  const { conditionalPut, conditionalComplete, multipart, ranges, startAfter, listsUploads } = abilities;
  const lacks: [boolean, string][] = [
    [
      !conditionalPut,
      'This S3 server does not keep If-None-Match: of writers that race to create the same object more than one may ' +
        'believe to be the first. MinIO, Ceph and AWS keep it.',
    ],
    [
      conditionalPut && multipart && !conditionalComplete,
      'This S3 server ignores If-None-Match when an upload in parts is completed: objects that must be created once ' +
        'are sent in one piece.',
    ],
    [!multipart, 'This S3 server takes no uploads in parts: objects are sent in one piece, and cannot be resumed.'],
    [!ranges, 'This S3 server ignores ranges: a download that is cut is read again from its start.'],
    [!startAfter, 'This S3 server ignores start-after in listings: the older kind of listing is used.'],
    [
      multipart && !listsUploads,
      'This S3 server does not list unfinished uploads by prefix: those of killed processes are left for the server to ' +
        'expire (MinIO does so after a day).',
    ],
  ];
  return lacks.flatMap(([isLacking, sentence]) => (isLacking ? [sentence] : []));
}

/** Some servers ignore the condition silently, some answer 501. */
async function probeConditionalPut(requests: S3Requests, key: string): Promise<boolean> {
  const put = (headers: Record<string, string>) =>
    requests.sendForText({ method: 'PUT', key, body: PROBE, headers: { 'x-amz-meta-writer': 'probe', ...headers } });
  try {
    await put({ 'if-none-match': '*' });
    await put({ 'if-none-match': '*' });
    return false;
  } catch (error) {
    if (failureOf(error)?.isConditionFailed) return true;
    if (!isUnknown(error)) throw error;
    await put({});
    return false;
  }
}

async function assertMetadata(requests: S3Requests, key: string): Promise<void> {
  const { headers } = await requests.sendForText({ method: 'HEAD', key });
  if (headers['x-amz-meta-writer'] === 'probe') return;
  throw new StoreUnavailable('The S3 server does not keep the metadata of objects (x-amz-meta-*).', false);
}

async function probeRange(requests: S3Requests, key: string): Promise<boolean> {
  try {
    const { text, headers } = await requests.sendForText({ method: 'GET', key, headers: { range: 'bytes=1-2' } });
    return text === 'ro' && headers['content-range'] === `bytes 1-2/${PROBE.length}`;
  } catch (error) {
    if (isUnknown(error)) return false;
    throw error;
  }
}

async function probeStartAfter(
  requests: S3Requests,
  { folder, first, second }: Record<'folder' | 'first' | 'second', string>,
): Promise<boolean> {
  const query = new URLSearchParams({ 'list-type': '2', prefix: folder, 'start-after': first }).toString();
  const { text } = await requests.sendForText({ method: 'GET', query });
  const keys = elementsIn(text, 'Contents').map((item) => tagIn(item, 'Key'));
  return keys.length === 1 && keys[0] === second;
}

/** An upload of one small part to a key that exists, completed only if it does not. */
async function probeMultipart(
  requests: S3Requests,
  key: string,
): Promise<Pick<S3Abilities, 'multipart' | 'conditionalComplete' | 'listsUploads'>> {
  let uploadId: string | undefined;
  try {
    const begun = await requests.sendForText({ method: 'POST', key, query: 'uploads=' });
    uploadId = tagIn(begun.text, 'UploadId');
    if (!uploadId) return { multipart: false, conditionalComplete: false, listsUploads: false };
    const query = `uploadId=${encodeURIComponent(uploadId)}`;
    const { headers } = await requests.sendForText({ method: 'PUT', key, query: `partNumber=1&${query}`, body: PROBE });
    const listsUploads = await probeUploadListing(requests, key);
    const part = `<Part><PartNumber>1</PartNumber><ETag>${escapeXml(headers.etag ?? '')}</ETag></Part>`;
    const body = Buffer.from(`<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`);
    const conditionalComplete = await isRefused(requests, { key, query, body });
    return { multipart: true, conditionalComplete, listsUploads };
  } catch (error) {
    if (!isUnknown(error)) throw error;
    return { multipart: false, conditionalComplete: false, listsUploads: false };
  } finally {
    if (uploadId) await abortUpload(requests, key, uploadId);
  }
}

async function isRefused(
  requests: S3Requests,
  { key, query, body }: { key: string; query: string; body: Buffer },
): Promise<boolean> {
  try {
    const headers = { 'content-type': 'application/xml', 'if-none-match': '*' };
    const { text } = await requests.sendForText({ method: 'POST', key, query, body, headers });
    return errorIn(text)?.code === 'PreconditionFailed';
  } catch (error) {
    if (failureOf(error)?.isConditionFailed) return true;
    if (isUnknown(error) || failureOf(error)?.isNotFound) return false;
    throw error;
  }
}

async function probeUploadListing(requests: S3Requests, key: string): Promise<boolean> {
  try {
    // By the folder, for that is how uploads of keys that nobody remembers would have to be found.
    const { text } = await requests.sendForText({ method: 'GET', query: 'uploads=&prefix=probes%2F' });
    return elementsIn(text, 'Upload').some((upload) => tagIn(upload, 'Key') === key);
  } catch {
    // Not known, or not allowed to this access key.
    return false;
  }
}

function isUnknown(error: unknown): boolean {
  const failure = failureOf(error);
  return failure?.code === 'NotImplemented' || failure?.status === 501 || failure?.code === 'MethodNotAllowed';
}

async function deleteQuietly(requests: S3Requests, key: string): Promise<void> {
  await requests.sendForText({ method: 'DELETE', key }).catch(() => {});
}

export function failureOf(error: unknown): S3Failure | undefined {
  if (error instanceof S3Failure) return error;
  return error instanceof Error && error.cause instanceof S3Failure ? error.cause : undefined;
}
