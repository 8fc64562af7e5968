// multipart/form-data (RFC 7578) cut into its parts as the bytes come in, whatever the pieces they come in; holds no more
// than a delimiter's length back. Knows nothing of files and limits.

export type MultipartEvent =
  | { type: 'part'; name: string; fileName?: string }
  /** Bytes of the latest part. */
  | { type: 'data'; bytes: Buffer }
  | { type: 'end' };

/** A body that is not multipart/form-data; the message says where it goes wrong. */
export class MultipartError extends Error {
  override readonly name = 'MultipartError';
}

const MAX_HEADER_BYTES = 8 * 1024;

export class MultipartSplitter {
  private readonly delimiter: Buffer;
  // The first delimiter may stand at the very start, without a line break of its own.
  private held: Buffer = Buffer.from('\r\n');
  private state: 'preamble' | 'delimiter' | 'headers' | 'body' | 'end' = 'preamble';

  constructor(boundary: string) {
    this.delimiter = Buffer.from(`\r\n--${boundary}`);
  }

  /** The boundary of a Content-Type; throws MultipartError without one. */
  static boundaryOf(contentType: string): string {
    const match = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType);
    const boundary = match?.[1] ?? match?.[2];
    if (!boundary) throw new MultipartError("the Content-Type names no boundary; let the client's form library set it");
    return boundary;
  }

  get isAtEnd(): boolean {
    return this.state === 'end';
  }

  *push(chunk: Buffer): Generator<MultipartEvent> {
    this.held = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk]);
    for (let goOn = true; goOn; ) {
      switch (this.state) {
        case 'preamble':
        case 'body':
          goOn = yield* this.untilDelimiter();
          break;
        case 'delimiter':
          goOn = yield* this.afterDelimiter();
          break;
        case 'headers':
          goOn = yield* this.headers();
          break;
        case 'end':
          this.held = Buffer.alloc(0);
          goOn = false;
      }
    }
  }

  private *untilDelimiter(): Generator<MultipartEvent, boolean> {
    const at = this.held.indexOf(this.delimiter);
    const certain = at >= 0 ? at : Math.max(0, this.held.length - this.delimiter.length + 1);
    if (this.state === 'body' && certain > 0) yield { type: 'data', bytes: this.held.subarray(0, certain) };
    this.held = this.held.subarray(at >= 0 ? at + this.delimiter.length : certain);
    if (at >= 0) this.state = 'delimiter';
    return at >= 0;
  }

  private *afterDelimiter(): Generator<MultipartEvent, boolean> {
    if (this.held.length < 2) return false;
    if (this.held.subarray(0, 2).equals(Buffer.from('--'))) {
      this.state = 'end';
      yield { type: 'end' };
      return true;
    }
    const lineEnd = this.held.indexOf('\r\n');
    const padding = this.held.subarray(0, lineEnd < 0 ? this.held.length : lineEnd).toString('latin1');
    if (!/^[ \t]*\r?$/.test(padding) || padding.length > 100) {
      throw new MultipartError('a boundary is followed by something else than a line break');
    }
    if (lineEnd < 0) return false;
    // The line break stays: the headers end with an empty line even where there are none.
    this.held = this.held.subarray(lineEnd);
    this.state = 'headers';
    return true;
  }

  private *headers(): Generator<MultipartEvent, boolean> {
    const end = this.held.indexOf('\r\n\r\n');
    if (end < 0 || end > MAX_HEADER_BYTES) {
      if (this.held.length > MAX_HEADER_BYTES) throw new MultipartError('the headers of a part are too long');
      return false;
    }
    const text = this.held.subarray(0, end).toString('utf8');
    this.held = this.held.subarray(end + 4);
    this.state = 'body';
    const disposition = /^content-disposition:[ \t]*form-data[ \t]*(;.*)$/im.exec(text)?.[1] ?? '';
    const name = parameterOf(disposition, 'name');
    if (name === undefined) throw new MultipartError('a part has no name (Content-Disposition: form-data; name="…")');
    const fileName = parameterOf(disposition, 'filename');
    yield { type: 'part', name, ...(fileName === undefined ? {} : { fileName }) };
    return true;
  }
}

/** A quoted or bare parameter; browsers and curl write `"` as %22 or \". */
function parameterOf(disposition: string, name: string): string | undefined {
  const match = new RegExp(`;[ \\t]*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s"]*))`, 'i').exec(disposition);
  const value = match?.[1] ?? match?.[2];
  return value?.replace(/\\(.)/g, '$1').replaceAll('%22', '"');
}
