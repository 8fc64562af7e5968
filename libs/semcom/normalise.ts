// Raw text to sentences: the normalisation, length rule and line reading of the DeepSC reference (preprocess_text.py).
// Knows nothing of vocabularies.

/**
 * The reference's normalisation of one line: accents off (NFD without category Mn), tags off, a space before each of
 * `! . ?`, every run of anything else than letters and those three to one space, lower case.
 */
export function normalise(line: string): string {
  return removeTags(stripAccents(line))
    .replace(/[!.?]/g, ' $&')
    .replace(/[^a-zA-Z.!?]+/g, ' ')
    .toLowerCase();
}

/** Canonical decomposition without combining marks (Unicode category Mn). */
export function stripAccents(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII
  return /^[\x00-\x7f]*$/.test(text) ? text : text.normalize('NFD').replace(/\p{Mn}+/gu, '');
}

/**
 * Removes tags as w3lib did up to 2.1: `<`, perhaps `/`, at least one character that is no space, `>` or `/`, then up to the
 * next `>`, line breaks included. Linear in the length of the text, whatever it holds.
 */
export function removeTags(text: string): string {
  let open = text.indexOf('<');
  if (open < 0) return text;
  let kept = '';
  let done = 0;
  while (open >= 0) {
    const name = text[open + 1] === '/' ? open + 2 : open + 1;
    const first = text[name];
    if (first === undefined || first === ' ' || first === '>' || first === '/') {
      open = text.indexOf('<', open + 1);
      continue;
    }
    const close = text.indexOf('>', name + 1);
    if (close < 0) break;
    kept += text.slice(done, open);
    done = close + 1;
    open = text.indexOf('<', done);
  }
  return kept + text.slice(done);
}

/** Words of a normalised line: what stands between white space; `.`, `!` and `?` count. */
export function wordsOf(normalised: string): string[] {
  return normalised.split(' ').filter((word) => word !== '');
}

/** A raw line as a kept sentence (words joined by single spaces), or undefined when it is too short or too long. */
export function sentenceOf(line: string, limits: { minWords: number; maxWords: number }): string | undefined {
  const words = wordsOf(normalise(line));
  return words.length >= limits.minWords && words.length <= limits.maxWords ? words.join(' ') : undefined;
}

/** The reference's length rule: more than 4 and fewer than 30 words. */
export const REFERENCE_LENGTHS = { minWords: 5, maxWords: 29 };

// What Python's str.strip() takes for white space; JavaScript's trim() differs in U+001C-001F, U+0085 and U+FEFF.
const PYTHON_SPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const LEADING_SPACE = new RegExp(`^${PYTHON_SPACE}+`);
const IS_SPACE = new RegExp(PYTHON_SPACE);

/** A file's text as the reference reads it: CRLF and CR are line ends, outer white space goes, one line each. */
export function splitLines(text: string): string[] {
  const unix = text.replace(/\r\n?/g, '\n').replace(LEADING_SPACE, '');
  let end = unix.length;
  while (end > 0 && IS_SPACE.test(unix[end - 1] as string)) end--;
  return unix.slice(0, end).split('\n');
}
