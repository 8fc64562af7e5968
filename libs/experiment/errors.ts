// Domain errors. Libs and services throw these; the API maps them to problem+json, the CLI to exit codes, the job host
// to "do not retry". A message is one sentence a user can act on.

/** One fault of a request: where, and what would be right. */
export interface Fault {
  /** e.g. 'vary.temperature[0]' */
  path: string;
  message: string;
}

export class InvalidRequest extends Error {
  override readonly name = 'InvalidRequest';
  constructor(readonly faults: Fault[]) {
    super(faults.map((fault) => (fault.path ? `${fault.path}: ${fault.message}` : fault.message)).join('; '));
  }
}

export class NotFound extends Error {
  override readonly name = 'NotFound';
}

/** It exists, but cannot be used yet (a teacher still training, a sweep without a report). */
export class NotReady extends Error {
  override readonly name = 'NotReady';
}

/** It was there and has been removed on purpose. */
export class Removed extends Error {
  override readonly name = 'Removed';
}

export class Conflict extends Error {
  override readonly name = 'Conflict';
}

/** A trial, corpus or teacher that cannot be made as asked, found while making it; trying again gives the same. */
export class Impossible extends Error {
  override readonly name = 'Impossible';
}
