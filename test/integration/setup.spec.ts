// scripts/setup.mjs as users run it: in a small checkout of its own with a cache folder of its own. Programs it calls
// (npm, pip, compiler) are real, or stand-ins on a PATH made for the test; nothing is downloaded.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFolder } from '#config';

const repository = resolve(import.meta.dirname, '../..');
const realTensorflow = join(cacheFolder(), 'tensorflow');
const tensorflow = existsSync(realTensorflow) && readdirSync(realTensorflow).some((name) => name.includes('-cpu-'));
const realCorpora = join(cacheFolder(), 'corpora');
const corpus = existsSync(realCorpora) && readdirSync(realCorpora).some((name) => name.includes('sotu'));
const compiler = onPath('g++');
const isSupported = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);

let folder: string;
let checkout: string;
let cache: string;
let bin: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'semdistill-setup-')));
  checkout = join(folder, 'checkout');
  cache = join(folder, 'cache');
  bin = join(folder, 'bin');
  mkdirSync(bin);
  makeCheckout();
  for (const name of ['node', 'sh', 'env', 'mkdir', 'touch', 'sleep', 'cat', 'ls', 'rm']) link(name);
  command('npm', `echo "$1" >> ${folder}/npm-calls; [ "$1" = ci ] && mkdir -p node_modules; exit 0`);
  command('redis-server', 'exit 0');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('set-up', () => {
  it.skipIf(!corpus)('says two lines and calls nothing when all is there', async () => {
    share('corpora');
    expect((await setUp()).code).toBe(0);
    const calls = npmCalls();
    const again = await setUp();
    expect(again.code).toBe(0);
    expect(again.lines).toHaveLength(2);
    expect(npmCalls()).toEqual(calls);
    expect(readRecord('redis.json')).toEqual({ server: join(bin, 'redis-server') });
  });

  it('goes on with WebAssembly and says why when TensorFlow is not wanted', async () => {
    const { code, lines } = await setUp();
    expect(code).toBe(0);
    expect(lines.at(-2)).toMatch(/WebAssembly.*SEMDISTILL_TENSORFLOW is none/);
    expect(readRecord('engine.json')).toEqual({
      tensorflow: null,
      opsAddon: null,
      libraryPath: [],
      reason: 'SEMDISTILL_TENSORFLOW is none',
    });
  });

  it('names a bad setting and what is allowed', async () => {
    const { code, lines } = await setUp({ SEMDISTILL_TENSORFLOW: 'fast' });
    expect(code).toBe(1);
    expect(lines).toEqual(['SEMDISTILL_TENSORFLOW must be one of auto, cpu, gpu, none, not "fast".']);
  });

  it('names the cache folder and its variable when the folder cannot be made', async () => {
    writeFileSync(cache, '');
    const { code, lines } = await setUp();
    expect(code).toBe(1);
    expect(lines).toEqual([
      `The cache folder ${cache} cannot be written (ENOTDIR): set SEMDISTILL_CACHE to a folder of your own.`,
    ]);
  });

  it('writes nothing into the home folder', async () => {
    const home = join(folder, 'home');
    mkdirSync(home);
    expect((await setUp({ HOME: home })).code).toBe(0);
    expect(readdirSync(home)).toEqual([]);
  });

  it('does not fail when the demo corpus cannot be fetched', async () => {
    const { code, lines } = await setUp();
    expect(code).toBe(0);
    expect(lines.join('\n')).toMatch(/The demo corpus is not here yet .*a worker will fetch it/);
  });
});

