// A whole aggregator process (from dist/, settings from the environment) with shorter times, given as JSON.
import { readConfig } from '#config';
import { goOnSignal, startAggregator } from '../../dist/apps/aggregator/start-aggregator.js';
import { refuse } from './refuse-to-start.mjs';

goOnSignal(await startAggregator(readConfig(), JSON.parse(process.argv[2])).catch(refuse));
console.log('aggregator is up');
