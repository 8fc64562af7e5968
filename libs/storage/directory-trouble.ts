// What the file system answers, in sentences for the one who runs the machine.
import { isAbsolute, relative } from 'node:path';
import { StoreUnavailable } from './object-store.js';

/** The store's own words for a failed file operation under `root`; anything else comes back as it is. */
export function directoryTrouble(error: unknown, root: string): unknown {
  const code = errnoOf(error);
  if (!(error instanceof Error) || code === undefined) return error;
  const path = (error as NodeJS.ErrnoException).path;
  if (path !== undefined && !isWithin(root, path)) return error;
  const [sentence, retriable] = sentenceFor(code, root, path) ?? [];
  return sentence === undefined ? error : new StoreUnavailable(sentence, retriable ?? false, { cause: error });
}

/** The code of a file-system error (ENOENT, …), if it is one. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function sentenceFor(code: string, root: string, path: string | undefined): [string, boolean] | undefined {
  switch (code) {
    case 'ENOSPC':
      return [
        `The disk of the store folder ${root} is full (ENOSPC); free some space there, nothing half-written was kept.`,
        true,
      ];
    case 'EDQUOT':
      return [
        `The disk quota for the store folder ${root} is used up (EDQUOT); free some space or raise the quota.`,
        true,
      ];
    case 'EACCES':
    case 'EPERM': {
      const who = process.getuid ? `user ${process.getuid()}` : 'this user';
      return [
        `The store folder ${root} is closed to ${who}${path && path !== root ? ` (at ${path})` : ''}; ` +
          'give that user read and write permission or choose another folder (SEMDISTILL_STORE).',
        false,
      ];
    }
    case 'EROFS':
      return [
        `The store folder ${root} lies on a read-only file system; choose another folder (SEMDISTILL_STORE).`,
        false,
      ];
    case 'ENOTDIR':
    case 'EEXIST':
      return [
        `The store folder ${root} cannot be used: ${path && path !== root ? path : 'it'} is a file where a folder is needed.`,
        false,
      ];
    case 'EMFILE':
    case 'ENFILE':
      return ['Too many files are open in this process or on this machine; raise the limit (ulimit -n).', true];
    case 'EIO':
      return [`The disk of the store folder ${root} failed to read or write (EIO); check the disk.`, false];
    case 'EXDEV':
      return [`The store folder ${root} spans several file systems; it has to lie on one.`, false];
    default:
      return undefined;
  }
}

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return !way.startsWith('..') && !isAbsolute(way);
}
