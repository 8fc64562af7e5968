// The JSON header of a safetensors file, read by its own grammar instead of JSON.parse: nothing nests deeper than an
// entry's lists, a name given twice is an error, and no object ever has keys that came from a file.
import { CheckpointError } from './checkpoint-error.js';
import type { CheckpointLimits } from './limits.js';

export interface HeaderEntry {
  dtype: string;
  shape: number[];
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  entries: Map<string, HeaderEntry>;
  metadata: Map<string, string>;
}

/** Parses the header text; throws CheckpointError naming the byte where it departs from the format. */
export function parseHeader(text: string, limits: CheckpointLimits): SafetensorsHeader {
  return new HeaderParser(text, limits).parse();
}

class HeaderParser {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly limits: CheckpointLimits,
  ) {}

  parse(): SafetensorsHeader {
    const entries = new Map<string, HeaderEntry>();
    let metadata: Map<string, string> | undefined;
    this.members((name) => {
      if (name === '__metadata__') {
        if (metadata) throw this.fault('"__metadata__" is given twice');
        metadata = this.strings();
      } else {
        if (entries.has(name)) throw this.fault(`the tensor ${quote(name)} is given twice`);
        if (entries.size >= this.limits.tensors) throw this.fault(`there are more than ${this.limits.tensors} tensors`);
        entries.set(name, this.entry(name));
      }
    });
    this.skipSpace();
    if (this.at < this.text.length) throw this.fault('text follows the closing brace');
    return { entries, metadata: metadata ?? new Map() };
  }

  private strings(): Map<string, string> {
    const found = new Map<string, string>();
    this.members((key) => {
      if (found.has(key)) throw this.fault(`the metadata key ${quote(key)} is given twice`);
      if (found.size >= this.limits.tensors)
        throw this.fault(`there are more than ${this.limits.tensors} metadata keys`);
      found.set(key, this.string());
    });
    return found;
  }

  private entry(name: string): HeaderEntry {
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.members((key) => {
      if (key === 'dtype' && dtype === undefined) dtype = this.string();
      else if (key === 'shape' && shape === undefined) shape = this.wholeNumbers();
      else if (key === 'data_offsets' && offsets === undefined) offsets = this.wholeNumbers();
      else throw this.fault(`the tensor ${quote(name)} has an unknown or repeated field ${quote(key)}`);
    });
    const [begin, end] = offsets ?? [];
    if (dtype === undefined || !shape || begin === undefined || end === undefined || offsets?.length !== 2) {
      throw this.fault(`the tensor ${quote(name)} lacks dtype, shape or two data_offsets`);
    }
    return { dtype, shape, begin, end };
  }

  /** Reads an object, handing each key to the caller, who reads its value. */
  private members(read: (key: string) => void): void {
    this.expect('{');
    if (this.accept('}')) return;
    do {
      const key = this.string();
      this.expect(':');
      read(key);
    } while (this.accept(','));
    this.expect('}');
  }

  private string(): string {
    this.expect('"');
    const start = this.at;
    let escaped = false;
    for (;;) {
      const next = this.text[this.at];
      if (next === undefined || this.at - start > this.limits.stringBytes) throw this.fault('a string does not end');
      if (next === '"') break;
      if (next === '\\') {
        escaped = true;
        this.at++;
      }
      this.at++;
    }
    const raw = this.text.slice(start, this.at);
    this.at++;
    if (!escaped && !hasControlCharacter(raw)) return raw;
    try {
      return JSON.parse(`"${raw}"`) as string;
    } catch {
      throw this.fault('a string holds an escape or control character that JSON does not allow');
    }
  }

  private wholeNumbers(): number[] {
    const numbers: number[] = [];
    this.expect('[');
    if (this.accept(']')) return numbers;
    do {
      if (numbers.length >= this.limits.rank) throw this.fault(`a list is longer than ${this.limits.rank}`);
      numbers.push(this.wholeNumber());
    } while (this.accept(','));
    this.expect(']');
    return numbers;
  }

  private wholeNumber(): number {
    this.skipSpace();
    const digits = /^(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/.exec(this.text.slice(this.at, this.at + 20))?.[0];
    const value = digits === undefined ? Number.NaN : Number(digits);
    if (digits === undefined || !Number.isSafeInteger(value))
      throw this.fault('a whole number from 0 to 2^53 is expected');
    this.at += digits.length;
    return value;
  }

  private accept(character: string): boolean {
    this.skipSpace();
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private expect(character: string): void {
    if (!this.accept(character)) throw this.fault(`"${character}" is expected`);
  }

  private skipSpace(): void {
    while (this.at < this.text.length && ' \n\r\t'.includes(this.text[this.at] as string)) this.at++;
  }

  private fault(what: string): CheckpointError {
    return new CheckpointError(
      `The safetensors header is damaged near character ${this.at}: ${what}. Save the file again or fetch a fresh copy.`,
    );
  }
}

function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 32) return true;
  return false;
}

function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
