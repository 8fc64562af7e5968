// TensorFlow's own library, taken out of its Python wheel into the cache folder: the CPU flavour, or CUDA's where an NVIDIA
// device is visible. Which wheels, and their hashes, stand in tensorflow-wheels.json.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCommand, lastError, run, SetupFailure } from './child.mjs';
import { findPip } from './pip.mjs';
import { lineToType } from './system-packages.mjs';
import { unpackWheel } from './wheel.mjs';

const table = JSON.parse(readFileSync(new URL('./tensorflow-wheels.json', import.meta.url), 'utf8'));
const marker = 'complete.json';

/** Which TensorFlow this machine gets: {name, version, wheels, …}, or {reason} where it can have none. */
export function chooseFlavour(env) {
  const asked = env.SEMDISTILL_TENSORFLOW || 'auto';
  if (!['auto', 'cpu', 'gpu', 'none'].includes(asked)) {
    throw new SetupFailure(`SEMDISTILL_TENSORFLOW must be one of auto, cpu, gpu, none, not ${JSON.stringify(asked)}.`);
  }
  if (asked === 'none') return { reason: 'SEMDISTILL_TENSORFLOW is none' };
  const reason = unsupported();
  if (reason) return { reason };
  const name = asked === 'auto' ? (hasNvidiaDevice() ? 'gpu' : 'cpu') : asked;
  const flavour = table[name];
  const wheels = flavour.wheels[process.arch];
  if (!wheels) return { reason: `TensorFlow's ${name} flavour is not published for ${process.arch}` };
  return { name, version: flavour.version, platforms: flavour.platforms, unpackedBytes: flavour.unpackedBytes, wheels };
}

function unsupported() {
  const { platform, arch } = process;
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) {
    return `TensorFlow's library is placed on Linux with x64 or arm64 only, and this is ${platform} with ${arch}`;
  }
  if (!process.report.getReport().header.glibcVersionRuntime) {
    return 'TensorFlow needs glibc, and this system has another C library; a Debian or Ubuntu image has it';
  }
  if (arch === 'x64' && !/^flags\s*:.*\bavx\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))) {
    return 'TensorFlow needs a processor with AVX';
  }
  return undefined;
}

function hasNvidiaDevice() {
  return readdirSync('/dev').some((name) => /^nvidia\d+$/.test(name)) || existsSync('/usr/lib/wsl/lib/libcuda.so.1');
}

/** Where a flavour lies in the cache, and whether it lies there whole. */
export function tensorflowFolder(cache, { name, version }) {
  const packages = cache.path('tensorflow', `${version}-${name}-${process.arch}`);
  return { packages, folder: join(packages, 'tensorflow'), complete: isComplete(packages) };
}

function isComplete(packages) {
  try {
    const sizes = JSON.parse(readFileSync(join(packages, marker), 'utf8'));
    return Object.entries(sizes).every(([path, size]) => statSync(join(packages, path)).size === size);
  } catch {
    return false;
  }
}

/** Resolves to {folder, libraryPath}, or {reason} where a tool that is needed is missing. */
export async function provideTensorflow(context, flavour) {
  const { cache, env, progress } = context;
  const { packages, folder, complete } = tensorflowFolder(cache, flavour);
  if (!complete) {
    const pip = await findPip(env);
    const missing = [...(hasCommand('g++', env) ? [] : ['compiler']), ...(pip ? [] : ['pip'])];
    if (missing.length > 0) return { reason: missingTools(missing, env) };
    const packed = flavour.wheels.reduce((sum, { bytes }) => Math.max(sum, bytes ?? 0), 0);
    cache.requireSpace(flavour.unpackedBytes + packed, `TensorFlow ${flavour.version}`);
    await progress.step(`Fetching TensorFlow ${flavour.version}`, (note) =>
      fetchWheels(context, flavour, pip, packages, note),
    );
  }
  return { folder, libraryPath: nvidiaFolders(packages) };
}

export function missingTools(missing, env) {
  const names = { compiler: 'C++ compiler', pip: 'pip' };
  return `no ${missing.map((tool) => names[tool]).join(' and no ')} was found; type \`${lineToType(missing, env)}\` and set up again`;
}

