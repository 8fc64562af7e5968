// WHAT is asked and answered: requests, plans, ids, warnings, statistics, reports. Pure; knows no queue, store or tensor.
export * from './errors.js';
export * from './live.js';
export * from './records.js';
export * from './terms.js';
