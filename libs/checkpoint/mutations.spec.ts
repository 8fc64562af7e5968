// Fuzz: damaged copies of the good golden files, from a fixed seed. A reader may take or refuse them, but may throw
// nothing but CheckpointError, give no tensor whose bytes and shape disagree, and use little memory.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readCheckpoint } from './checkpoint.js';
import { CheckpointError } from './checkpoint-error.js';
import { defaultLimits } from './limits.js';
import { elementCount, itemSize } from './named-tensor.js';
import { readPickledLists } from './pickled-lists.js';
import { ZipArchive } from './zip-archive.js';
import { writeZip } from './zip-writer.js';

const folder = new URL('../../test/golden/checkpoints/', import.meta.url);
const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')) as {
  files: { file: string; expect: string; bytes: number }[];
};
type Kind = 'zip' | 'legacy' | 'safetensors' | 'pickled lists';
/** More of the format that most models come in. */
const KINDS: Kind[] = ['zip', 'zip', 'legacy', 'safetensors', 'pickled lists'];

/** pickle.dumps([[1, 5, 300, 2], [1, 70000, 2], []], protocol) in protocols 4 and 2. */
const pickledLists = [
  'gASVIQAAAAAAAABdlChdlChLAUsFTSwBSwJlXZQoSwFKcBEBAEsCZV2UZS4=',
  'gAJdcQAoXXEBKEsBSwVNLAFLAmVdcQIoSwFKcBEBAEsCZV1xA2Uu',
].map((text) => ({
  file: 'train_data.pkl',
  kind: 'pickled lists' as Kind,
  bytes: new Uint8Array(Buffer.from(text, 'base64')),
}));
const checkpoints = index.files
  .filter((file) => file.expect === 'load' && file.bytes < 10_000)
  .map(({ file }) => {
    const bytes = new Uint8Array(readFileSync(new URL(file, folder)));
    return { file, kind: kindOf(bytes), bytes };
  });
const goodFiles = [...checkpoints, ...pickledLists];

const cases = 10_000;
const seed = 20_260_101;

/** Mulberry32: a whole number below `bound`. */
function randomNumbers(start: number): (bound: number) => number {
  let state = start;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}

function splice(bytes: Uint8Array, start: number, removed: number, inserted: Uint8Array): Uint8Array {
  const end = Math.min(bytes.length, start + removed);
  const out = new Uint8Array(start + inserted.length + bytes.length - end);
  out.set(bytes.subarray(0, start));
  out.set(inserted, start);
  out.set(bytes.subarray(end), start + inserted.length);
  return out;
}

function mutate(original: Uint8Array, random: (bound: number) => number): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(original);
  for (let round = random(2) === 0 ? 1 : 1 + random(3); round > 0 && bytes.length > 0; round--) {
    const at = random(bytes.length);
    const donor = (goodFiles[random(goodFiles.length)] as (typeof goodFiles)[number]).bytes;
    const from = random(donor.length);
    switch (random(7)) {
      case 0:
        bytes[at] = (bytes[at] as number) ^ (1 << random(8));
        break;
      case 1:
        bytes[at] = random(256);
        break;
      case 2:
        bytes = splice(
          bytes,
          at,
          random(9),
          Uint8Array.from({ length: random(9) }, () => random(256)),
        );
        break;
      case 3:
        bytes = splice(bytes, at, 8, new Uint8Array(random(9)).fill(random(2) * 255));
        break;
      case 4:
        bytes = splice(bytes, at, random(64), donor.subarray(from, from + random(64)));
        break;
      case 5:
        bytes = splice(bytes, at, 0, bytes.subarray(random(bytes.length)).subarray(0, random(200)));
        break;
      default:
        if (random(4) === 0) bytes = bytes.slice(0, at);
        else bytes[at] = 0x28 + random(0x70);
    }
  }
  return bytes;
}

/** Damages only the pickle of a zip file and packs it again, so that no checksum hides the damage from the pickle machine. */
function mutatePickle(original: Uint8Array, random: (bound: number) => number): Uint8Array {
  const archive = new ZipArchive(original, defaultLimits);
  return writeZip(
    archive.names().map((name) => {
      const bytes = archive.read(name) as Uint8Array;
      return { name, bytes: name.endsWith('/data.pkl') ? mutate(bytes, random) : bytes };
    }),
  );
}

function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function kindOf(bytes: Uint8Array): Kind {
  if (bytes[0] === 0x50) return 'zip';
  return bytes[0] === 0x80 ? 'legacy' : 'safetensors';
}

/** The file is read and what it gave is looked at; throws what the reader throws. */
function readAndCheck(kind: Kind, damaged: Uint8Array, file: string): void {
  if (kind === 'pickled lists') {
    for (const ids of readPickledLists(damaged)) {
      expect(ids.every((id) => Number.isSafeInteger(id) && id >= 0)).toBe(true);
    }
    return;
  }
  const { tensors, otherTensors } = readCheckpoint(damaged, file);
  for (const tensor of [...tensors.values(), ...otherTensors.values()]) {
    expect(tensor.bytes.length).toBe((elementCount(tensor.shape) ?? -1) * itemSize(tensor.dtype));
  }
}

test(`${cases} damaged files end in tensors or in CheckpointError, within 200 MB`, () => {
  const random = randomNumbers(seed);
  const before = memory();
  let peak = 0;
  let slowestMs = 0;
  const taken: Record<Kind, number> = { zip: 0, legacy: 0, safetensors: 0, 'pickled lists': 0 };
  const refused = { ...taken };
  for (let i = 0; i < cases; i++) {
    const kind = KINDS[i % KINDS.length] as Kind;
    const files = goodFiles.filter((one) => one.kind === kind);
    const { file, bytes } = files[random(files.length)] as (typeof goodFiles)[number];
    const damaged = kind === 'zip' && random(3) > 0 ? mutatePickle(bytes, random) : mutate(bytes, random);
    const startedAt = performance.now();
    try {
      readAndCheck(kind, damaged, file);
      taken[kind]++;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw new Error(`case ${i} of ${file}`, { cause: error });
      expect(error.message).toMatch(/^[^\n]{20,2000}\.$/);
      refused[kind]++;
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    if (i % 8 === 0) peak = Math.max(peak, memory() - before);
  }
  expect(peak).toBeLessThan(200 * 2 ** 20);
  expect(slowestMs).toBeLessThan(1000);
  // Both ends must be reached in every format, or the mutations prove little.
  for (const kind of Object.keys(taken) as Kind[]) {
    expect(taken[kind], kind).toBeGreaterThan(cases / 200);
    expect(refused[kind], kind).toBeGreaterThan(cases / 20);
  }
}, 300_000);
