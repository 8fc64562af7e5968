// A Python with certain modules, if this machine has one; tests that need it are skipped and say so without.
import { spawnSync } from 'node:child_process';

export function findPython(modules: string): string | undefined {
  const candidates = ['/usr/bin/python3', 'python3'];
  return candidates.find((python) => spawnSync(python, ['-c', `import ${modules}`]).status === 0);
}
