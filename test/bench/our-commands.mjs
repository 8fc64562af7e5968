// Our own programs as children, in the environment the worker gives its trainer: allocator, threads, library path. None of these
// can be changed once a process runs.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { trainerEnvironment } from '../../dist/apps/worker/fork-environment.js';

/** A program of this folder as a command; `threads` undefined means all cores. */
export function ourCommand(file, args, threads) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return { command: process.execPath, args: [path, ...args], env: environmentFor(threads) };
}

/** Starts this very program again when it was started by hand in a plain environment, and ends with its status. */
export function ensureTrainerEnvironment(threads) {
  const wanted = environmentFor(threads);
  const decisive = ['MALLOC_TOP_PAD_', 'GLIBC_TUNABLES', 'TF_NUM_INTRAOP_THREADS'];
  if (decisive.every((name) => process.env[name] === wanted[name])) return;
  const { status } = spawnSync(process.execPath, process.argv.slice(1), { env: wanted, stdio: 'inherit' });
  process.exit(status ?? 1);
}

function environmentFor(threads) {
  return trainerEnvironment(threads ?? availableParallelism());
}
