// The rules of layout that a reader relies on: who may import whom, names, sizes, and that ARCHITECTURE.md names every folder.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');

/** What each package may import of ours; anything not listed is forbidden. */
const ALLOWED: Record<string, string[]> = {
  'apps/api': ['experiment', 'queue', 'storage', 'config', 'checkpoint', 'semcom', 'reconciliation'],
  'apps/worker': ['experiment', 'queue', 'storage', 'config', 'checkpoint', 'semcom', 'distillation', 'engine'],
  'apps/aggregator': ['experiment', 'queue', 'storage', 'config', 'reconciliation'],
  'apps/cli': ['experiment', 'config', 'storage'],
  'libs/experiment': [],
  'libs/semcom': [],
  'libs/distillation': ['semcom'],
  'libs/checkpoint': [],
  'libs/engine': [],
  'libs/queue': ['experiment', 'config'],
  'libs/reconciliation': ['experiment', 'queue', 'storage'],
  'libs/storage': ['config'],
  'libs/config': [],
};

/** Foreign packages that only some may know. */
const ONLY_IN: [RegExp, string[]][] = [
  [/^(bullmq|ioredis|@nestjs\/bullmq)$/, ['libs/queue']],
  [/^minio$/, ['libs/storage']],
  [/^@nestjs\//, ['apps/api', 'apps/worker', 'apps/aggregator', 'libs/queue']],
  [/^@tensorflow\//, ['libs/semcom', 'libs/distillation', 'libs/engine', 'apps/worker']],
  [/^(class-validator|class-transformer)$/, ['libs/experiment', 'apps/api']],
  [/^(@observablehq\/plot|linkedom)$/, ['libs/experiment']],
  [/^(@resvg\/.*|dejavu-fonts-ttf)$/, ['apps/aggregator']],
  [/^commander$/, ['apps/cli']],
];

/** Node's own modules that a pure package may use. */
const PURE: Record<string, RegExp> = {
  'libs/semcom': /^$/,
  'libs/distillation': /^$/,
  'libs/experiment': /^node:(crypto|util|buffer)$/,
  'libs/checkpoint': /^node:(crypto|util|buffer|zlib)$/,
};

/** What git would commit; where there is no git (a bare machine, an unpacked archive), everything that no build made. */
function ownFiles(): string[] {
  try {
    const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return listed.split('\n').filter((file) => file !== '' && existsSync(join(ROOT, file)));
  } catch {
    const made = /^(?:node_modules|dist|\.git|\.semdistill|coverage|minio-data)(?:\/|$)|\.(?:log|tsbuildinfo)$/;
    const below = (folder: string): string[] =>
      readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
        if (made.test(path)) return [];
        return entry.isDirectory() ? below(path) : [path];
      });
    return below('');
  }
}

const tracked = ownFiles();
const sources = tracked.filter((file) => /^(apps|libs)\/.*\.ts$/.test(file) && !file.endsWith('.d.ts'));

function packageOf(file: string): string {
  return file.split('/').slice(0, 2).join('/');
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]|(?:^|\n)import\s+['"]([^'"]+)['"]/g,
    ),
  ].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
}

describe('imports', () => {
  it('stay inside the package, or go to the index of an allowed lib', () => {
    const faults: string[] = [];
    for (const file of sources) {
      const home = packageOf(file);
      for (const target of importsOf(file)) {
        if (target.startsWith('#')) {
          if (!ALLOWED[home]?.includes(target.slice(1))) faults.push(`${file} imports ${target}`);
        } else if (target.startsWith('.')) {
          const to = relative(ROOT, resolve(ROOT, dirname(file), target));
          if (packageOf(to) !== home) faults.push(`${file} reaches into ${to}`);
        } else {
          for (const [pattern, homes] of ONLY_IN)
            if (pattern.test(target) && !homes.includes(home))
              faults.push(`${file} imports ${target}, which belongs to ${homes.join(', ')}`);
          const pure = PURE[home];
          if (pure && target.startsWith('node:') && !file.endsWith('.spec.ts') && !pure.test(target))
            faults.push(`${file} is pure, but imports ${target}`);
        }
      }
    }
    expect(faults).toEqual([]);
  });

  it('every package is in the table', () => {
    expect(
      [...new Set(sources.map(packageOf))].filter((home) => !(home in ALLOWED) && home !== 'apps/dashboard'),
    ).toEqual([]);
  });

  it('process.env is read in libs/config only', () => {
    const readers = sources.filter(
      (file) =>
        !file.startsWith('libs/config/') &&
        !file.endsWith('.spec.ts') &&
        /process\.env\b/.test(readFileSync(join(ROOT, file), 'utf8')),
    );
    expect(readers).toEqual([]);
  });
});

describe('names and sizes', () => {
  it('files are kebab-case', () => {
    const odd = sources.filter((file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*\.ts$/.test(basename(file)));
    expect(odd).toEqual([]);
  });

  it('no folder is a drawer for anything', () => {
    const drawers = /\/(common|shared|utils|helpers|types|interfaces|dto|constants)\//;
    expect(tracked.filter((file) => drawers.test(`/${dirname(file)}/`))).toEqual([]);
  });

  it('files stay near 400 lines', () => {
    const long = sources.filter((file) => readFileSync(join(ROOT, file), 'utf8').split('\n').length > 480);
    expect(long).toEqual([]);
  });

  it('every source file says at its top what it is for', () => {
    const silent = sources.filter(
      (file) =>
        !file.endsWith('.spec.ts') &&
        !readFileSync(join(ROOT, file), 'utf8')
          .replace(/^#!.*\n/, '')
          .startsWith('//'),
    );
    expect(silent).toEqual([]);
  });

  it('no file above 8 MB is tracked', () => {
    const large = tracked.filter((file) => readFileSync(join(ROOT, file)).length > 8 * 1024 * 1024);
    expect(large).toEqual([]);
  });
});

describe('documentation', () => {
  it('ARCHITECTURE.md names every folder of apps and libs', () => {
    const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
    const folders = ['apps', 'libs'].flatMap((top) => readdirSync(join(ROOT, top)).map((name) => `${top}/${name}`));
    expect(folders.filter((folder) => !text.includes(folder))).toEqual([]);
  });

  it('files that the README names exist', () => {
    const text = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const named = [...text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map((match) => match[1] as string);
    expect(named.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });
});
