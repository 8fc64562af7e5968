// Runs other programs with their output in a log file, and finds them on PATH. A program that fails becomes one sentence
// and the path of its log; a log of success is deleted.
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A failure whose message is already the whole sentence for the user. */
export class SetupFailure extends Error {}

const running = new Set();
let interrupted = false;

/** Ends every program started here that still runs. */
export function killChildren() {
  interrupted = true;
  for (const child of running) child.kill('SIGTERM');
}

/**
 * Runs a program to its end with output to `log`. Resolves to {ok, output}; never rejects for a bad exit status. `lock`
 * keeps a lock held for as long as the program lives, even when this process is killed.
 */
export function run(command, args, { log, env, cwd, lock }) {
  const output = openSync(log, 'w');
  return new Promise((resolve) => {
    const settle = (ok, note) => {
      closeSync(output);
      running.delete(child);
      if (interrupted) return;
      const text = `${readFileSync(log, 'utf8')}${note ?? ''}`;
      if (ok) rmSync(log, { force: true });
      resolve({ ok, output: text });
    };
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', output, output, lock?.fd ?? 'ignore'] });
    running.add(child);
    let settled = false;
    child.once('error', (error) => {
      if (!settled) settle(false, `\n${error.message}\n`);
      settled = true;
    });
    child.once('close', (code) => {
      if (!settled) settle(code === 0);
      settled = true;
    });
  });
}

/** The full path of a program, or undefined; looks on PATH, then in `more` folders. */
export function findCommand(name, env = process.env, more = []) {
  const folders = [...(env.PATH ?? '').split(delimiter), ...more];
  for (const folder of folders) {
    if (!folder) continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // not here
    }
  }
  return undefined;
}

export function hasCommand(name, env = process.env) {
  return findCommand(name, env) !== undefined;
}

/** The last line of a log that says what went wrong. */
export function lastError(output) {
  const lines = output.split('\n').map((line) => line.replace(/^(npm error|npm ERR!)\s*/, '').trim());
  const speaking = lines.filter((line) => /error|cannot|failed|unable|not found|refused/i.test(line));
  const informative = speaking.filter((line) => !/complete log of this run|^errno|^code|^syscall/i.test(line));
  const line = informative.at(-1) ?? lines.filter(Boolean).at(-1) ?? 'it said nothing';
  return line.replace(/[.\s]+$/, '').slice(0, 240);
}