describe('Node modules', () => {
  it('are not installed again when the lock file is the same, and are when it changed', async () => {
    await setUp();
    await setUp();
    expect(npmCalls().filter((call) => call === 'ci')).toHaveLength(1);
    const lock = join(checkout, 'package-lock.json');
    writeFileSync(lock, readFileSync(lock, 'utf8').replace('{', '{ "name": "changed",'));
    rmSync(join(checkout, 'node_modules', '.package-lock.json'), { force: true });
    await setUp();
    expect(npmCalls().filter((call) => call === 'ci')).toHaveLength(2);
  });

  it('that somebody installed by hand are left as they are', async () => {
    writeFileSync(join(checkout, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: {} }));
    await setUp();
    expect(npmCalls()).not.toContain('ci');
  });

  it('that npm cannot install end in one sentence with the log', async () => {
    command(
      'npm',
      '[ "$1" = ping ] && exit 0; echo "npm error code E403" >&2; echo "npm error 403 Forbidden: refused" >&2; exit 1',
    );
    const { code, lines } = await setUp();
    expect(code).toBe(1);
    expect(lines.at(-1)).toMatch(
      /^Node modules could not be installed \(npm: 403 Forbidden: refused\): .* (\S+\.log)\.$/,
    );
    const log = /(\S+\.log)\.$/.exec(lines.at(-1) ?? '')?.[1] ?? '';
    expect(readFileSync(log, 'utf8')).toContain('E403');
  });

  it('are installed once by two set-ups at the same time', async () => {
    command('npm', `echo "$1" >> ${folder}/npm-calls; [ "$1" = ci ] && sleep 1; mkdir -p node_modules; exit 0`);
    const both = await Promise.all([setUp(), setUp()]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(npmCalls().filter((call) => call === 'ci')).toHaveLength(1);
    expect(both.flatMap(({ lines }) => lines)).toContain('Waiting for another set-up of this checkout.');
  });

  it('are not touched while the npm of a killed set-up still works on them', async () => {
    const go = join(folder, 'go');
    command(
      'npm',
      `echo "$1" >> ${folder}/npm-calls; if [ "$1" = ci ]; then while [ ! -e ${go} ]; do sleep 0.05; done; mkdir -p node_modules; echo end >> ${folder}/npm-calls; fi; exit 0`,
    );
    const first = start();
    await until(() => npmCalls().includes('ci'));
    first.child.kill('SIGKILL');
    await first.ended;
    const second = start();
    await until(() => second.output().includes('Waiting for another set-up'));
    expect(npmCalls().filter((call) => call === 'ci')).toHaveLength(1);
    writeFileSync(go, '');
    expect((await second.ended).code).toBe(0);
    expect(npmCalls().filter((call) => call === 'ci' || call === 'end')).toEqual(['ci', 'end', 'ci', 'end']);
  });
});

describe('the build', () => {
  it('is made again when a source changes, and drops what has no source', async () => {
    await setUp();
    expect(existsSync(join(checkout, 'dist/apps/worker/main.js'))).toBe(true);
    writeFileSync(join(checkout, 'apps/worker/other.ts'), 'export const other = 2;\n');
    rmSync(join(checkout, 'apps/worker/main.ts'));
    expect((await setUp()).code).toBe(0);
    expect(readdirSync(join(checkout, 'dist/apps/worker')).sort()).toEqual(['other.js', 'other.js.map']);
  });

  it('is made again when an output is lost', async () => {
    await setUp();
    rmSync(join(checkout, 'dist/apps/worker/main.js'));
    await setUp();
    expect(existsSync(join(checkout, 'dist/apps/worker/main.js'))).toBe(true);
  });

  it('that fails names the first error, and is tried again next time', async () => {
    writeFileSync(join(checkout, 'apps/worker/main.ts'), 'export const wrong: number = "text";\n');
    const { code, lines } = await setUp();
    expect(code).toBe(1);
    expect(lines.at(-1)).toMatch(/^The build failed \(apps\/worker\/main\.ts\(1,14\): error TS2322: .*\): mend/);
    writeFileSync(join(checkout, 'apps/worker/main.ts'), 'export const right: number = 1;\n');
    expect((await setUp()).code).toBe(0);
  });
});

