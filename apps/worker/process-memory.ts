// How much memory a process holds, and how much this machine (or the control group around us) has.
import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';

/** Of the machine, what a worker may take when nothing is set. */
const SHARE = 0.9;

/** Bytes that this process and its children may use together at most. */
export function machineMemoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

export function defaultMemoryShareBytes(): number {
  return SHARE * machineMemoryBytes();
}

/** Resident bytes of a process; undefined where the system does not say (it is gone, or this is no Linux). */
export async function residentBytes(processId: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${processId}/status`, 'utf8').catch(() => '');
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
