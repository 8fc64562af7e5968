// The command `semdistill` from dist/ as a process: what it says and how it ends.
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';

const MAIN = resolve(import.meta.dirname, '../../dist/apps/cli/main.js');

export interface CliRun {
  code: number | null;
  out: string;
  err: string;
}

/** Runs it in plain English without colours, against an API; interrupted (SIGINT) as soon as `killWhen` says so. */
export async function runCli(
  command: string[],
  options: {
    folder: string;
    url: string;
    apiKey: string;
    env?: Record<string, string> | undefined;
    killWhen?: (() => boolean) | undefined;
  },
): Promise<CliRun> {
  const { folder, url, apiKey, killWhen } = options;
  const api = { SEMDISTILL_URL: url, SEMDISTILL_API_KEY: apiKey };
  const env = { ...process.env, LC_ALL: 'C', NO_COLOR: '1', ...api, ...options.env };
  const child = spawn(process.execPath, [MAIN, ...command], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const result: CliRun = { code: null, out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    result.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    result.err += chunk;
  });
  const timer = killWhen && setInterval(() => killWhen() && child.kill('SIGINT'), 50);
  result.code = await new Promise((done) => child.once('close', (code) => done(code)));
  clearInterval(timer);
  return result;
}
