// Finds where a text stops being JSON: Node 20's JSON.parse says what it stumbled over but not always where.

/** Deepest nesting a request may have; the request classes need five. */
const MAX_DEPTH = 32;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const WORD = /true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

/** Offset of the first fault and what was wanted there; undefined when the text is JSON and not too deep. */
export function findJsonFault(text: string): { offset: number; wanted: string } | undefined {
  let at = 0;
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  // By hand, not by a pattern: a megabyte-long string would exhaust the pattern's stack.
  const string = (): boolean => {
    if (text[at] !== '"') return false;
    const start = at;
    for (let next = at + 1; next < text.length; next += 1) {
      const code = text.charCodeAt(next);
      if (code === QUOTE) {
        at = next + 1;
        return true;
      }
      if (code < 0x20) break;
      if (code === BACKSLASH) {
        ESCAPE.lastIndex = next;
        if (!ESCAPE.test(text)) break;
        next = ESCAPE.lastIndex - 1;
      }
    }
    at = start;
    return false;
  };
  const fail = (wanted: string): never => {
    throw new Fault(at, wanted);
  };
  const list = (close: string, depth: number, item: () => void): void => {
    if (depth > MAX_DEPTH) fail(`at most ${MAX_DEPTH} levels of nesting`);
    at += 1;
    skip(SPACE);
    if (text[at] === close) {
      at += 1;
      return;
    }
    for (;;) {
      item();
      skip(SPACE);
      if (text[at] === close) break;
      if (text[at] !== ',') fail(`',' or '${close}'`);
      at += 1;
    }
    at += 1;
  };
  const value = (depth: number): void => {
    skip(SPACE);
    if (text[at] === '{') {
      list('}', depth + 1, () => {
        skip(SPACE);
        if (!string()) fail('a name in double quotes');
        skip(SPACE);
        if (text[at] !== ':') fail("':'");
        at += 1;
        value(depth + 1);
      });
    } else if (text[at] === '[') list(']', depth + 1, () => value(depth + 1));
    else if (!string() && !skip(NUMBER) && !skip(WORD)) fail('a value');
  };
  try {
    value(0);
    skip(SPACE);
    if (at < text.length) fail('the end');
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return { offset: error.offset, wanted: error.wanted };
    throw error;
  }
}

class Fault extends Error {
  constructor(
    readonly offset: number,
    readonly wanted: string,
  ) {
    super(wanted);
  }
}
