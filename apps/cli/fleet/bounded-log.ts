// A log file of at most twice a given size: when it is full it becomes `<name>.1` and a new one begins.
import { closeSync, openSync, renameSync, writeSync } from 'node:fs';

export class BoundedLog {
  #descriptor: number;
  #size = 0;

  constructor(
    readonly path: string,
    readonly maxBytes = 8 * 2 ** 20,
  ) {
    this.#descriptor = openSync(path, 'w', 0o600);
  }

  /** Throws what the file system throws (ENOSPC). */
  write(chunk: Uint8Array): void {
    if (this.#size + chunk.length > this.maxBytes && this.#size > 0) this.#rotate();
    this.#size += chunk.length;
    writeSync(this.#descriptor, chunk);
  }

  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    this.#descriptor = -1;
  }

  #rotate(): void {
    closeSync(this.#descriptor);
    renameSync(this.path, `${this.path}.1`);
    this.#descriptor = openSync(this.path, 'w', 0o600);
    this.#size = 0;
  }
}
