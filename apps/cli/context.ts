// What every command is given: its language, its terminal, where its server is looked for, and the signal of Ctrl-C.
import type { ClientConfig } from '#config';
import type { Terminal } from './terminal.js';
import type { Texts } from './texts.js';

export interface Context {
  texts: Texts;
  terminal: Terminal;
  client: ClientConfig;
  /** --server and --key */
  flags: { server?: string; key?: string };
  /** --json: data as one JSON document on stdout. */
  json: boolean;
  workingFolder: string;
  /** How the user calls this program, for examples in messages. */
  command: string;
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. */
  interrupted: AbortSignal;
  /** Called on the second one. */
  onSecondInterrupt(action: () => void): void;
}
