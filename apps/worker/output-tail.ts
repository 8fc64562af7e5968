// What a child process printed, bounded: the end is kept, for that is where the reason of a crash stands.

const LIMIT_BYTES = 256 * 1024;

/** Where an error came from is in the log; a sentence has room for what it says. */
const STACK_NOISE = /^(at |node:internal|Node\.js v|[{}^]+$|throw )/;

export class OutputTail {
  private chunks: Buffer[] = [];
  private size = 0;
  private isCut = false;

  constructor(private readonly limitBytes = LIMIT_BYTES) {}

  add(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (this.size <= 2 * this.limitBytes) return;
    const kept = Buffer.concat(this.chunks).subarray(-this.limitBytes);
    this.chunks = [kept];
    this.size = kept.length;
    this.isCut = true;
  }

  /** All that is kept, as text. */
  text(): string {
    const bytes = Buffer.concat(this.chunks);
    const isCut = this.isCut || bytes.length > this.limitBytes;
    const text = bytes.subarray(-this.limitBytes).toString('utf8');
    return isCut ? `[earlier output left out]\n${text.slice(text.indexOf('\n') + 1)}` : text;
  }

  /** The last lines in one line, without stack frames, for a sentence about why the process died. */
  lastWords(lines = 6, characters = 600): string {
    const said = this.text()
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !STACK_NOISE.test(line));
    const words = said.slice(-lines).join(' | ');
    return words.length > characters ? `…${words.slice(-characters)}` : words;
  }
}
