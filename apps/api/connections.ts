// What every service of the API stands on: the settings, the object store (the record) and the fleet (what is in flight),
// under the tokens by which Nest injects them.
import type { Config } from '#config';
import type { RedisFleet } from '#queue';
import type { ObjectStore } from '#storage';

export const CONFIG = Symbol('config');
export const STORE = Symbol('object store');
export const FLEET = Symbol('fleet');

export interface Connections {
  config: Config;
  store: ObjectStore;
  fleet: RedisFleet;
}
