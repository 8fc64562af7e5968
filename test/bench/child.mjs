// Runs a program whose last line of output is one JSON object, and ends it when the benchmark is given up.
import { spawn } from 'node:child_process';

/** A program that failed; the message is the last thing it said. */
export class ChildFailure extends Error {}

/** Resolves to the object of the last line, and what the program wrote to stderr. Rejects with ChildFailure. */
export function runJson({ command, args, env, cwd }, { timeoutMs, signal }) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new ChildFailure('stopped'));
    const child = spawn(command, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8');
      child[name].on('data', (text) => {
        output[name] += text;
      });
    }
    let reason;
    const kill = (why) => {
      reason = why;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => kill(`it took more than ${timeoutMs / 1000} s`), timeoutMs);
    const stop = () => kill('stopped');
    signal.addEventListener('abort', stop, { once: true });
    const settle = (settleWith, value) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      settleWith(value);
    };
    child.once('error', (error) => settle(reject, new ChildFailure(error.message)));
    child.once('close', (code, killedBy) => {
      if (reason) return settle(reject, new ChildFailure(reason));
      if (code !== 0)
        return settle(reject, new ChildFailure(lastError(output.stderr) || `it ended with ${code ?? killedBy}`));
      try {
        settle(resolve, { result: JSON.parse(lastLine(output.stdout)), stderr: output.stderr });
      } catch {
        settle(reject, new ChildFailure('its last line is no JSON'));
      }
    });
  });
}

function lastLine(text) {
  return text.trimEnd().split('\n').at(-1).trim();
}

/** Of what a dying program wrote to stderr the line that says why: 'SomethingError: …' of Node and Python, else the last one. */
export function lastError(text) {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !/^Node\.js v\d/.test(line));
  const speaking = lines.filter((line) => /^[A-Za-z_.]+(?: \[\w+\])?: \S/.test(line));
  return (speaking.at(-1) ?? lines.at(-1) ?? '').trim().slice(0, 240);
}
