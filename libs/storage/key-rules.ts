// Which keys exist at all. The rule is narrow enough that a key is the same thing on every file system and every S3
// server, needs no escaping, and cannot reach outside its folder; both stores refuse the rest before anything is touched.

/** A key or prefix outside the rule: a mistake of the program, never of the store. */
export class InvalidKey extends Error {
  override readonly name = 'InvalidKey';
}

/** S3 allows 1,024 bytes; the directory store adds about 80 for its facts. */
const MAX_KEY_LENGTH = 800;
/** File systems allow 255. */
const MAX_SEGMENT_LENGTH = 200;
const CHARACTERS = /^[A-Za-z0-9._/-]*$/;

/** Throws InvalidKey unless the key may name an object. Segments with a leading dot are kept for the store itself. */
export function assertKey(key: string): void {
  const fault = faultOf(key) ?? key.split('/').map(segmentFault).find(Boolean);
  if (fault) throw new InvalidKey(`not a valid key: ${JSON.stringify(key.slice(0, 100))} ${fault}`);
}

/** Throws InvalidKey unless some key could begin so. */
export function assertPrefix(prefix: string): void {
  const segments = prefix.split('/');
  const last = segments.pop();
  const fault =
    (prefix === '' ? undefined : faultOf(prefix)) ??
    segments.map(segmentFault).find(Boolean) ??
    (last ? segmentFault(last) : undefined);
  if (fault) throw new InvalidKey(`not a valid prefix: ${JSON.stringify(prefix.slice(0, 100))} ${fault}`);
}

export function isKey(key: string): boolean {
  return faultOf(key) === undefined && key.split('/').every((segment) => segmentFault(segment) === undefined);
}

function faultOf(text: string): string | undefined {
  if (text === '') return 'is empty';
  if (text.length > MAX_KEY_LENGTH) return `has more than ${MAX_KEY_LENGTH} characters`;
  if (!CHARACTERS.test(text)) return 'has characters other than A-Z a-z 0-9 . _ - /';
  return undefined;
}

function segmentFault(segment: string): string | undefined {
  if (segment === '') return 'has an empty segment';
  if (segment.startsWith('.')) return 'has a segment that begins with a dot';
  if (segment.length > MAX_SEGMENT_LENGTH) return `has a segment of more than ${MAX_SEGMENT_LENGTH} characters`;
  return undefined;
}
