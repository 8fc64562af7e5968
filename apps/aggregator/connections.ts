// What the aggregator stands on, under the tokens by which Nest injects it.
export const STORE = Symbol('object store');
export const FLEET = Symbol('fleet');
export const LOOK_EVERY_MS = Symbol('time between two looks at the record');
