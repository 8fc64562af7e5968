// pip, by whichever name it works here. It is used only to download wheels, which Debian's pip allows too.
import { spawn } from 'node:child_process';
import { findCommand } from './child.mjs';

const names = [['python3', '-m', 'pip'], ['pip3'], ['pip'], ['python', '-m', 'pip']];

/** The command that starts pip, or undefined. */
export async function findPip(env) {
  for (const [name, ...args] of names) {
    const path = findCommand(name, env);
    if (path && (await works(path, [...args, '--version'], env))) return [path, ...args];
  }
  return undefined;
}

function works(command, args, env) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, stdio: 'ignore' });
    child.once('error', () => resolve(false)).once('close', (code) => resolve(code === 0));
  });
}
