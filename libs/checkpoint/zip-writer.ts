// A zip archive of stored records, written once and the same for the same records: no clock, no compression.
import { crc32 } from 'node:zlib';
import { CheckpointError } from './checkpoint-error.js';

export interface ZipInput {
  name: string;
  bytes: Uint8Array;
}

const DATA_ALIGNMENT = 64;
/** Midnight of 1 January 1980, the first date a zip can hold. */
const DOS_DATE = 0x21;
const UTF8_NAMES = 0x800;

/**
 * Writes the records in their order, each beginning at a multiple of 64 bytes as torch.save does (padding in an extra
 * field 'FB'). Throws CheckpointError beyond 4 GB or 65,534 records, which would need zip64.
 */
export function writeZip(records: readonly ZipInput[]): Uint8Array {
  let at = 0;
  const placed = records.map((record) => {
    const name = new TextEncoder().encode(record.name);
    const headerAt = at;
    const unpadded = headerAt + 30 + name.length + 4;
    const dataAt = Math.ceil(unpadded / DATA_ALIGNMENT) * DATA_ALIGNMENT;
    at = dataAt + record.bytes.length;
    return { bytes: record.bytes, name, headerAt, dataAt, crc: crc32(record.bytes) };
  });
  const directoryAt = at;
  const directoryLength = placed.reduce((sum, { name }) => sum + 46 + name.length, 0);
  const length = directoryAt + directoryLength + 22;
  if (length > 0xfffffffe || records.length > 0xfffe) {
    throw new CheckpointError(
      `A .pt file of ${length} bytes and ${records.length} records is beyond 4 GB or 65,534 records: write safetensors instead.`,
    );
  }
  const file = new Uint8Array(length);
  const view = new DataView(file.buffer);
  at = directoryAt;
  for (const { bytes, name, headerAt, dataAt, crc } of placed) {
    view.setUint32(headerAt, 0x04034b50, true);
    writeCommonFields(view, headerAt + 4, { crc, size: bytes.length, nameLength: name.length });
    view.setUint16(headerAt + 28, dataAt - headerAt - 30 - name.length, true);
    file.set(name, headerAt + 30);
    const extraAt = headerAt + 30 + name.length;
    view.setUint16(extraAt, 0x4246, true);
    view.setUint16(extraAt + 2, dataAt - extraAt - 4, true);
    file.set(bytes, dataAt);

    view.setUint32(at, 0x02014b50, true);
    writeCommonFields(view, at + 6, { crc, size: bytes.length, nameLength: name.length });
    view.setUint32(at + 42, headerAt, true);
    file.set(name, at + 46);
    at += 46 + name.length;
  }
  view.setUint32(at, 0x06054b50, true);
  view.setUint16(at + 8, records.length, true);
  view.setUint16(at + 10, records.length, true);
  view.setUint32(at + 12, directoryLength, true);
  view.setUint32(at + 16, directoryAt, true);
  return file;
}

/** Version, flags, method, time, date, CRC, sizes and name length: the same in a local header and in the directory. */
function writeCommonFields(view: DataView, at: number, entry: { crc: number; size: number; nameLength: number }): void {
  view.setUint16(at, 20, true);
  view.setUint16(at + 2, UTF8_NAMES, true);
  view.setUint16(at + 8, DOS_DATE, true);
  view.setUint32(at + 10, entry.crc, true);
  view.setUint32(at + 14, entry.size, true);
  view.setUint32(at + 18, entry.size, true);
  view.setUint16(at + 22, entry.nameLength, true);
}
