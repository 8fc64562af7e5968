// Our TypeScript as JavaScript in dist/, made again when a source changed, came or went.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, SetupFailure } from './child.mjs';

const compiler = ['node_modules', '@typescript', 'native'];

export async function buildIfChanged(context) {
  const { root, progress } = context;
  const sources = ['apps', 'libs'].flatMap((folder) => filesUnder(root, folder));
  const outputs = expectedOutputs(sources);
  const stamp = join(root, 'dist', '.built');
  const wanted = fingerprint(root, sources);
  const isWhole = () => outputs.every((path) => existsSync(join(root, 'dist', path)));
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && isWhole()) return;
  await progress.step('Building', async () => {
    mkdirSync(join(root, 'dist'), { recursive: true });
    rmSync(stamp, { force: true });
    // the compiler trusts this file about what it has written, and would not write a lost output again
    rmSync(join(root, 'dist', '.tsbuildinfo'), { force: true });
    await compile(context);
    removeOrphans(root, new Set(outputs));
    writeFileSync(stamp, wanted);
  });
}

async function compile({ root, cache, env, lock }) {
  const log = cache.log('build');
  const { ok, output } = await run(
    process.execPath,
    [join(root, ...compiler, 'bin', 'tsc'), '-p', 'tsconfig.build.json', '--pretty', 'false'],
    { log, cwd: root, env, lock },
  );
  if (ok) return;
  const first = output.split('\n').find((line) => /error TS\d+/.test(line)) ?? output.trim().split('\n')[0];
  throw new SetupFailure(`The build failed (${first}): mend the source and try again; all of it is in ${log}.`);
}

function filesUnder(root, folder) {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.(ts|json)$/.test(entry.name) && !entry.name.endsWith('.spec.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
    .sort();
}

function fingerprint(root, sources) {
  const hash = createHash('sha256');
  const all = [...sources, 'package.json', 'tsconfig.json', 'tsconfig.build.json', join(...compiler, 'package.json')];
  for (const path of all) {
    const { size, mtimeMs } = statSync(join(root, path));
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

function expectedOutputs(sources) {
  return sources
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .flatMap((path) => [path.replace(/\.ts$/, '.js'), path.replace(/\.ts$/, '.js.map')]);
}

/** Files of dist whose source is gone would still be found by an import. */
function removeOrphans(root, outputs) {
  for (const folder of ['apps', 'libs']) {
    const dist = join(root, 'dist', folder);
    if (!existsSync(dist)) continue;
    for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      const name = path.slice(join(root, 'dist').length + 1);
      if (entry.isFile() && /\.js(\.map)?$/.test(name) && !outputs.has(name)) rmSync(path, { force: true });
    }
  }
}
