// The API as a process: reads the settings, opens store and fleet, listens, and on SIGTERM or SIGINT finishes what it is
// doing. Whatever keeps it from starting is said in one sentence on stderr, exit code 1.
import type { NestExpressApplication } from '@nestjs/platform-express';
import { InvalidConfig, readConfig } from '#config';
import { FleetUnavailable } from '#queue';
import { StoreUnavailable } from '#storage';
import { logToStderr } from './requests/request-log.js';
import { type RunningApi, StartFailure, startApi } from './start-api.js';

/** Requests still running after this long are cut off. */
const GRACE_MS = 8_000;

async function main(): Promise<void> {
  const running = await startApi(readConfig(), logToStderr);
  process.stdout.write(`semdistill API at ${running.url} (documentation: ${running.url}/docs)\n`);
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    void shutDown(running);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // Started with a channel to a parent: without the parent nobody would ever stop us.
  if (process.channel) process.on('disconnect', () => void (isStopping || stop()));
}

async function shutDown({ app, close }: RunningApi): Promise<void> {
  const server = app.getHttpServer() as ReturnType<NestExpressApplication['getHttpServer']>;
  const idle = setInterval(() => server.closeIdleConnections(), 100);
  const late = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await close();
  clearInterval(idle);
  clearTimeout(late);
  process.exit(0);
}

main().catch((error: unknown) => {
  const isExpected =
    error instanceof InvalidConfig ||
    error instanceof StartFailure ||
    error instanceof FleetUnavailable ||
    error instanceof StoreUnavailable;
  const text = error instanceof Error ? (isExpected ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
});
