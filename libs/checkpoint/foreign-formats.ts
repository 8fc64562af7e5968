// What else a file can be that is called a checkpoint: each kind by its first bytes, with the way out.

const signatures: [bytes: number[], at: number, message: string][] = [
  [[0x1f, 0x8b], 0, 'This is a gzip file around something else: unpack it with "gunzip" and use what comes out.'],
  [
    [0x42, 0x5a, 0x68],
    0,
    'This is a bzip2 file around something else: unpack it with "bunzip2" and use what comes out.',
  ],
  [
    [0xfd, 0x37, 0x7a, 0x58, 0x5a],
    0,
    'This is an xz file around something else: unpack it with "unxz" and use what comes out.',
  ],
  [
    [0x28, 0xb5, 0x2f, 0xfd],
    0,
    'This is a zstd file around something else: unpack it with "unzstd" and use what comes out.',
  ],
  [[0x37, 0x7a, 0xbc, 0xaf], 0, 'This is a 7z archive: unpack it and use the checkpoint in it.'],
  [[0x52, 0x61, 0x72, 0x21], 0, 'This is a RAR archive: unpack it and use the checkpoint in it.'],
  [[0x89, 0x48, 0x44, 0x46], 0, 'This is an HDF5 file (Keras): export the weights as safetensors instead.'],
  [
    [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59],
    0,
    'This is a NumPy array (.npy): save the weights as safetensors or with torch.save.',
  ],
  [[0x47, 0x47, 0x55, 0x46], 0, 'This is a GGUF file: export the weights as safetensors instead.'],
  [
    [0x75, 0x73, 0x74, 0x61, 0x72],
    257,
    'This is a tar archive (perhaps torch.save before 0.1.10): unpack it, or load and save it with a newer torch.',
  ],
  [[0x50, 0x4b], 0, 'This begins like a zip archive but is none, or is cut short: fetch or save it again.'],
  [
    [0x80],
    0,
    'This is a Python pickle that torch.save did not write, or a damaged one: save model.state_dict() with torch.save and use that file.',
  ],
];

const texts: [pattern: RegExp, message: string][] = [
  [
    /^version https:\/\/git-lfs/,
    'This is a Git LFS pointer, not the file itself: run "git lfs pull" and use the file it fetches.',
  ],
  [
    /^<!doctype html|^<html/i,
    'This is a web page, not a checkpoint: the download gave an error or a login page; fetch the file itself.',
  ],
  [/^<\?xml|^<error/i, 'This is an XML error message, not a checkpoint: the download failed; fetch the file again.'],
  [
    /^[{[]/,
    'This is JSON text, not a checkpoint: perhaps an error message from a download, or a vocabulary or configuration given by mistake.',
  ],
];

const wanted = 'expected a safetensors file, or one written by torch.save';

/** One sentence on what the bytes are instead of a checkpoint, and what to do about it. */
export function recognizeForeign(bytes: Uint8Array): string {
  if (bytes.length === 0) return `The file is empty; ${wanted}.`;
  if (bytes.length < 16)
    return `The file has only ${bytes.length} byte${bytes.length === 1 ? '' : 's'}: it is cut short; ${wanted}.`;
  for (const [signature, at, message] of signatures) {
    if (signature.every((byte, i) => bytes[at + i] === byte)) return message;
  }
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 512)).trimStart();
  for (const [pattern, message] of texts) if (pattern.test(start)) return message;
  if (bytes.subarray(0, 512).every((byte) => byte === 0)) {
    return `The file begins with nothing but zero bytes, as a broken download does: fetch it again; ${wanted}.`;
  }
  if (/^[\t\n\r\x20-\x7e]*$/.test(start))
    return `This is a text file (${JSON.stringify(start.slice(0, 40))}); ${wanted}.`;
  const first = Buffer.from(bytes.subarray(0, 8)).toString('hex');
  return `The file is of no known kind (it begins with the bytes ${first}); ${wanted}.`;
}
