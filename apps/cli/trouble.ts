// How a command ends badly: one sentence for the user, the faults of a request if there are any, and the exit code.
import type { Fault } from '#experiment';

export const EXIT_FAILED = 1;
export const EXIT_WRONG_REQUEST = 2;
export const EXIT_INTERRUPTED = 130;

export class Trouble extends Error {
  override readonly name = 'Trouble';
  constructor(
    message: string,
    readonly exitCode: number = EXIT_FAILED,
    readonly faults: Fault[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What was asked for has been removed on purpose. */
export class Gone extends Trouble {}

/** Ctrl-C: not an error, but the command did not reach its end. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** The errno code of a failed system call ('EACCES'), or undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
