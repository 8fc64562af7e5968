// The aggregator process; any number of copies may run.
import { InvalidConfig, readConfig } from '#config';
import { FleetUnavailable } from '#queue';
import { StoreUnavailable } from '#storage';
import { goOnSignal, startAggregator } from './start-aggregator.js';

try {
  goOnSignal(await startAggregator(readConfig()));
} catch (error) {
  const isSetUp = [InvalidConfig, FleetUnavailable, StoreUnavailable].some((kind) => error instanceof kind);
  console.error(isSetUp ? `semdistill aggregator: ${(error as Error).message}` : error);
  process.exit(1);
}
