// What went wrong with a request to an S3 server, whether trying again may help, and how to say it to people.
import { StoreUnavailable } from './object-store.js';

/** An answer of the server that is no success, or (status 0) a connection that failed. */
export class S3Failure extends Error {
  override readonly name = 'S3Failure';
  constructor(
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
    /** The server's error code (NoSuchKey, …) or the system's (ECONNRESET, …). */
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  get isNotFound(): boolean {
    return this.status === 404 && this.code !== 'NoSuchBucket';
  }

  /** The condition If-None-Match did not hold: there is an object. */
  get isConditionFailed(): boolean {
    return this.status === 412;
  }
}

const RETRIABLE_STATUS = new Set([408, 425, 429, 499, 500, 502, 503, 504, 520]);

/** Answers with other statuses that mean "again": the body was cut or hurt on its way, or two writers collided. */
const RETRIABLE_CODES = new Set([
  'RequestTimeout',
  'IncompleteBody',
  'BadDigest',
  'XAmzContentSHA256Mismatch',
  'OperationAborted',
  'ConditionalRequestConflict',
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
  'ERR_STREAM_PREMATURE_CLOSE',
]);

export function isRetriable(failure: S3Failure): boolean {
  if (failure.code === 'XMinioStorageFull' || failure.code === 'NotImplemented') return false;
  return RETRIABLE_STATUS.has(failure.status) || RETRIABLE_CODES.has(failure.code);
}

/** An error of Node's network or TLS layer as a failure without an answer; anything else comes back as it is. */
export function asFailure(error: unknown): unknown {
  if (error instanceof S3Failure || !(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === undefined || error.name === 'AbortError') return error;
  if (!isNetworkCode(code)) return error;
  return new S3Failure(0, code, error.message, { cause: error });
}

/** A failure in one sentence, with the way out where there is one. `server` has no secrets in it. */
export function storeTrouble(failure: S3Failure, server: { address: string; bucket: string }): StoreUnavailable {
  const where = `The S3 server at ${server.address}`;
  const retriable = isRetriable(failure);
  return new StoreUnavailable(`${where} ${sentence(failure, server.bucket)}`, retriable, { cause: failure });
}

function sentence({ status, code, message }: S3Failure, bucket: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'does not answer (connection refused); is it running, and is S3_ENDPOINT right?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'cannot be found by name; check the host in S3_ENDPOINT.';
    case 'ETIMEDOUT':
      return 'went silent (time-out); check the network and whether it is overloaded.';
    case 'ECONNRESET':
    case 'ECONNABORTED':
    case 'EPIPE':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return 'broke the connection off again and again.';
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return 'does not speak TLS; S3_ENDPOINT probably has to begin with http://.';
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
      return `refused the credentials (${code}); check S3_ACCESS_KEY, S3_SECRET_KEY and S3_REGION.`;
    case 'ExpiredToken':
    case 'InvalidToken':
    case 'InvalidTokenId':
      return `refused the temporary credentials (${code}); get new ones (S3_SESSION_TOKEN).`;
    case 'RequestTimeTooSkewed':
      return `has another time than this machine (${message}); set the clock that is wrong (NTP), at most 15 minutes are allowed.`;
    case 'NoSuchBucket':
      return `has no bucket ${bucket}; create it or set S3_BUCKET.`;
    case 'AccessDenied':
    case 'AllAccessDisabled':
      return `does not allow this on the bucket ${bucket}; the access key needs to list it and to read, write and delete its objects.`;
    case 'XMinioStorageFull':
    case 'QuotaExceeded':
    case 'XMinioAdminBucketQuotaExceeded':
      return `is full (${code}); free some space or raise the quota.`;
    default:
      if (/CERT|SELF_SIGNED|LEAF_SIGNATURE|ALTNAME/.test(code)) {
        return `has a TLS certificate that is not trusted here (${code}); name its authority's PEM file in S3_CA_FILE.`;
      }
      return status === 0
        ? `cannot be reached: ${message} (${code}).`
        : `answered ${status} ${code}: ${message.replace(/\.?$/, '.')}`;
  }
}

/** Codes of sockets and TLS; those of files (ENOSPC of a download's target) are not the server's. */
function isNetworkCode(code: string): boolean {
  return (
    RETRIABLE_CODES.has(code) ||
    ['EPROTO', 'EADDRNOTAVAIL'].includes(code) ||
    /^HPE_|^ERR_(SSL|TLS)_|CERT|SELF_SIGNED|LEAF_SIGNATURE/.test(code)
  );
}
