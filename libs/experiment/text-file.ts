// Is this upload a text one can learn from? Only bytes are looked at; sentences are the trainer's business.
import { InvalidRequest } from './errors.js';

export const MAX_TEXT_BYTES = 512 * 1024 * 1024;

/** The text of an uploaded file. Throws InvalidRequest, with one sentence, when it is not usable UTF-8 text. */
export function parseTextFile(bytes: Uint8Array): string {
  if (bytes.length === 0) refuse('the file is empty; send text with one sentence or paragraph a line');
  if (bytes.length > MAX_TEXT_BYTES) {
    refuse(`the file has ${bytes.length} bytes; at most ${MAX_TEXT_BYTES} (512 MiB) are taken, send a part of it`);
  }
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    refuse('the file is UTF-16; convert it to UTF-8 first, e.g. iconv -f UTF-16 -t UTF-8 old.txt > new.txt');
  }
  const control = bytes.findIndex(isControl);
  if (control >= 0) {
    const code = (bytes[control] ?? 0).toString(16).padStart(2, '0');
    refuse(`the file is binary, not text (byte 0x${code} at offset ${control}); send plain UTF-8 text`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    refuse(`the file is not UTF-8 (at byte offset ${firstInvalid(bytes)}); convert it, e.g. iconv -f LATIN1 -t UTF-8`);
  }
  if (!/[a-zA-Z\u00c0-\u017f]/.test(text)) {
    refuse('no line of the file holds a Latin letter; sentences are made of the words a to z');
  }
  return text;
}

/** Control bytes other than tab, line feed, form feed and carriage return do not stand in text. */
function isControl(byte: number): boolean {
  return (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0c && byte !== 0x0d) || byte === 0x7f;
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
