// An uploaded text on its way into the store: streamed to a temporary file under a limit, hashed and looked at
// on the way, before anything is kept.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request } from 'express';
import { MAX_TEXT_BYTES, TextFileCheck } from '#experiment';
import { tooLarge } from '../requests/json-body.js';
import { inUploadFolder, uploadTrouble } from '../requests/uploaded-files.js';

export interface UploadedText {
  path: string;
  size: number;
  /** hex */
  sha256: string;
}

/** Receives the body, checks that it is text, hands it to `use`, and removes the temporary file whatever happens. */
export async function receiveText<T>(request: Request, use: (text: UploadedText) => Promise<T>): Promise<T> {
  if (Number(request.get('content-length') ?? 0) > MAX_TEXT_BYTES) throw tooLarge(MAX_TEXT_BYTES);
  return inUploadFolder(async (folder) => use(await writeBody(request, join(folder, 'text'))));
}

async function writeBody(request: Request, path: string): Promise<UploadedText> {
  const hash = createHash('sha256');
  const check = new TextFileCheck();
  let size = 0;
  let fault: unknown;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      // What comes after a fault or the limit is read and dropped, so that the client gets to see the answer.
      if (fault !== undefined || size > MAX_TEXT_BYTES) {
        done();
        return;
      }
      try {
        check.push(chunk);
      } catch (error) {
        fault = error;
        done();
        return;
      }
      hash.update(chunk);
      done(null, chunk);
    },
  });
  try {
    await pipeline(request, measure, createWriteStream(path, { mode: 0o600 }));
  } catch (error) {
    throw uploadTrouble(error);
  }
  if (size > MAX_TEXT_BYTES) throw tooLarge(MAX_TEXT_BYTES);
  if (fault !== undefined) throw fault;
  check.finish();
  return { path, size, sha256: hash.digest('hex') };
}
