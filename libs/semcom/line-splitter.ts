// Text that comes in pieces, cut into lines as the reference reads a file: LF, CRLF and a lone CR end one.

/** No sentence is this long: of such a line only its beginning is handed on, which is too long all the same. */
const MAX_LINE_CHARACTERS = 4 * 1024 * 1024;

export class LineSplitter {
  private held = '';
  private endedInReturn = false;

  /** The lines that end in this piece. */
  *push(piece: string): Generator<string> {
    // A line feed after a carriage return of the piece before belongs to the same line end.
    const text = this.endedInReturn && piece.startsWith('\n') ? piece.slice(1) : piece;
    if (piece !== '') this.endedInReturn = piece.endsWith('\r');
    let start = 0;
    for (const { index, 0: end } of text.matchAll(/\r\n?|\n/g)) {
      yield this.held + text.slice(start, index);
      this.held = '';
      start = index + end.length;
    }
    if (this.held.length < MAX_LINE_CHARACTERS) this.held += text.slice(start);
  }

  /** What stands after the last line end. */
  *finish(): Generator<string> {
    if (this.held !== '') yield this.held;
    this.held = '';
  }
}
