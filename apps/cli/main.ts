#!/usr/bin/env node
// The command `semdistill`: reads settings, runs one command, and turns whatever goes wrong into one sentence and an exit
// code: 0 done, 1 the world or a trial failed, 2 the request is wrong, 130 interrupted.
import { readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { CommanderError } from 'commander';
import { readClientConfig } from '#config';
import type { Context } from './context.js';
import { packageRoot } from './fleet/local-fleet.js';
import { buildProgram, type GlobalFlags, isHelp } from './program.js';
import { Terminal } from './terminal.js';
import { type Texts, textsIn } from './texts.js';
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_WRONG_REQUEST, Interrupted, systemCode, Trouble } from './trouble.js';

const client = readClientConfig();
const terminal = new Terminal({ out: process.stdout, talk: process.stderr, dumb: client.dumbTerminal });
const texts = textsIn(chosenLanguage() ?? client.language);
const interrupt = watchInterrupts();

/** --language is needed before the flags are parsed: their help is in that language. */
function chosenLanguage(): 'en' | 'zh' | undefined {
  const index = process.argv.findIndex((argument) => argument === '--language' || argument.startsWith('--language='));
  const value = process.argv[index]?.split('=')[1] ?? process.argv[index + 1];
  if (index < 0 || value === undefined) return undefined;
  return /^zh/i.test(value) ? 'zh' : 'en';
}

function watchInterrupts() {
  const first = new AbortController();
  let second: () => void = () => undefined;
  let count = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    count++;
    if (count === 1) first.abort(signal);
    else {
      second();
      process.exit(EXIT_INTERRUPTED);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return {
    signal: first.signal,
    onSecond: (action: () => void) => {
      second = action;
    },
  };
}

/** 'semdistill' where it is installed as a command, else what the user has typed. */
function commandName(): string {
  const program = process.argv[1] ?? 'semdistill';
  if (basename(program) === 'semdistill') return 'semdistill';
  const path = relative(process.cwd(), program);
  return `node ${path.startsWith('..') ? program : path}`;
}

let isJson = false;

function contextFor(flags: GlobalFlags): Context {
  isJson = flags.json === true;
  return {
    texts,
    terminal,
    client,
    flags: {
      ...(flags.server === undefined ? {} : { server: flags.server }),
      ...(flags.key === undefined ? {} : { key: flags.key }),
    },
    json: isJson,
    workingFolder: process.cwd(),
    command: commandName(),
    interrupted: interrupt.signal,
    onSecondInterrupt: interrupt.onSecond,
  };
}

/** Says what went wrong, without a stack, and returns the exit code. */
function failure(error: unknown, speech: Texts): number {
  terminal.settle();
  if (error instanceof CommanderError) return isHelp(error) ? 0 : EXIT_WRONG_REQUEST;
  if (error instanceof Interrupted) {
    terminal.say(error.message || speech.interrupted);
    return EXIT_INTERRUPTED;
  }
  const trouble = error instanceof Trouble ? error : unexpected(error, speech);
  terminal.say(`${terminal.colour('red', speech.error)} ${trouble.message}`);
  for (const fault of trouble.faults) terminal.say(`  - ${fault.path ? `${fault.path}: ` : ''}${fault.message}`);
  if (isJson) terminal.print(JSON.stringify({ error: { message: trouble.message, faults: trouble.faults } }));
  return trouble.exitCode;
}

function unexpected(error: unknown, speech: Texts): Trouble {
  const code = systemCode(error);
  if (code === 'ENOSPC') return new Trouble(speech.diskFull(process.cwd()));
  return new Trouble(speech.unexpected(error instanceof Error ? error.message : String(error)), EXIT_FAILED);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
  return String(version);
}

/** A closed pipe (`semdistill status | head`) is no failure. */
process.stdout.on('error', (error) => {
  if (systemCode(error) === 'EPIPE') process.exit(0);
  throw error;
});

try {
  if (client.problems.length > 0) throw new Trouble(client.problems.join('; '), EXIT_WRONG_REQUEST);
  const program = buildProgram({
    texts,
    version: version(),
    contextFor,
    writeOut: (text) => process.stdout.write(text),
    writeErr: (text) => process.stderr.write(text),
  });
  await program.parseAsync();
  leave(0);
} catch (error) {
  leave(failure(error, texts));
}

/** Ends once everything that was printed has left: what a slow reader has not yet taken of a pipe would be lost. */
function leave(code: number): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}
