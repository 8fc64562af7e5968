// node_modules as package-lock.json wants it. A stamp with the lock's hash says so at once; without the stamp npm's own
// record of what it installed decides, so that a checkout installed by hand is not installed again.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findCommand, lastError, run, SetupFailure } from './child.mjs';

const unreachable = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b/;

export async function installNodeModules(context) {
  const { root, progress, cache, lock } = context;
  const text = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const wanted = `${createHash('sha256').update(text).digest('hex')} ${process.platform} ${process.arch}\n`;
  const stamp = join(root, 'node_modules', '.semdistill-lock');
  if (read(stamp) === wanted) return;
  if (!matchesRecord(root, JSON.parse(text))) {
    rmSync(stamp, { force: true });
    rmSync(join(root, 'node_modules', '.package-lock.json'), { force: true });
    await progress.step('Installing Node modules', () => install(context, cache.log('npm-ci'), lock));
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

async function install({ root, env }, log, lock) {
  const [command, ...args] = npm(env);
  const start = (...rest) => run(command, [...args, ...rest], { log, cwd: root, env, lock });
  // without a network npm would try each of hundreds of packages again and again; its own cache may hold them all
  const ping = await start(
    'ping',
    '--fetch-retries=1',
    '--fetch-retry-mintimeout=1000',
    '--fetch-retry-maxtimeout=2000',
  );
  const network = !ping.ok && unreachable.test(ping.output) ? ['--offline'] : [];
  const { ok, output } = await start('ci', '--include=dev', '--include=optional', ...network);
  if (!ok && network.length > 0) {
    throw new SetupFailure(
      `Node modules could not be installed (npm: ${lastError(ping.output)}): check the network and npm's registry, and try again.`,
    );
  }
  if (ok) return;
  throw new SetupFailure(
    `Node modules could not be installed (npm: ${lastError(output)}): check the network and npm's registry, and try again; all of npm's output is in ${log}.`,
  );
}

/** The npm that runs this script, else the one on PATH. */
export function npm(env) {
  if (env.npm_execpath?.endsWith('npm-cli.js') && existsSync(env.npm_execpath))
    return [process.execPath, env.npm_execpath];
  const found = findCommand(process.platform === 'win32' ? 'npm.cmd' : 'npm', env);
  if (found) return [found];
  const beside = join(dirname(process.execPath), '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js');
  if (existsSync(beside)) return [process.execPath, beside];
  throw new SetupFailure('npm was not found: install the npm that comes with Node, or put it on PATH, and try again.');
}

function matchesRecord(root, lock) {
  const installed = parse(read(join(root, 'node_modules', '.package-lock.json')))?.packages;
  if (!installed) return false;
  for (const [path, { version, integrity }] of Object.entries(installed)) {
    const entry = lock.packages[path];
    if (entry?.version !== version || entry?.integrity !== integrity) return false;
    if (!existsSync(join(root, path, 'package.json'))) return false;
  }
  return Object.entries(lock.packages).every(
    ([path, { optional, devOptional, peer }]) => path === '' || path in installed || optional || devOptional || peer,
  );
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
