// The reference pipeline on all of Europarl, to the id: as many sentences, as many words, the same ids in the same order.
// Needs data/europarl/paragraphs.txt.gz of the shared folder beside the checkout; without it this is skipped and says so.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { CorpusBuilder, LineSplitter, REFERENCE_LIMITS } from '#semcom';
import { openSource } from '../../apps/cli/corpus-source/corpus-source.js';

const file = resolve(import.meta.dirname, '../../../shared/data/europarl/paragraphs.txt.gz');
const isThere = existsSync(file);

test.skipIf(!isThere)(
  `Europarl gives the reference's sentences, words and ids${isThere ? '' : ' (skipped: ../shared/data/europarl is not there)'}`,
  async () => {
    const source = await openSource(file, {});
    if (source.kind !== 'text') expect.fail('not read as a text');
    const builder = new CorpusBuilder(REFERENCE_LIMITS);
    const decoder = new TextDecoder();
    const splitter = new LineSplitter();
    let read = 0;
    const pieces = source.read((bytes) => {
      read += bytes;
    });
    for await (const bytes of pieces) {
      for (const line of splitter.push(decoder.decode(bytes, { stream: true }))) builder.add(line);
    }
    for (const line of splitter.finish()) builder.add(line);
    const { train, test, vocabulary, counts } = builder.finish();
    expect(read).toBe(source.size);
    expect({ sentences: counts.kept, words: vocabulary.size }).toEqual({ sentences: 73_467, words: 22_234 });
    const ids = createHash('sha256');
    for (const sentence of [...train, ...test]) ids.update(new Uint8Array(Int32Array.from(sentence).buffer));
    expect(ids.digest('hex')).toBe('18bdf698787727a148cac5a91993e4ef8d93f8c29faf1379109486d3d69996ef');
  },
);
