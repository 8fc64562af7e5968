// What an upload in parts has come to, in a small file beside the one that is uploaded: the upload's id, and of every part
// that the server took its hash and the server's name for it. A process that was killed leaves it, and the next one that
// uploads the same bytes to the same place goes on from there. Lost or torn, it costs time only, never truth.
import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';

/** Where to, and what: an upload goes on only if all of it is the same. */
export interface Destination {
  /** Server, bucket and key. */
  address: string;
  size: number;
  sha256: string;
  contentType: string;
  partSize: number;
}

export interface JournalHeader extends Destination {
  uploadId: string;
  /** Stands in the metadata of the object that the upload will make. */
  writer: string;
}

export interface JournalPart {
  part: number;
  size: number;
  sha256: string;
  etag: string;
}

const MAX_BYTES = 4 * 1024 ** 2;

export class UploadJournal {
  private constructor(
    private readonly path: string,
    readonly header: JournalHeader,
    readonly parts: ReadonlyMap<number, JournalPart>,
    private file: FileHandle | undefined,
  ) {}

  /** Begins one; undefined where nothing can be written beside the file: then the upload cannot be resumed. */
  static async begin(bodyPath: string, header: JournalHeader): Promise<UploadJournal | undefined> {
    const path = journalPath(bodyPath, header.address);
    try {
      const file = await open(path, 'w', 0o600);
      await file.appendFile(`${JSON.stringify(header)}\n`);
      return new UploadJournal(path, header, new Map(), file);
    } catch {
      return undefined;
    }
  }

  /** The journal of an earlier try of just this upload. */
  static async find(bodyPath: string, destination: Destination): Promise<UploadJournal | undefined> {
    const path = journalPath(bodyPath, destination.address);
    const lines = await readLines(path);
    const header = lines[0] as Partial<JournalHeader> | undefined;
    if (!header || typeof header.uploadId !== 'string' || typeof header.writer !== 'string') return undefined;
    const isSame = (Object.keys(destination) as (keyof Destination)[]).every(
      (name) => header[name] === destination[name],
    );
    if (!isSame) return undefined;
    const parts = lines.slice(1).filter(isPart);
    return new UploadJournal(path, header as JournalHeader, new Map(parts.map((part) => [part.part, part])), undefined);
  }

  async reopen(): Promise<void> {
    this.file = await open(this.path, 'a', 0o600).catch(() => undefined);
    // After a torn last line the next one must not be glued to it.
    await this.append('\n');
  }

  async add(part: JournalPart): Promise<void> {
    await this.append(`${JSON.stringify(part)}\n`);
  }

  async close(): Promise<void> {
    const { file } = this;
    this.file = undefined;
    await file?.close();
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true }).catch(() => {});
  }

  /** A part that could not be noted is sent again after a kill, nothing worse. */
  private async append(line: string): Promise<void> {
    await this.file?.appendFile(line).catch(() => {});
  }
}

/** One file may be on its way to several places. */
export function journalPath(bodyPath: string, address: string): string {
  return `${bodyPath}.${createHash('sha256').update(address).digest('hex').slice(0, 12)}.upload`;
}

async function readLines(path: string): Promise<unknown[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  if (text.length > MAX_BYTES) return [];
  return text.split('\n').flatMap((line): unknown[] => {
    try {
      const value: unknown = JSON.parse(line);
      return typeof value === 'object' && value !== null ? [value] : [];
    } catch {
      return [];
    }
  });
}

function isPart(value: unknown): value is JournalPart {
  const { part, size, sha256, etag } = value as Partial<JournalPart>;
  return Number.isInteger(part) && Number.isInteger(size) && typeof sha256 === 'string' && typeof etag === 'string';
}
