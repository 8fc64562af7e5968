// What Linux says about processes. Any of them may end between two looks: one that is gone is an empty text, never an error.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** /proc/<pid>/<file> as text, '' where there is no such process any more. */
export function processFile(pid: number, file: string): string {
  return orEmpty(() => readFileSync(`/proc/${pid}/${file}`, 'latin1'));
}

/** The folder the process works in, '' where it is gone. */
export function workingFolderOf(pid: number): string {
  return orEmpty(() => readlinkSync(`/proc/${pid}/cwd`));
}

export function childrenOf(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  return processFile(pid, `task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

/** Other living processes whose command line or environment names the folder. */
export function processesNaming(folder: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) => (processFile(pid, 'environ') + processFile(pid, 'cmdline')).includes(folder))
    .filter((pid) => /\) [^ZX] /.test(processFile(pid, 'stat')));
}

function orEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
