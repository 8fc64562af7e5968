// The worker process: one for each device.
import { InvalidConfig, readConfig } from '#config';
import { FleetUnavailable } from '#queue';
import { StoreUnavailable } from '#storage';
import { CannotStart, goOnSignal, startWorker } from './start-worker.js';

try {
  goOnSignal(await startWorker(readConfig()));
} catch (error) {
  const isSetUp = [InvalidConfig, FleetUnavailable, StoreUnavailable, CannotStart].some(
    (kind) => error instanceof kind,
  );
  console.error(isSetUp ? `semdistill worker: ${(error as Error).message}` : error);
  process.exit(1);
}
