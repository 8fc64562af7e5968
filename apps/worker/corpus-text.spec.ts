// Built-in texts from a published tarball in the cache, without the network.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TextPackage } from './builtins.js';
import { writePackageText } from './corpus-text.js';

let folder: string;
let published: TextPackage;

/** A tarball as npm publishes them, in the cache folder. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'semdistill-corpus-'));
  mkdirSync(join(folder, 'package', 'data'), { recursive: true });
  mkdirSync(join(folder, 'corpora'));
  const files = { 'data/b.txt': 'second', 'data/a.txt': 'first\n', 'data/a.json': '{}', 'LICENSE.txt': 'free' };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'package', name), text);
  writeFileSync(join(folder, 'package', 'data', 'c.txt'), 'x'.repeat(5_000));
  const tarball = join(folder, 'corpora', 'example-texts-1.0.0.tgz');
  execFileSync('tar', ['czf', tarball, '-C', folder, 'package']);
  const digest = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  published = { name: '@example/texts', version: '1.0.0', integrity: `sha512-${digest}`, folder: 'data' };
});

afterEach(() => rm(folder, { recursive: true, force: true }));

test('the texts of a cached package are put together in the order of their names', async () => {
  await writePackageText(published, folder, join(folder, 'text.txt'));
  expect(readFileSync(join(folder, 'text.txt'), 'utf8')).toBe(`first\nsecond\n${'x'.repeat(5_000)}\n`);
});

test('a package without text in the folder is refused by name', async () => {
  await expect(writePackageText({ ...published, folder: 'texts' }, folder, join(folder, 'text.txt'))).rejects.toThrow(
    '@example/texts@1.0.0 holds no text in texts/',
  );
});