describe.skipIf(!isSupported)('TensorFlow', () => {
  it('is done without, with what to type, where there is neither compiler nor pip', async () => {
    const { code, lines } = await setUp({ SEMDISTILL_TENSORFLOW: 'cpu' });
    expect(code).toBe(0);
    expect(lines.at(-2)).toMatch(
      /5 to 20 times slower: no C\+\+ compiler and no pip was found; type `.*(install|add).*` and/,
    );
    expect(readRecord('engine.json').tensorflow).toBeNull();
  });

  it('is refused when pip downloads another file than was published', async () => {
    command('g++', 'exit 1');
    command(
      'pip3',
      'while [ $# -gt 0 ]; do [ "$1" = --dest ] && echo broken > "$2/tensorflow.whl"; shift; done; exit 0',
    );
    const { code, lines } = await setUp({ SEMDISTILL_TENSORFLOW: 'cpu' });
    const found = createHash('sha256').update('broken\n').digest('hex');
    expect(code).toBe(1);
    expect(lines.at(-1)).toContain(`is not the one published (SHA-256 ${found}, expected `);
    expect(existsSync(join(cache, 'tensorflow'))).toBe(false);
    expect(readdirSync(join(cache, 'tmp'))).toEqual([]);
  });

  it('that cannot be downloaded ends in one sentence with the two ways out', async () => {
    command('g++', 'exit 1');
    command('pip3', '[ "$1" = --version ] && exit 0; echo "ERROR: No matching distribution found" >&2; exit 1');
    const { code, lines } = await setUp({ SEMDISTILL_TENSORFLOW: 'cpu' });
    expect(code).toBe(1);
    expect(lines.at(-1)).toMatch(/No matching distribution found.*check the network.*SEMDISTILL_TENSORFLOW=none/);
  });

  it.skipIf(!tensorflow || !corpus || !compiler)(
    'is compiled against once, and training goes on when our own op does not compile',
    async () => {
      share('tensorflow');
      share('corpora');
      useRealCompiler();
      writeFileSync(join(checkout, 'libs/engine/native/broken.cc'), 'this is not C++\n');
      const broken = await setUp({ SEMDISTILL_TENSORFLOW: 'cpu' });
      expect(broken.code).toBe(0);
      expect(broken.lines.join('\n')).toMatch(
        /without our fused operations, two to three times slower: .*did not compile/,
      );
      expect(readRecord('engine.json')).toMatchObject({ opsAddon: null, tensorflow: { flavour: 'cpu' } });

      rmSync(join(checkout, 'libs/engine/native/broken.cc'));
      expect((await setUp({ SEMDISTILL_TENSORFLOW: 'cpu' })).code).toBe(0);
      const { opsAddon } = readRecord('engine.json');
      expect(existsSync(String(opsAddon))).toBe(true);
      expect(existsSync(join(checkout, 'vendor/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node'))).toBe(true);

      rmSync(join(bin, 'g++'));
      const again = await setUp({ SEMDISTILL_TENSORFLOW: 'cpu' });
      expect(again.lines).toHaveLength(2);
      expect(readRecord('engine.json')).toMatchObject({ opsAddon });
    },
  );
});

describe('Redis', () => {
  it('is not looked for when REDIS_URL is set', async () => {
    rmSync(join(bin, 'redis-server'));
    const { code, lines } = await setUp({ REDIS_URL: 'redis://elsewhere:6379' });
    expect(code).toBe(0);
    expect(lines.at(-1)).toMatch(/^Redis at REDIS_URL; cache /);
  });

  const elsewhere = ['/usr/sbin', '/usr/local/bin', '/usr/local/sbin'].some((place) =>
    ['redis-server', 'valkey-server'].some((name) => existsSync(join(place, name))),
  );
  it.skipIf(elsewhere)('that is missing ends in the line to type', async () => {
    rmSync(join(bin, 'redis-server'));
    const { code, lines } = await setUp();
    expect(code).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/^No Redis server was found: type `.+`, or set REDIS_URL .+$/)]);
  });
});

describe('a wheel', () => {
  it('gives only the wanted entries, stored or deflated, and never leaves its folder', async () => {
    const wheel = join(folder, 'a.whl');
    const long = 'x'.repeat(100_000);
    writeFileSync(
      wheel,
      zip([
        { name: 'tensorflow/a.so', content: long, isDeflated: true },
        { name: 'tensorflow/b.h', content: 'plain', isDeflated: false },
        { name: 'tensorflow/../../escaped', content: 'no', isDeflated: false },
        { name: 'other/c', content: 'no', isDeflated: true },
      ]),
    );
    const out = join(folder, 'out');
    expect(await unpack(wheel, out)).toEqual({ 'tensorflow/a.so': 100_000, 'tensorflow/b.h': 5 });
    expect(readFileSync(join(out, 'tensorflow/a.so'), 'utf8')).toBe(long);
    expect(readFileSync(join(out, 'tensorflow/b.h'), 'utf8')).toBe('plain');
    expect(existsSync(join(folder, 'escaped'))).toBe(false);
    expect(existsSync(join(out, 'other'))).toBe(false);
  });

  it('that is cut short is refused', async () => {
    const wheel = join(folder, 'a.whl');
    const whole = zip([{ name: 'tensorflow/a', content: 'abc', isDeflated: false }]);
    writeFileSync(wheel, whole.subarray(0, whole.length - 30));
    await expect(unpack(wheel, join(folder, 'out'))).rejects.toThrow('the wheel is not a zip archive');
  });
});

