// Whether the disk of the cache folder has room to work in. A full disk is a fault of this machine, not of a trial: the job goes
// elsewhere, and this worker takes none until there is room again.
import { statfs } from 'node:fs/promises';

export interface DiskRoom {
  folder: string;
  /** Less than this is full. */
  leastBytes: number;
}

export async function hasRoom({ folder, leastBytes }: DiskRoom): Promise<boolean> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize >= leastBytes;
}

/** Whether an error tells of a full disk or quota, in its code or in what a process said last. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return ['ENOSPC', 'EDQUOT'].includes(code) || /\bENOSPC\b|\bEDQUOT\b|No space left on device/i.test(error.message);
}
