// A whole worker process (from dist/, settings from the environment) with another trainer and shorter times, given as JSON.
import { readConfig } from '#config';
import { goOnSignal, startWorker } from '../../dist/apps/worker/start-worker.js';
import { refuse } from './refuse-to-start.mjs';

goOnSignal(await startWorker(readConfig(), JSON.parse(process.argv[2])).catch(refuse));
console.log('worker is up');