async function fetchWheels(context, flavour, pip, packages, note) {
  const { cache } = context;
  const unpacked = join(cache.temporary(), 'unpacked');
  const sizes = {};
  for (const wheel of flavour.wheels) {
    const path = await downloadWheel(context, flavour, wheel, pip, note);
    note(`unpacking ${wheel.name}`);
    Object.assign(sizes, await unpackWheel(path, unpacked, isNeeded));
    rmSync(path);
  }
  for (const library of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']) {
    if (!sizes[`tensorflow/${library}`]) throw new Error(`TensorFlow's wheel holds no ${library}`);
  }
  writeFileSync(join(unpacked, marker), JSON.stringify(sizes));
  cache.publish(unpacked, packages);
}

/** The two libraries, the headers of the C interface, and what CUDA's wheels hold beside their Python files. */
function isNeeded(name) {
  return (
    /^tensorflow\/libtensorflow_(cc|framework)\.so\.2$/.test(name) ||
    /^tensorflow\/include\/(tensorflow|tsl|xla\/tsl)\/(.*\/)?c\/.*\.h$/.test(name) ||
    /^tensorflow\/include\/.*\/platform\/(ctstring[a-z_]*|platform)\.h$/.test(name) ||
    /^nvidia\/[^/]+\/(lib\/.*\.so[.\d]*|nvvm\/libdevice\/.*|bin\/ptxas)$/.test(name)
  );
}

async function downloadWheel({ cache, env }, { platforms }, { name, version, sha256, bytes }, pip, note) {
  const folder = cache.temporary();
  const log = cache.log(`pip-${name}`);
  const [command, ...args] = pip;
  const target = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'];
  for (const platform of platforms)
    target.push('--platform', `${platform}_${process.arch === 'x64' ? 'x86_64' : 'aarch64'}`);
  const watching = setInterval(() => note(progressNote(folder, bytes)), 500);
  const { ok, output } = await run(
    command,
    [
      ...args,
      'download',
      '--no-deps',
      '--no-cache-dir',
      '--only-binary=:all:',
      ...target,
      '--dest',
      folder,
      `${name}==${version}`,
    ],
    // pip writes to TMPDIR while it downloads: the cache folder is known to have the room
    {
      log,
      cwd: folder,
      env: { ...env, TMPDIR: folder, PIP_REQUIRE_VIRTUALENV: 'false', PIP_DISABLE_PIP_VERSION_CHECK: '1' },
    },
  ).finally(() => clearInterval(watching));
  const file = readdirSync(folder).find((entry) => entry.endsWith('.whl'));
  if (!ok || !file) {
    throw new SetupFailure(
      `${name} ${version} could not be downloaded (pip: ${lastError(output)}): check the network and pip's package index and try again, or set SEMDISTILL_TENSORFLOW=none to go on with WebAssembly, 5 to 20 times slower; pip's output is in ${log}.`,
    );
  }
  const found = await sha256Of(join(folder, file));
  if (found === sha256) return join(folder, file);
  throw new SetupFailure(
    `The wheel of ${name} ${version} that pip downloaded is not the one published (SHA-256 ${found}, expected ${sha256}): try again, and if it stays so check the package index that pip uses.`,
  );
}

function progressNote(folder, bytes) {
  let largest = 0;
  try {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) largest = Math.max(largest, statSync(join(entry.parentPath ?? entry.path, entry.name)).size);
    }
  } catch {
    // pip moves the file at this moment
  }
  const done = `${(largest / 1e6).toFixed(0)} MB`;
  return bytes ? `${done} of ${(bytes / 1e6).toFixed(0)} MB (${Math.floor((100 * largest) / bytes)} %)` : done;
}

async function sha256Of(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

function nvidiaFolders(packages) {
  const nvidia = join(packages, 'nvidia');
  if (!existsSync(nvidia)) return [];
  return readdirSync(nvidia)
    .map((name) => join(nvidia, name, 'lib'))
    .filter((folder) => existsSync(folder));
}