/** A checkout with our set-up, one small program and the packages that the set-up itself uses. */
function makeCheckout(): void {
  for (const part of [
    'apps/worker',
    'libs/engine/native',
    'node_modules/@tensorflow',
    'node_modules/@typescript',
    'vendor',
  ]) {
    mkdirSync(join(checkout, part), { recursive: true });
  }
  cpSync(join(repository, 'scripts'), join(checkout, 'scripts'), { recursive: true });
  cpSync(join(repository, 'libs/engine/native'), join(checkout, 'libs/engine/native'), { recursive: true });
  for (const name of ['tsconfig.json', 'tsconfig.build.json']) cpSync(join(repository, name), join(checkout, name));
  writeFileSync(join(checkout, 'apps/worker/main.ts'), 'export const answer: number = 1;\n');
  writeFileSync(join(checkout, 'package.json'), '{ "type": "module" }\n');
  writeFileSync(join(checkout, 'package-lock.json'), '{ "lockfileVersion": 3, "packages": {} }\n');
  const modules = join(repository, 'node_modules');
  const tfjs = join(checkout, 'vendor/tfjs-node-gpu');
  cpSync(join(modules, '@tensorflow/tfjs-node-gpu/binding'), join(tfjs, 'binding'), { recursive: true });
  symlinkSync(tfjs, join(checkout, 'node_modules/@tensorflow/tfjs-node-gpu'));
  for (const name of ['@typescript/native', '@types', 'node-api-headers', 'undici-types']) {
    if (existsSync(join(modules, name))) symlinkSync(join(modules, name), join(checkout, 'node_modules', name));
  }
}

interface Outcome {
  code: number | null;
  lines: string[];
}

function start(env: Record<string, string> = {}) {
  // as root the set-up would install what is missing: without apt-get on PATH it cannot
  const child = spawn(process.execPath, [join(checkout, 'scripts/setup.mjs')], {
    cwd: folder,
    env: { PATH: bin, HOME: folder, SEMDISTILL_CACHE: cache, SEMDISTILL_TENSORFLOW: 'none', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  const ended = new Promise<Outcome>((done) =>
    child.once('close', (code) => done({ code, lines: text.split('\n').filter(Boolean) })),
  );
  return { child, ended, output: () => text };
}

function setUp(env: Record<string, string> = {}): Promise<Outcome> {
  return start(env).ended;
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((next) => setTimeout(next, 20));
}

/** What the machine's own set-up has fetched already, so that a test need not. */
function share(part: string): void {
  mkdirSync(cache, { recursive: true });
  symlinkSync(join(cacheFolder(), part), join(cache, part));
}

function command(name: string, script: string): void {
  rmSync(join(bin, name), { force: true });
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

function link(name: string): void {
  const path = name === 'node' ? process.execPath : onPath(name);
  if (path) symlinkSync(path, join(bin, name));
}

/** The compiler needs its own tools (as, ld), which it finds by the PATH of the machine. */
function useRealCompiler(): void {
  command('g++', `PATH='${process.env.PATH}' exec '${compiler}' "$@"`);
}

function onPath(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((place) => join(place, name)).find((path) => existsSync(path));
}

function npmCalls(): string[] {
  const file = join(folder, 'npm-calls');
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
}

function readRecord(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(checkout, 'node_modules/.semdistill', name), 'utf8'));
}

async function unpack(wheel: string, out: string): Promise<Record<string, number>> {
  const program = `
    const { unpackWheel } = await import(process.argv[1]);
    try { console.log(JSON.stringify(await unpackWheel(process.argv[2], process.argv[3], (name) => name.startsWith('tensorflow/')))); }
    catch (error) { console.log(JSON.stringify({ error: error.message })); }`;
  const module = join(repository, 'scripts/setup/wheel.mjs');
  const answer = JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', program, module, wheel, out], { encoding: 'utf8' }),
  );
  if (answer.error) throw new Error(answer.error);
  return answer;
}

/** A zip archive by hand: local headers with the contents, the directory, its end. */
function zip(entries: { name: string; content: string; isDeflated: boolean }[]): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content, isDeflated } of entries) {
    const packed = isDeflated ? deflateRawSync(content) : Buffer.from(content);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(isDeflated ? 8 : 0, 10);
    entry.writeUInt32LE(packed.length, 20);
    entry.writeUInt32LE(content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    files.push(local, Buffer.from(name), packed);
    directory.push(entry, Buffer.from(name));
    offset += 30 + name.length + packed.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...files, listing, end]);
}
