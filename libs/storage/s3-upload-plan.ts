// What both ways of uploading to an S3 server share: what is sent where, under which headers.
import type { OpenBody } from './body.js';
import type { BodyFacts, PutOptions } from './object-store.js';
import type { S3Abilities } from './s3-abilities.js';
import { S3Failure } from './s3-failure.js';
import type { S3Requests } from './s3-requests.js';

export const PART_SIZE = 16 * 1024 ** 2;

export interface UploadOptions extends PutOptions {
  /** Let the server refuse when there is an object already (If-None-Match: *). */
  onlyIfAbsent?: boolean;
}

export interface Uploaded {
  facts: BodyFacts;
  /** Stands in the object's metadata; tells our object from another writer's with the same bytes. */
  writer: string;
  /** When the server's last answer was made, by its own clock. */
  answeredAt: Date;
}

/** Where an upload goes, and what is known of that server. */
export interface UploadTarget {
  requests: S3Requests;
  abilities: S3Abilities;
  bucket: string;
}

export interface UploadPlan {
  target: UploadTarget;
  key: string;
  source: OpenBody;
  /** Of a body that is a file. */
  path: string | undefined;
  facts: BodyFacts;
  writer: string;
  options: UploadOptions;
}

export function objectHeaders(facts: BodyFacts, writer: string, options: UploadOptions): Record<string, string> {
  return {
    'content-type': options.contentType ?? 'application/octet-stream',
    'x-amz-meta-sha256': facts.sha256,
    'x-amz-meta-writer': writer,
  };
}

export function condition(options: UploadOptions): Record<string, string> {
  return options.onlyIfAbsent ? { 'if-none-match': '*' } : {};
}

/** Whose object stands under the key now. */
export async function writerOf(requests: S3Requests, key: string): Promise<string | undefined> {
  try {
    const { headers } = await requests.sendForText({ method: 'HEAD', key });
    const writer = headers['x-amz-meta-writer'];
    return typeof writer === 'string' ? writer : undefined;
  } catch (error) {
    if (error instanceof S3Failure && error.isNotFound) return undefined;
    throw error;
  }
}
