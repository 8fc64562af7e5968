// The order of the set-up and what it says: two lines when all is there, one sentence when something cannot be had.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { provideAddons } from './addons.mjs';
import { buildIfChanged } from './build.mjs';
import { CacheFolder } from './cache-folder.mjs';
import { hasCommand, killChildren, SetupFailure } from './child.mjs';
import { provideCorpus } from './corpus.mjs';
import { acquireLock } from './lock.mjs';
import { installNodeModules } from './node-modules.mjs';
import { findPip } from './pip.mjs';
import { Progress } from './progress.mjs';
import { findRedis } from './redis.mjs';
import { installSystemPackages, lineToType } from './system-packages.mjs';
import { chooseFlavour, provideTensorflow, tensorflowFolder } from './tensorflow.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, '');

/** Sets up the checkout this file lies in; resolves to the exit code. */
export async function setUp(env = process.env) {
  const progress = new Progress();
  let cache;
  const stop = (signal) => {
    killChildren();
    cache?.removeTemporary();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  let lock;
  try {
    cache = CacheFolder.open(env);
    lock = await acquireLock(`checkout ${root}`, () => progress.say('Waiting for another set-up of this checkout.'));
    for (const line of await prepare({ root, cache, env, progress, lock })) progress.say(line);
    return 0;
  } catch (error) {
    killChildren();
    progress.clear();
    console.error(sentenceOf(error, cache));
    return 1;
  } finally {
    lock?.release();
    cache?.removeTemporary();
  }
}

async function prepare(context) {
  const { cache, env, progress } = context;
  const flavour = chooseFlavour(env);
  const redis = await provideSystemPackages(context, flavour);
  const modulesAndBuild = installNodeModules(context).then(() => buildIfChanged(context));
  const shared = prepareCache(context, flavour, modulesAndBuild);
  const [, engine] = await Promise.all([modulesAndBuild, shared]);
  record('engine.json', {
    tensorflow: engine.tensorflow,
    opsAddon: engine.opsAddon,
    libraryPath: engine.libraryPath,
    ...(engine.reason ? { reason: engine.reason } : {}),
  });
  if (redis.server) record('redis.json', { server: redis.server });
  progress.clear();
  return summary(engine, redis, cache);
}

/** As root on Debian or Ubuntu installs the tools that are missing; elsewhere leaves that to the user. */
async function provideSystemPackages(context, flavour) {
  const { cache, env } = context;
  const missing = [];
  if (flavour.wheels && !tensorflowFolder(cache, flavour).complete) {
    if (!hasCommand('g++', env)) missing.push('compiler');
    if (!(await findPip(env))) missing.push('pip');
  }
  const redis = findRedis(env);
  if (!redis.url && !redis.server) missing.push('redis');
  if (missing.length === 0) return redis;
  await installSystemPackages(missing, context);
  const found = findRedis(env);
  if (!found.url && !found.server) {
    throw new SetupFailure(
      `No Redis server was found: type \`${lineToType(missing)}\`, or set REDIS_URL to one that runs, and try again.`,
    );
  }
  return found;
}

/** What all checkouts share: TensorFlow, the addons compiled against it, and the demo corpus. */
async function prepareCache(context, flavour, modulesAndBuild) {
  const { cache, progress } = context;
  const lock = await acquireLock(`cache ${cache.folder}`, () =>
    progress.say('Waiting for another set-up that fills the same cache folder.'),
  );
  try {
    const corpus = modulesAndBuild.then(() => provideCorpus(context));
    const engine = prepareEngine(context, flavour, modulesAndBuild);
    return (await Promise.all([engine, corpus]))[0];
  } finally {
    lock.release();
  }
}

async function prepareEngine(context, flavour, modulesAndBuild) {
  const without = (reason) => ({ tensorflow: null, opsAddon: null, libraryPath: [], reason });
  if (!flavour.wheels) return without(flavour.reason);
  const tensorflow = await provideTensorflow(context, flavour);
  if (tensorflow.reason) return without(tensorflow.reason);
  await modulesAndBuild;
  const addons = await provideAddons(context, tensorflow);
  if (addons.reason) return without(addons.reason);
  return {
    tensorflow: { version: flavour.version, folder: tensorflow.folder, flavour: flavour.name },
    opsAddon: addons.opsAddon,
    libraryPath: tensorflow.libraryPath,
  };
}

/** Writes node_modules/.semdistill/NAME whole or not at all, and only when it changes. */
function record(name, value) {
  const path = join(root, 'node_modules', '.semdistill', name);
  const text = `${JSON.stringify(value, null, 2)}\n`;
  try {
    if (readFileSync(path, 'utf8') === text) return;
  } catch {
    mkdirSync(dirname(path), { recursive: true });
  }
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
}

function summary(engine, redis, cache) {
  const server = redis.url ? 'Redis at REDIS_URL' : `Redis ${redis.server}`;
  if (!engine.tensorflow) {
    return [
      `Ready, but training will run on WebAssembly, 5 to 20 times slower: ${engine.reason}.`,
      `${server}; cache ${cache.folder}`,
    ];
  }
  const { version, flavour } = engine.tensorflow;
  return [
    `Ready: TensorFlow ${version} (${flavour.toUpperCase()}${engine.opsAddon ? ', fused operations' : ''}), ${server}`,
    `Cache: ${cache.folder}`,
  ];
}

function sentenceOf(error, cache) {
  if (error instanceof SetupFailure) return error.message;
  if (error?.code === 'ENOSPC') {
    return `The disk is full (${error.path ?? cache?.folder ?? root}): free some space, or set SEMDISTILL_CACHE to a folder on another disk.`;
  }
  if (error?.code === 'EACCES' || error?.code === 'EPERM' || error?.code === 'EROFS') {
    return `${error.path ?? root} cannot be written (${error.code}): give this user the right to, and try again.`;
  }
  return `The set-up failed: ${error?.message ?? error}. Please report this.`;
}
