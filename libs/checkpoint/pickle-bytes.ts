// The bytes of a pickle from front to back: arguments of opcodes, each checked to exist before it is read.
import type { CheckpointLimits } from './limits.js';

/** A fault inside a pickle: what it does ("claims …", "has …") and the way out; the machine adds where. */
export class PickleFault extends Error {
  constructor(
    what: string,
    readonly advice = 'it is damaged or was made by another program, save it again with torch.save',
  ) {
    super(what);
  }
}

/** Where a pickle lies, and what to call it in messages. */
export interface PickleSource {
  bytes: Uint8Array;
  start: number;
  label: string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A cursor over a pickle; every method throws PickleFault when the bytes it needs are not there. */
export class PickleBytes {
  at: number;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly end: number;

  constructor(
    source: PickleSource,
    private readonly limits: CheckpointLimits,
  ) {
    this.bytes = source.bytes;
    this.view = new DataView(source.bytes.buffer, source.bytes.byteOffset, source.bytes.byteLength);
    this.at = source.start;
    this.end = Math.min(source.bytes.length, source.start + limits.pickleBytes);
  }

  uint16(): number {
    return this.view.getUint16(this.skip(2), true);
  }

  int32(): number {
    return this.view.getInt32(this.skip(4), true);
  }

  uint32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  float64(): number {
    return this.view.getFloat64(this.skip(8), false);
  }

  /** The length of a frame; what is in it follows as if there were none. */
  frame(): void {
    const length = this.view.getBigUint64(this.skip(8), true);
    if (length > BigInt(this.end - this.at))
      throw new PickleFault(`claims a frame of ${length} bytes, more than there are`);
  }

  byte(): number {
    return this.bytes[this.skip(1)] as number;
  }

  /** Moves past `count` bytes, after checking that they exist; returns where they begin. */
  private skip(count: number): number {
    const start = this.at;
    if (count > this.end - start) {
      if (this.end < this.bytes.length)
        throw new PickleFault(`is longer than ${this.limits.pickleBytes} bytes`, 'save model.state_dict() alone');
      throw new PickleFault(`needs ${count} more bytes, but ends`);
    }
    this.at += count;
    return start;
  }

  /** UTF-8. */
  text(length: number): string {
    if (length > this.limits.stringBytes) throw new PickleFault(`claims a string of ${length} bytes`);
    const start = this.skip(length);
    return this.decode(start, start + length);
  }

  private decode(start: number, end: number): string {
    try {
      return utf8.decode(this.bytes.subarray(start, end));
    } catch {
      throw new PickleFault('has a string that is not valid UTF-8');
    }
  }

  /** Text up to the next line feed. */
  line(): string {
    const start = this.at;
    while (this.byte() !== 0x0a) if (this.at - start > 256) throw new PickleFault('has a name longer than 256 bytes');
    return this.decode(start, this.at - 1);
  }

  /** A two's complement integer of `length` bytes; a bigint beyond 2^53. */
  long(length: number): number | bigint {
    if (length > 32) throw new PickleFault(`has an integer of ${length} bytes`);
    const start = this.skip(length);
    let hex = '';
    for (let i = length - 1; i >= 0; i--) hex += (this.bytes[start + i] as number).toString(16).padStart(2, '0');
    const value = BigInt.asIntN(length * 8, BigInt(`0x${hex || '0'}`));
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }
}
