// The two addons compiled against TensorFlow's library: the one of tfjs, from the package's own sources, and the one with our fused operations.
// They are kept in the cache under a hash of everything that went into them.
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findCommand, lastError, run } from './child.mjs';
import { missingTools } from './tensorflow.mjs';

/** Resolves to {opsAddon: path or null}, or {reason} when tfjs's addon cannot be had. */
export async function provideAddons(context, { folder, libraryPath }) {
  const { root, progress } = context;
  const tfjs = join(root, 'node_modules', '@tensorflow', 'tfjs-node-gpu');
  const includes = [
    join(root, 'node_modules', 'node-api-headers', 'include'),
    join(tfjs, 'binding'),
    tfjs,
    join(folder, 'include'),
  ];
  const common = { folder, libraryPath, includes };
  const binding = {
    ...common,
    name: 'tfjs_binding.node',
    title: "tfjs's addon",
    flags: ['-O2', '-std=c++17'],
    sources: sourcesIn(join(tfjs, 'binding')),
  };
  const ops = {
    ...common,
    name: 'semdistill_ops.node',
    title: 'our fused operations',
    flags: ['-O3', '-std=c++17', '-fopenmp', '-fno-math-errno', '-fno-trapping-math'],
    sources: sourcesIn(join(root, 'libs', 'engine', 'native')),
  };
  const [compiled, own] = await Promise.all([provideAddon(context, binding), provideAddon(context, ops)]);
  if (compiled.reason) return compiled;
  placeBinding(compiled.path, join(tfjs, 'lib', 'napi-v8'));
  if (own.reason)
    progress.say(`Training goes on without our fused operations, two to three times slower: ${own.reason}.`);
  return { opsAddon: own.path ?? null };
}

async function provideAddon(context, addon) {
  const { cache, env, progress } = context;
  if (addon.sources.length === 0) return { reason: `${addon.title} has no sources` };
  const path = cache.path('addons', contentHash(addon), addon.name);
  if (existsSync(path)) return { path };
  const compiler = findCommand('g++', env);
  if (!compiler) return { reason: missingTools(['compiler'], env) };
  return progress.step(`Compiling ${addon.title}`, async () => {
    const made = join(cache.temporary(), addon.name);
    const log = cache.log(addon.name);
    const { ok, output } = await run(compiler, compilerArguments(addon, made), { log, env });
    if (!ok)
      return { reason: `${addon.title} did not compile (${firstError(output)}); the compiler's output is in ${log}` };
    const loaded = await run(process.execPath, ['-e', 'require(process.argv[1])', made], {
      log,
      env: {
        ...env,
        TF_CPP_MIN_LOG_LEVEL: '3',
        LD_LIBRARY_PATH: [...addon.libraryPath, env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
      },
    });
    if (!loaded.ok) return { reason: `${addon.title} cannot be loaded (${lastError(loaded.output)}); see ${log}` };
    cache.publish(made, path);
    return { path };
  });
}

function compilerArguments({ flags, includes, sources, folder }, output) {
  return [
    ...flags,
    '-fPIC',
    '-shared',
    '-DNAPI_VERSION=8',
    ...includes.flatMap((path) => ['-I', path]),
    '-o',
    output,
    ...sources.filter((path) => path.endsWith('.cc')),
    '-L',
    folder,
    '-l:libtensorflow_cc.so.2',
    '-l:libtensorflow_framework.so.2',
    `-Wl,-rpath,${folder}`,
  ];
}

/** Over names and contents of the sources, flags, where TensorFlow lies, and the system whose libraries are linked. */
function contentHash({ sources, flags, folder }) {
  const hash = createHash('sha256').update(JSON.stringify([flags, folder, process.arch, systemName()]));
  for (const path of sources) hash.update(`\n${basename(path)}\n`).update(readFileSync(path));
  return hash.digest('hex').slice(0, 16);
}

function systemName() {
  try {
    return readFileSync('/etc/os-release', 'utf8').match(/^(ID|VERSION_ID)=.*$/gm);
  } catch {
    return null;
  }
}

function sourcesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/** tfjs loads its addon from its own package folder only; a running process may have the old one open. */
function placeBinding(compiled, folder) {
  const place = join(folder, 'tfjs_binding.node');
  if (existsSync(place) && readFileSync(place).equals(readFileSync(compiled))) return;
  mkdirSync(folder, { recursive: true });
  const temporary = `${place}.${process.pid}`;
  copyFileSync(compiled, temporary);
  chmodSync(temporary, 0o755);
  renameSync(temporary, place);
}

function firstError(output) {
  return (output.split('\n').find((line) => /error:/.test(line)) ?? lastError(output)).slice(0, 240);
}
