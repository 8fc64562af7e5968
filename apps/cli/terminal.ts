// Where the command line speaks: data goes to stdout, talk to stderr. On a terminal a block of live lines stays at the
// bottom and is redrawn in place; elsewhere there is nothing but plain lines.
import { styleText } from 'node:util';

type Colour = 'green' | 'red' | 'yellow' | 'cyan' | 'dim' | 'bold';

export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
  hasColors?(): boolean;
}

export class Terminal {
  readonly #out: OutputStream;
  readonly #talk: OutputStream;
  #liveLines: string[] = [];
  /** Whether live lines can be redrawn. */
  readonly interactive: boolean;

  constructor(streams: { out: OutputStream; talk: OutputStream; dumb?: boolean }) {
    this.#out = streams.out;
    this.#talk = streams.talk;
    this.interactive = streams.talk.isTTY === true && !streams.dumb;
  }

  /** Data, for stdout. */
  print(text: string): void {
    const lines = this.#liveLines;
    this.#erase();
    this.#out.write(text.endsWith('\n') ? text : `${text}\n`);
    this.#draw(lines);
  }

  /** A line of talk, for stderr; it scrolls by above the live lines. */
  say(text: string): void {
    const lines = this.#liveLines;
    this.#erase();
    this.#talk.write(`${text}\n`);
    this.#draw(lines);
  }

  /** Replaces the live lines; only on a terminal. */
  live(lines: string[]): void {
    if (!this.interactive) return;
    const height = Math.max(4, (this.#talk.rows ?? 24) - 1);
    this.#erase();
    this.#draw(lines.slice(0, height));
  }

  /** Leaves what is drawn where it is and starts anew below it. */
  settle(): void {
    this.#liveLines = [];
  }

  get columns(): number {
    return this.#talk.columns ?? 100;
  }

  get rows(): number {
    return this.#talk.rows ?? 24;
  }

  colour(colour: Colour, text: string, stream: 'talk' | 'out' = 'talk'): string {
    const target = stream === 'talk' ? this.#talk : this.#out;
    if (!target.isTTY || target.hasColors?.() !== true) return text;
    return styleText(colour, text);
  }

  #erase(): void {
    if (this.#liveLines.length > 0) this.#talk.write(`\u001b[${this.#liveLines.length}A\u001b[J`);
    this.#liveLines = [];
  }

  #draw(lines: string[]): void {
    if (lines.length > 0) this.#talk.write(lines.map((line) => `${clip(line, this.columns - 1)}\n`).join(''));
    this.#liveLines = lines;
  }
}

const ESCAPE = '\u001b';

/** Cuts a line to so many terminal columns (CJK characters take two); colour codes take none and are closed. */
export function clip(line: string, columns: number): string {
  let width = 0;
  let kept = '';
  let coloured = false;
  const characters = [...line];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? '';
    if (character === ESCAPE) {
      while (i < characters.length && characters[i] !== 'm') kept += characters[i++];
      kept += 'm';
      coloured = true;
      continue;
    }
    width += isWide(character) ? 2 : 1;
    if (width > columns) return coloured ? `${kept}${ESCAPE}[0m` : kept;
    kept += character;
  }
  return kept;
}

function isWide(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6)
  );
}
