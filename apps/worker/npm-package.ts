// A package as npm published it, as data: its tarball from the cache (fetched with the npm client when it is missing), verified,
// and the files in it. Nothing is installed and no code of the package runs.
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';

const TAR_BLOCK_BYTES = 512;
const FETCH_MS = 5 * 60_000;

export interface PublishedPackage {
  name: string;
  version: string;
  /** As npm gives it (npm view NAME@VERSION dist.integrity); the tarball is refused otherwise. */
  integrity: string;
}

/** The files below `folder` of the package, by their names there. Throws with one sentence when the package cannot be had. */
export async function packageFiles(
  wanted: PublishedPackage,
  folder: string,
  cache: string,
): Promise<{ name: string; bytes: Buffer }[]> {
  const inside = `package/${folder}/`;
  return [...tarFiles(gunzipSync(await fetchTarball(wanted, cache)))]
    .filter(({ name }) => name.startsWith(inside))
    .map(({ name, bytes }) => ({ name: name.slice(inside.length), bytes }));
}

async function fetchTarball(wanted: PublishedPackage, folder: string): Promise<Buffer> {
  const path = join(folder, tarballName(wanted));
  const cached = await readFile(path).catch(() => undefined);
  if (cached && isPublished(cached, wanted)) return cached;
  const aside = join(folder, `.fetch-${randomUUID()}`);
  await mkdir(aside, { recursive: true });
  try {
    await pack(wanted, aside);
    const [name] = (await readdir(aside)).filter((entry) => entry.endsWith('.tgz'));
    const bytes = name ? await readFile(join(aside, name)) : undefined;
    if (!name || !bytes || !isPublished(bytes, wanted)) {
      throw new Error(`what npm fetched as ${wanted.name}@${wanted.version} is not what was published`);
    }
    await rename(join(aside, name), path);
    return bytes;
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function pack(wanted: PublishedPackage, folder: string): Promise<void> {
  const args = ['pack', `${wanted.name}@${wanted.version}`, '--pack-destination', folder, '--loglevel', 'error'];
  try {
    await promisify(execFile)('npm', args, { cwd: folder, timeout: FETCH_MS });
  } catch (error) {
    const output = (error as { stderr?: string }).stderr ?? '';
    const why = /npm (?:error|ERR!) (.*)/.exec(output)?.[1] ?? (error as Error).message.split('\n')[0];
    throw new Error(
      `the package ${wanted.name}@${wanted.version} is not in the cache (${folder.replace(/\/[^/]*$/, '')}) and npm could not fetch it: ${why}`,
      { cause: error },
    );
  }
}

/** As npm pack names it. */
function tarballName({ name, version }: PublishedPackage): string {
  return `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`;
}

function isPublished(bytes: Buffer, { integrity }: PublishedPackage): boolean {
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
