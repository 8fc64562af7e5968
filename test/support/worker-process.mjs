// A whole worker process (from dist/, settings from the environment) with another trainer and shorter times, given as JSON.
import { readConfig } from '#config';
import { goOnSignal, startWorker } from '../../dist/apps/worker/start-worker.js';

goOnSignal(await startWorker(readConfig(), JSON.parse(process.argv[2])));
console.log('worker is up');
