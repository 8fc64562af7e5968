// The directory of a zip archive, read as strictly as a checkpoint allows: stored records, one name each, no overlap.
// Nothing is inflated and nothing is written to disk; a record is a view into the file.
import { crc32 } from 'node:zlib';
import { CheckpointError } from './checkpoint-error.js';
import type { CheckpointLimits } from './limits.js';

const LOCAL_SIGNATURE = 0x04034b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const END_SIGNATURE = 0x06054b50;
const END64_SIGNATURE = 0x06064b50;
const END64_LOCATOR_SIGNATURE = 0x07064b50;
const END_LENGTH = 22;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

interface ZipRecord {
  flags: number;
  method: number;
  crc: number;
  /** As stored in the file, and after inflating. */
  storedBytes: number;
  fullBytes: number;
  headerAt: number;
  dataAt: number;
}

interface Directory {
  count: number;
  at: number;
  end: number;
}

/** A zip archive by its central directory. Throws CheckpointError for anything inconsistent in it. */
export class ZipArchive {
  private readonly records = new Map<string, ZipRecord>();
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    limits: CheckpointLimits,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const directory = this.findDirectory();
    const room = directory.end - directory.at;
    if (directory.count * 46 > room) {
      throw damaged(`claims ${directory.count} records, more than its directory of ${room} bytes can hold`);
    }
    if (directory.count > limits.records) {
      throw new CheckpointError(
        `The zip archive has ${directory.count} records, more than the ${limits.records} allowed: save model.state_dict() alone.`,
      );
    }
    let at = directory.at;
    for (let i = 0; i < directory.count; i++) at = this.readEntry(at, directory);
    if (at !== directory.end) throw damaged('lists fewer records than its directory has room for');
    this.refuseOverlaps(directory.at);
  }

  names(): string[] {
    return [...this.records.keys()];
  }

  has(name: string): boolean {
    return this.records.has(name);
  }

  /** The bytes of a stored record, a view, after checking its CRC (0 means unknown); undefined when there is none. */
  read(name: string): Uint8Array | undefined {
    const record = this.records.get(name);
    if (!record) return undefined;
    if (record.flags & 0x2041) {
      throw new CheckpointError(`The zip record ${show(name)} is encrypted: save the checkpoint without a password.`);
    }
    if (record.method !== 0) {
      throw new CheckpointError(
        `The zip record ${show(name)} is compressed (method ${record.method}), which PyTorch never does: unpack and repack the archive with "zip -0", or load and save it again with torch.`,
      );
    }
    if (record.storedBytes !== record.fullBytes) {
      throw damaged(
        `gives two sizes for the stored record ${show(name)}, ${record.storedBytes} and ${record.fullBytes}`,
      );
    }
    const data = this.bytes.subarray(record.dataAt, record.dataAt + record.storedBytes);
    if (record.crc !== 0 && crc32(data) !== record.crc) {
      throw damaged(`has a wrong checksum for ${show(name)}: at least one byte has changed`);
    }
    return data;
  }

  private findDirectory(): Directory {
    const length = this.bytes.length;
    const lowest = Math.max(0, length - END_LENGTH - 0xffff);
    for (let at = length - END_LENGTH; at >= lowest; at--) {
      if (
        this.view.getUint32(at, true) === END_SIGNATURE &&
        at + END_LENGTH + this.view.getUint16(at + 20, true) === length
      ) {
        return this.readEnd(at);
      }
    }
    throw new CheckpointError(
      `The zip archive of ${length} bytes has no end record: it is cut short or has bytes added, fetch it again.`,
    );
  }

  private readEnd(at: number): Directory {
    const { view } = this;
    const disks = view.getUint16(at + 4, true) + view.getUint16(at + 6, true);
    let count = view.getUint16(at + 10, true);
    let size = view.getUint32(at + 12, true);
    let start = view.getUint32(at + 16, true);
    let end = at;
    const locatorAt = at - 20;
    if (locatorAt >= 0 && view.getUint32(locatorAt, true) === END64_LOCATOR_SIGNATURE) {
      const end64At = this.wide(locatorAt + 8, 'the place of its zip64 end record');
      if (end64At + 56 > locatorAt || view.getUint32(end64At, true) !== END64_SIGNATURE) {
        throw damaged('has no zip64 end record where its locator points');
      }
      count = this.wide(end64At + 32, 'the number of its records');
      size = this.wide(end64At + 40, 'the size of its directory');
      start = this.wide(end64At + 48, 'the place of its directory');
      end = end64At;
    } else if (count === 0xffff || size === 0xffffffff || start === 0xffffffff) {
      throw damaged('needs a zip64 end record and has none');
    }
    if (disks !== 0) throw damaged('is one part of several');
    if (start + size !== end)
      throw damaged(`puts its directory at ${start} to ${start + size}, which does not end at ${end}`);
    return { count, at: start, end };
  }

  /** A 64-bit number, refused when it is beyond the file. */
  private wide(at: number, what: string): number {
    const value = this.view.getBigUint64(at, true);
    if (value > BigInt(this.bytes.length))
      throw damaged(`claims ${value} as ${what}, beyond its ${this.bytes.length} bytes`);
    return Number(value);
  }

  /** Reads one entry of the directory and its local header; returns where the next begins. */
  private readEntry(at: number, directory: Directory): number {
    const { view } = this;
    if (at + 46 > directory.end || view.getUint32(at, true) !== CENTRAL_SIGNATURE) {
      throw damaged(`has no directory entry at byte ${at}`);
    }
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > directory.end) throw damaged(`has a directory entry at byte ${at} that does not end`);
    const rawName = this.bytes.subarray(at + 46, at + 46 + nameLength);
    const name = safeName(rawName);
    if (this.records.has(name)) {
      throw new CheckpointError(
        `The zip archive has two records named ${show(name)}, so it is unclear which counts: refused.`,
      );
    }
    const sizes = this.entrySizes(at, at + 46 + nameLength, extraLength);
    const dataAt = this.dataStart(sizes.headerAt, rawName, name);
    if (dataAt + sizes.storedBytes > directory.at) {
      throw damaged(`gives ${show(name)} ${sizes.storedBytes} bytes, more than the file holds`);
    }
    const flags = view.getUint16(at + 8, true);
    this.records.set(name, {
      ...sizes,
      flags,
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      dataAt,
    });
    return next;
  }

  /** Sizes and place of an entry; a field of all ones stands in the zip64 extra field, in this order. */
  private entrySizes(at: number, extraAt: number, extraLength: number) {
    const { view } = this;
    let fullBytes = view.getUint32(at + 24, true);
    let storedBytes = view.getUint32(at + 20, true);
    let headerAt = view.getUint32(at + 42, true);
    if (fullBytes !== 0xffffffff && storedBytes !== 0xffffffff && headerAt !== 0xffffffff) {
      return { fullBytes, storedBytes, headerAt };
    }
    let field = extraAt;
    const end = extraAt + extraLength;
    while (field + 4 <= end && view.getUint16(field, true) !== 1) field += 4 + view.getUint16(field + 2, true);
    const fieldEnd = field + 4 <= end ? Math.min(end, field + 4 + view.getUint16(field + 2, true)) : field;
    let cursor = field + 4;
    const take = (): number => {
      if (cursor + 8 > fieldEnd) throw damaged(`has an incomplete zip64 field at byte ${field}`);
      cursor += 8;
      return this.wide(cursor - 8, 'a size or place');
    };
    if (fullBytes === 0xffffffff) fullBytes = take();
    if (storedBytes === 0xffffffff) storedBytes = take();
    if (headerAt === 0xffffffff) headerAt = take();
    return { fullBytes, storedBytes, headerAt };
  }

  private dataStart(headerAt: number, rawName: Uint8Array, name: string): number {
    const { view } = this;
    if (headerAt + 30 > this.bytes.length || view.getUint32(headerAt, true) !== LOCAL_SIGNATURE) {
      throw damaged(`has no header of ${show(name)} at byte ${headerAt}`);
    }
    const nameAt = headerAt + 30;
    const nameLength = view.getUint16(headerAt + 26, true);
    const localName = this.bytes.subarray(nameAt, nameAt + nameLength);
    if (nameLength !== rawName.length || !localName.every((byte, i) => byte === rawName[i])) {
      throw damaged(`names ${show(name)} differently in its directory and at byte ${headerAt}`);
    }
    return nameAt + nameLength + view.getUint16(headerAt + 28, true);
  }

  private refuseOverlaps(directoryAt: number): void {
    const placed = [...this.records].sort(([, a], [, b]) => a.headerAt - b.headerAt);
    for (const [i, [name, record]] of placed.entries()) {
      const limit = placed[i + 1]?.[1].headerAt ?? directoryAt;
      if (record.dataAt + record.storedBytes > limit)
        throw damaged(`has records that overlap, the first is ${show(name)}`);
    }
  }
}

function safeName(raw: Uint8Array): string {
  let name: string;
  try {
    name = utf8.decode(raw);
  } catch {
    throw damaged('has a record whose name is not valid UTF-8');
  }
  const parts = name.split('/');
  const hasControl = raw.some((byte) => byte < 32 || byte === 127);
  if (hasControl || name.includes('\\') || name.startsWith('/') || /^[A-Za-z]:/.test(name) || parts.includes('..')) {
    throw new CheckpointError(`The zip archive has a record with the unsafe name ${show(name)}: refused.`);
  }
  return name;
}

function show(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}

function damaged(what: string): CheckpointError {
  return new CheckpointError(`The zip archive ${what}: it is damaged, fetch or save it again.`);
}
