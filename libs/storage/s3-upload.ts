// Writing one object to an S3 server: a single PUT up to 16 MiB, above it parts (s3-multipart.ts) where the server can.
// Nothing is visible before the last request.
import { randomUUID } from 'node:crypto';
import { assertStated, consumeFacts, measureBody, openBody } from './body.js';
import { type Body, BodyMismatch } from './object-store.js';
import type { S3Abilities } from './s3-abilities.js';
import { S3Failure } from './s3-failure.js';
import { putParts } from './s3-multipart.js';
import {
  condition,
  objectHeaders,
  PART_SIZE,
  type Uploaded,
  type UploadOptions,
  type UploadPlan,
  type UploadTarget,
  writerOf,
} from './s3-upload-plan.js';

/** S3 allows 10,000 parts of one upload. */
const MAX_SIZE = 10_000 * PART_SIZE;
/** S3 allows so much in one PUT. */
const MAX_SINGLE_SIZE = 5 * 1024 ** 3;

/** Uploads a body. Undefined: the condition onlyIfAbsent did not hold. Throws BodyMismatch, StoreUnavailable. */
export async function upload(
  target: UploadTarget,
  key: string,
  body: Body,
  options: UploadOptions,
): Promise<Uploaded | undefined> {
  // The hash stands in a header, before the first byte: a large file is read once more for it.
  const facts = await measureBody(body, options.signal);
  assertStated(key, facts, options);
  const isSingle = isSinglePut(target.abilities, facts.size, options);
  const most = isSingle ? MAX_SINGLE_SIZE : MAX_SIZE;
  if (facts.size > most) throw new RangeError(`${key} has ${facts.size} bytes, this S3 server takes at most ${most}`);
  const source = await openBody(key, body);
  const path = body instanceof Uint8Array ? undefined : body.path;
  const plan: UploadPlan = { target, key, source, path, facts, writer: randomUUID(), options };
  try {
    return isSingle ? await putWhole(plan) : await putParts(plan);
  } catch (error) {
    if (!(error instanceof S3Failure)) throw await asMismatch(error, plan);
    if (!error.isConditionFailed) throw target.requests.trouble(error);
    // When the first try was written but its answer lost, the second is refused because of ourselves.
    const isOurs = (await writerOf(target.requests, key)) === plan.writer;
    return isOurs ? { facts, writer: plan.writer, answeredAt: new Date() } : undefined;
  } finally {
    await source.close();
  }
}

/** Large objects go in one piece where parts are unknown, or where only a single PUT keeps the condition. */
function isSinglePut(abilities: S3Abilities, size: number, { onlyIfAbsent }: UploadOptions): boolean {
  if (size <= PART_SIZE || !abilities.multipart) return true;
  return onlyIfAbsent === true && !abilities.conditionalComplete && size <= MAX_SINGLE_SIZE;
}

async function putWhole({ target, key, source, facts, writer, options }: UploadPlan): Promise<Uploaded> {
  const { headers } = await target.requests.sendForText({
    method: 'PUT',
    key,
    body: { ...facts, open: () => source.part(0, facts.size) },
    headers: { ...objectHeaders(facts, writer, options), ...condition(options) },
    signal: options.signal,
  });
  return { facts, writer, answeredAt: new Date(headers.date ?? Date.now()) };
}

/** A file that changes while it is sent is refused by the server again and again; then the file is at fault. */
async function asMismatch(error: unknown, { key, source, facts, options }: UploadPlan): Promise<unknown> {
  if (!(error instanceof Error && error.cause instanceof S3Failure)) return error;
  if (!['XAmzContentSHA256Mismatch', 'BadDigest'].includes(error.cause.code)) return error;
  const part = source.part(0, facts.size);
  if (Buffer.isBuffer(part)) return error;
  const found = await consumeFacts(part, options.signal);
  if (found.sha256 === facts.sha256) return error;
  return new BodyMismatch(`${key} was not stored: its file changed while it was read`);
}
