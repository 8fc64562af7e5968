import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSource, type SourceOptions } from './corpus-source.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'corpus-source-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function read(name: string, options: SourceOptions = {}): Promise<{ text: string; isWhole: boolean }> {
  const source = await openSource(join(folder, name), options);
  if (source.kind !== 'text') throw new Error(source.kind);
  let bytes = 0;
  let text = '';
  const pieces = source.read((count) => {
    bytes += count;
  });
  for await (const piece of pieces) text += piece.toString('utf8');
  return { text, isWhole: bytes === source.size };
}

describe('a text', () => {
  it('is read plain and compressed, however large, and twice where asked', async () => {
    const long = 'Some words of a long text, déjà vu.\n'.repeat(40_000);
    writeFileSync(join(folder, 'plain.txt'), long);
    writeFileSync(join(folder, 'packed.txt.gz'), gzipSync(long));
    for (const name of ['plain.txt', 'packed.txt.gz', 'packed.txt.gz']) {
      expect(await read(name)).toEqual({ text: long, isWhole: true });
    }
  });

  it('of another encoding becomes UTF-8', async () => {
    writeFileSync(join(folder, 'latin.txt'), Buffer.from('déjà\n', 'latin1'));
    expect((await read('latin.txt', { encoding: 'latin1' })).text).toBe('déjà\n');
    await expect(read('latin.txt')).rejects.toThrow(/not utf-8/);
  });

  it('whose gzip data is cut short is refused', async () => {
    const packed = gzipSync(Buffer.alloc(100_000, 'words '));
    writeFileSync(join(folder, 'cut.gz'), packed.subarray(0, packed.length - 20));
    await expect(read('cut.gz')).rejects.toThrow(/damaged or cut short/);
  });
});

it('a column of a table is a line a cell', async () => {
  writeFileSync(join(folder, 'a.csv'), 'id,text\n1,"x\ny"\n2,z\n');
  writeFileSync(join(folder, 'a.jsonl.gz'), gzipSync('{"body":"x"}\n{"body":"y"}\n'));
  expect((await read('a.csv')).text).toBe('x y\nz\n');
  expect((await read('a.jsonl.gz', { column: 'body' })).text).toBe('x\ny\n');
  writeFileSync(join(folder, 'a.txt'), 'x');
  await expect(read('a.txt', { column: 'body' })).rejects.toThrow(/--column is for/);
});

describe('a folder', () => {
  it('of texts is all of them in the order of their names', async () => {
    writeFileSync(join(folder, 'ep-02.txt'), 'second');
    writeFileSync(join(folder, 'ep-01.txt'), 'first\n');
    writeFileSync(join(folder, 'README'), 'not this');
    expect(await read('.')).toEqual({ text: 'first\n\nsecond\n', isWhole: true });
  });

  it('without texts says what it holds', async () => {
    mkdirSync(join(folder, 'txt'));
    await expect(read('.')).rejects.toThrow(/no \.txt file .* it holds txt .*txt\/en/);
  });

  it("of the reference's files is token ids, with vocab.json beside them or one folder up", async () => {
    mkdirSync(join(folder, 'europarl'));
    const at = (name: string) => join(folder, 'europarl', name);
    writeFileSync(at('train_data.pkl'), '');
    await expect(openSource(join(folder, 'europarl'), {})).rejects.toThrow(
      /test_data\.pkl and vocab\.json are missing beside train_data\.pkl/,
    );
    writeFileSync(at('test_data.pkl'), '');
    writeFileSync(join(folder, 'vocab.json'), '');
    const files = { train: at('train_data.pkl'), test: at('test_data.pkl'), vocabulary: join(folder, 'vocab.json') };
    expect(await openSource(join(folder, 'europarl'), {})).toEqual({ kind: 'tokens', files });
    expect(await openSource(at('train_data.pkl'), {})).toEqual({ kind: 'tokens', files });
    await expect(openSource(at('test_data.pkl'), {})).rejects.toThrow(/name the training split/);
  });
});
