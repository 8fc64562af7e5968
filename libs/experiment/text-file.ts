// Is this upload a text one can learn from? Bytes are looked at as they come in, whatever the pieces; sentences are the
// trainer's business.
import { isUtf8 } from 'node:buffer';
import { InvalidRequest } from './errors.js';

export const MAX_TEXT_BYTES = 2 * 1024 * 1024 * 1024;
/** Of a pickled split; the reader's own ceiling is the same. */
export const MAX_TOKENS_BYTES = 128 * 1024 * 1024;

/** Looks at a text piece by piece. Both methods throw InvalidRequest, with one sentence, when it is not usable UTF-8 text. */
export class TextFileCheck {
  private size = 0;
  private hasLetter = false;
  /** The start of a character whose end is in the next piece, at most three bytes. */
  private carried: Uint8Array = new Uint8Array(0);

  push(piece: Uint8Array): void {
    const bytes = this.carried.length === 0 ? piece : joined(this.carried, piece);
    const start = this.size - this.carried.length;
    this.size += piece.length;
    if (this.size > MAX_TEXT_BYTES) refuse(`the text has more than ${MAX_TEXT_BYTES} bytes (2 GiB); send a part of it`);
    if (start === 0) refuseUtf16(bytes);
    const control = bytes.findIndex(isControl);
    if (control >= 0) {
      const code = (bytes[control] ?? 0).toString(16).padStart(2, '0');
      refuse(`the file is binary, not text (byte 0x${code} at offset ${start + control}); send plain UTF-8 text`);
    }
    const whole = bytes.length - unfinished(bytes);
    if (!isUtf8(bytes.subarray(0, whole))) refuseInvalid(start + firstInvalid(bytes.subarray(0, whole)));
    // By its bytes: a to z, or the lead byte of U+00C0 to U+017F.
    this.hasLetter ||= bytes.some((byte) => ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a) || isLatinLead(byte));
    this.carried = bytes.slice(whole);
  }

  finish(): void {
    if (this.size === 0) refuse('the file is empty; send text with one sentence or paragraph a line');
    if (this.carried.length > 0) refuseInvalid(this.size - this.carried.length);
    if (!this.hasLetter) refuse('no line of the file holds a Latin letter; sentences are made of the words a to z');
  }
}

function refuseUtf16([first, second]: Uint8Array): void {
  if (!((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))) return;
  refuse(
    'the file is UTF-16; convert it to UTF-8 first, e.g. iconv -f UTF-16 -t UTF-8 old.txt > new.txt (semdistill corpus add does it by itself)',
  );
}

function refuseInvalid(offset: number): never {
  refuse(
    `the file is not UTF-8 (at byte offset ${offset}); convert it, e.g. iconv -f LATIN1 -t UTF-8, or name its encoding: semdistill corpus add --encoding latin1`,
  );
}

/** Control bytes other than tab, line feed, form feed and carriage return do not stand in text. */
function isControl(byte: number): boolean {
  return (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0c && byte !== 0x0d) || byte === 0x7f;
}

function isLatinLead(byte: number): boolean {
  return byte >= 0xc3 && byte <= 0xc5;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** How many bytes at the end begin a character that is not whole yet. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

/** Offset of the first byte that starts no valid UTF-8 sequence (RFC 3629), or the length. */
function firstInvalid(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return bytes.length;
}

function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + length > bytes.length) return 0;
  for (let i = 1; i < length; i++) {
    if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  const second = bytes[at + 1] ?? 0;
  const isOverlong = (lead === 0xe0 && second < 0xa0) || (lead === 0xf0 && second < 0x90);
  const isOutside = (lead === 0xed && second > 0x9f) || (lead === 0xf4 && second > 0x8f);
  return isOverlong || isOutside ? 0 : length;
}

function refuse(message: string): never {
  throw new InvalidRequest([{ path: '', message }]);
}
