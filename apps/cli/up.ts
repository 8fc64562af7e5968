// `semdistill up`: a fleet on this machine until Ctrl-C.
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { readLocalFleetConfig } from '#config';
import type { Context } from './context.js';
import { aborted, LocalFleet } from './fleet/local-fleet.js';
import { STATE_FOLDER_NAME } from './fleet/state-folder.js';
import type { Texts } from './texts.js';
import { EXIT_WRONG_REQUEST, Interrupted, Trouble } from './trouble.js';

export interface UpFlags {
  workers?: string;
  port?: string;
  state?: string;
}

const DEFAULT_PORT = 8080;
const MAX_WORKERS = 256;

export async function up(context: Context, flags: UpFlags): Promise<void> {
  const { texts, terminal } = context;
  const config = readLocalFleetConfig();
  const cores = availableParallelism();
  const port = wholeNumber(flags.port ?? config.port, DEFAULT_PORT, { flag: '--port', low: 1, high: 65_535, texts });
  const workers = wholeNumber(flags.workers, cores >= 2 ? 2 : 1, {
    flag: '--workers',
    low: 1,
    high: MAX_WORKERS,
    texts,
  });
  const statePath = resolve(context.workingFolder, flags.state ?? STATE_FOLDER_NAME);
  const fleet = await startFleet(context, { statePath, port, workers });
  if (context.json)
    terminal.print(JSON.stringify({ url: fleet.url, keyFile: fleet.state.keyFile, state: statePath, workers }));
  for (const line of texts.running({
    url: fleet.url,
    keyFile: fleet.state.keyFile,
    state: statePath,
    workers,
    command: context.command,
  })) {
    terminal.say(line);
  }
  await untilInterrupted(context, fleet);
}

/** Starts a fleet whose processes are killed by a second Ctrl-C. */
export async function startFleet(
  context: Context,
  options: { statePath: string; port: number; workers: number },
): Promise<LocalFleet> {
  const { texts, terminal } = context;
  return await LocalFleet.start({
    ...options,
    config: readLocalFleetConfig(),
    texts,
    tell: (sentence) => terminal.say(sentence),
    signal: context.interrupted,
    onStarted: (fleet) => context.onSecondInterrupt(() => fleet.killNow()),
  });
}

/** Until Ctrl-C; then everything is stopped in order. A fleet that fails is stopped too, and its reason thrown. */
export async function untilInterrupted(context: Context, fleet: LocalFleet): Promise<void> {
  try {
    await Promise.race([fleet.failed, aborted(context.interrupted)]);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
  } finally {
    context.terminal.say(context.texts.stopping);
    await fleet.stop();
    context.terminal.say(context.texts.stopped);
  }
}

function wholeNumber(
  text: string | undefined,
  standard: number,
  rule: { flag: string; low: number; high: number; texts: Texts },
): number {
  if (text === undefined) return standard;
  const value = Number(text);
  if (Number.isInteger(value) && value >= rule.low && value <= rule.high) return value;
  throw new Trouble(rule.texts.wrongRequest, EXIT_WRONG_REQUEST, [
    { path: rule.flag, message: rule.texts.wholeNumber(rule.low, rule.high, text) },
  ]);
}
