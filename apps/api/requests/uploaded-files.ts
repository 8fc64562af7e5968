// A form with files on its way in: streamed to temporary files under a limit each, hashed, and removed again whatever
// happens. Knows nothing of what the files hold.
import { createHash } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Request } from 'express';
import { type Fault, InvalidRequest } from '#experiment';
import { StoreUnavailable } from '#storage';
import { HttpProblem } from '../problems/problem.js';
import { tooLarge } from './json-body.js';
import { MultipartError, MultipartSplitter } from './multipart-splitter.js';

export interface UploadedFile {
  path: string;
  /** As the client calls it, without folders. */
  fileName: string;
  size: number;
  /** hex */
  sha256: string;
}

export interface UploadedForm {
  fields: Record<string, string>;
  files: Map<string, UploadedFile>;
}

const MAX_FIELD_BYTES = 1024;
const MAX_FIELDS = 100;
/** Boundaries, headers and text fields beside the files. */
const FORM_OVERHEAD_BYTES = 1024 * 1024;

/**
 * Receives a multipart/form-data body and hands it to `use`. `limits` names the file parts and how large each may be; every
 * other part is a text field. Throws InvalidRequest with the faults of the form, and 413 for what is too large.
 */
export async function receiveForm<T>(
  request: Request,
  limits: Record<string, number>,
  use: (form: UploadedForm) => Promise<T>,
): Promise<T> {
  const most = Object.values(limits).reduce((sum, limit) => sum + limit, FORM_OVERHEAD_BYTES);
  if (Number(request.get('content-length') ?? 0) > most) throw tooLarge(most);
  return inUploadFolder(async (folder) => {
    let form: UploadedForm;
    try {
      form = await new FormReceiver(folder, limits).receive(request);
    } catch (error) {
      throw uploadTrouble(error);
    }
    return use(form);
  });
}

/** A temporary folder for one upload, removed whatever happens. */
export async function inUploadFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'semdistill-upload-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What went wrong with an upload, as the answer to the client; other errors are passed on. */
export function uploadTrouble(error: unknown): unknown {
  if (error instanceof MultipartError) {
    return new InvalidRequest([{ path: '', message: `the form cannot be read: ${error.message}` }]);
  }
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC') {
    const advice = 'The disk for uploads is full; free some space in the folder for temporary files.';
    return new StoreUnavailable(advice, true, { cause: error });
  }
  if (code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET') {
    return new HttpProblem(400, 'The upload was broken off; nothing was kept.');
  }
  return error;
}

interface Sink {
  write(bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}

class FormReceiver {
  private readonly form: UploadedForm = { fields: {}, files: new Map() };
  private readonly faults: Fault[] = [];
  private readonly seen = new Set<string>();
  private oversized: number | undefined;
  private sink: Sink | undefined;

  constructor(
    private readonly folder: string,
    private readonly limits: Record<string, number>,
  ) {}

  /** What comes after a limit is read and dropped, so that the client gets to see the answer. */
  async receive(request: Request): Promise<UploadedForm> {
    const splitter = new MultipartSplitter(MultipartSplitter.boundaryOf(request.get('content-type') ?? ''));
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        for (const event of splitter.push(chunk)) {
          if (event.type === 'data') await this.sink?.write(event.bytes);
          else await this.endPart();
          if (event.type === 'part') this.sink = await this.begin(event.name, event.fileName);
        }
      }
    } finally {
      await this.endPart();
    }
    if (!splitter.isAtEnd) throw new MultipartError('it ends before its last boundary');
    if (this.oversized !== undefined) throw tooLarge(this.oversized);
    if (this.faults.length > 0) throw new InvalidRequest(this.faults);
    return this.form;
  }

  private async endPart(): Promise<void> {
    const { sink } = this;
    this.sink = undefined;
    await sink?.close();
  }

  private async begin(name: string, fileName: string | undefined): Promise<Sink | undefined> {
    const fault = (message: string) => {
      if (this.faults.length < MAX_FIELDS) this.faults.push({ path: name.slice(0, 60), message });
      return undefined;
    };
    if (this.seen.has(name)) return fault('is sent twice');
    if (this.seen.size >= MAX_FIELDS) return fault(`is one part too many: at most ${MAX_FIELDS} are taken`);
    this.seen.add(name);
    const limit = Object.hasOwn(this.limits, name) ? this.limits[name] : undefined;
    if (limit !== undefined) return this.file(name, fileName ?? name, limit);
    if (fileName !== undefined) return fault(`is no file here; files are ${Object.keys(this.limits).join(', ')}`);
    return this.text(name, fault);
  }

  private async file(name: string, fileName: string, limit: number): Promise<Sink> {
    const path = join(this.folder, String(this.form.files.size));
    const handle = await open(path, 'wx', 0o600);
    const hash = createHash('sha256');
    let size = 0;
    const plain =
      fileName
        .replace(/^.*[/\\]/, '')
        .replace(/\p{Cc}/gu, '')
        .slice(0, 200) || name;
    return {
      write: async (bytes) => {
        size += bytes.length;
        if (size > limit) {
          this.oversized = limit;
          return;
        }
        hash.update(bytes);
        await handle.writeFile(bytes);
      },
      close: async () => {
        await handle.close();
        this.form.files.set(name, { path, fileName: plain, size, sha256: hash.digest('hex') });
      },
    };
  }

  private text(name: string, fault: (message: string) => undefined): Sink {
    const chunks: Buffer[] = [];
    let size = 0;
    return {
      write: async (bytes) => {
        size += bytes.length;
        if (size <= MAX_FIELD_BYTES) chunks.push(bytes);
      },
      close: async () => {
        if (size > MAX_FIELD_BYTES) fault(`is longer than ${MAX_FIELD_BYTES} bytes`);
        // Own properties only, whatever the name: '__proto__' is a field that is not known.
        else
          Object.defineProperty(this.form.fields, name, {
            value: Buffer.concat(chunks).toString('utf8'),
            enumerable: true,
          });
      },
    };
  }
}
