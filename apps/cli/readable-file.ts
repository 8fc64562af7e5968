// A file that a command is to send: whether it can be read is said before anything is sent.
import { open } from 'node:fs/promises';
import type { Context } from './context.js';
import { EXIT_WRONG_REQUEST, systemCode, Trouble } from './trouble.js';

/** Throws Trouble when `path` is no file that can be read; `shown` is how the user calls it. Returns its size in bytes. */
export async function requireReadable({ texts }: Context, path: string, shown: string): Promise<number> {
  try {
    const handle = await open(path, 'r');
    try {
      const facts = await handle.stat();
      if (facts.isDirectory()) throw new Trouble(texts.cannotRead(shown, 'EISDIR'), EXIT_WRONG_REQUEST);
      return facts.size;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof Trouble) throw error;
    const code = systemCode(error) ?? String(error);
    throw new Trouble(texts.cannotRead(shown, code), EXIT_WRONG_REQUEST, [], { cause: error });
  }
}
