// The environment a trainer process must start in: allocator, threads and library path cannot be changed once it runs.
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { childEnvironment } from '#config';
import { packageRoot } from './worker-settings.js';

/**
 * TensorFlow's CPU allocator hands every big tensor back to the system and pays for the next one in page faults. Told
 * to keep them (and to use huge pages), glibc makes training on a busy machine 1.5 times faster.
 */
const ALLOCATOR = {
  MALLOC_MMAP_THRESHOLD_: '4294967296',
  MALLOC_TRIM_THRESHOLD_: '4294967296',
  MALLOC_TOP_PAD_: '268435456',
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
};

/** Threads of our operations that wait by spinning would take the cores from TensorFlow's: passive made training 1.4 times faster. */
const WAITING = { OMP_WAIT_POLICY: 'passive' };

/** The environment for a trainer that may use `threads` CPU threads (all cores when undefined). */
export function trainerEnvironment(threads?: number): Record<string, string | undefined> {
  const count = threads === undefined ? undefined : String(threads);
  const own = childEnvironment({});
  const libraries = [...libraryFolders(), ...(own.LD_LIBRARY_PATH ? [own.LD_LIBRARY_PATH] : [])];
  return childEnvironment({
    ...ALLOCATOR,
    ...WAITING,
    TF_CPP_MIN_LOG_LEVEL: '2',
    ...(count ? { OMP_NUM_THREADS: count, TF_NUM_INTRAOP_THREADS: count, TF_NUM_INTEROP_THREADS: count } : {}),
    ...(libraries.length > 0 ? { LD_LIBRARY_PATH: libraries.join(delimiter) } : {}),
  });
}

/** Folders of CUDA libraries as set-up wrote them down; read here because importing the engine would load TensorFlow. */
function libraryFolders(): string[] {
  const file = join(packageRoot(), 'node_modules', '.semdistill', 'engine.json');
  if (!existsSync(file)) return [];
  const { libraryPath } = JSON.parse(readFileSync(file, 'utf8')) as { libraryPath?: string[] };
  return libraryPath ?? [];
}
