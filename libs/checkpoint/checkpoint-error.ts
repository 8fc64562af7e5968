// The one error of this library: whatever a file holds, a reader either returns tensors or throws this.

/** A file that is not a checkpoint this program takes; the message says what was found, where, and what to do. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}
