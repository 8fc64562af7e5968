// What record and fleet have come to disagree about, and how each of these is mended; for the aggregator and for repairs by hand.
export { type FleetFault, findFaults, type Place } from './find-faults.js';
export { LEASE_MS, liveBundles, missingBundleJobs } from './missing-jobs.js';
