// Starts the Redis server given as arguments and stops it when told to (SIGTERM) or when the parent is gone (the IPC
// channel closes), however it died. Redis reads its settings from standard input, so that no password is seen by `ps`.
import { spawn } from 'node:child_process';

/** After the parent's death the workers still hand their jobs back: Redis goes last. */
const LAST_MS = 3_000;
const GRACE_MS = 5_000;

const [program, ...programArguments] = process.argv.slice(2);
if (program === undefined) {
  process.stderr.write('usage: redis-guardian <redis-server> [arguments]\n');
  process.exit(2);
}
const server = spawn(program, programArguments, { stdio: ['inherit', 'inherit', 'inherit'] });

let isStopping = false;
function stop(): void {
  if (isStopping) return;
  isStopping = true;
  server.kill('SIGTERM');
  setTimeout(() => server.kill('SIGKILL'), GRACE_MS).unref();
}

process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.on('disconnect', () => setTimeout(stop, LAST_MS));
process.channel?.unref();
if (process.channel && !process.connected) stop();

server.on('error', (error) => {
  process.stderr.write(`${program} cannot be started: ${error.message}\n`);
  process.exit(1);
});
server.on('exit', (code, signal) => process.exit(code ?? (signal && isStopping ? 0 : 1)));
