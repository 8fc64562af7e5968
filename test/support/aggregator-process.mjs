// A whole aggregator process (from dist/, settings from the environment) with shorter times, given as JSON.
import { readConfig } from '#config';
import { goOnSignal, startAggregator } from '../../dist/apps/aggregator/start-aggregator.js';

goOnSignal(await startAggregator(readConfig(), JSON.parse(process.argv[2])));
console.log('aggregator is up');
