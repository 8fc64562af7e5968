// What numbers over seeds and sentences allow one to say. Pure arithmetic; knows nothing of trials or reports.
export * from './bootstrap.js';
export * from './counter-random.js';
export * from './paired-bootstrap.js';
export * from './power.js';
export * from './seeds.js';
export * from './student-t.js';
export * from './trend.js';
