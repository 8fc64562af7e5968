// A Python with certain modules, if this machine has one; tests that need it are skipped and say so without.
import { spawnSync } from 'node:child_process';

/** PEER_PYTHON names one that is tried before the usual ones. */
export function findPython(modules: string): string | undefined {
  const named = process.env.PEER_PYTHON;
  const candidates = [...(named ? [named] : []), '/usr/bin/python3', 'python3'];
  return candidates.find((python) => spawnSync(python, ['-c', `import ${modules}`]).status === 0);
}
