// How the settings of a sweep are asked for: lists to combine, a list of settings, or a space to draw from; what speaks against
// it, how many it makes, and what it is called.
import type { Fault } from './errors.js';
import {
  type Field,
  HYPERPARAMETER_FIELDS as H,
  HYPERPARAMETER_NAMES,
  type HyperparameterName,
  MAX_TRIALS,
} from './fields.js';
import { type Space, sizeOf } from './space.js';
import { SWEEP_FIELDS } from './sweep-fields.js';
import type { Search } from './terms.js';
import { faultOf, isPlainObject, join, refuse, shown, unknownField } from './validation.js';

/** The parts of a sweep's body that say which settings it has. */
interface AskedSearch {
  search?: Search;
  vary?: unknown;
  trials?: unknown[] | number;
  space?: unknown;
  searchSeed?: number;
}

type PartialSetting = { [name in HyperparameterName]?: unknown };

/** Lists of values by hyperparameter; faults are added to `faults`. */
export function readVary(body: unknown, faults: Fault[]): Partial<Record<HyperparameterName, unknown[]>> {
  const lists: Partial<Record<HyperparameterName, unknown[]>> = {};
  if (!isPlainObject(body)) return lists;
  if (Object.keys(body).length === 0) faults.push({ path: 'vary', message: 'names no hyperparameter' });
  for (const name of Object.keys(body)) {
    if (!Object.hasOwn(H, name)) faults.push(unknownField(name, HYPERPARAMETER_NAMES, 'vary'));
  }
  // Read in the table's order, so that the order of keys in the body does not change the plan.
  for (const name of HYPERPARAMETER_NAMES) {
    if (!Object.hasOwn(body, name)) continue;
    const values = body[name];
    const path = join('vary', name);
    if (!Array.isArray(values) || values.length === 0 || values.length > 1000) {
      faults.push({ path, message: `must be a list of 1 to 1000 values, got ${shown(values)}` });
      continue;
    }
    values.forEach((value, index) => {
      const fault = value === undefined ? 'is missing' : faultOf(H[name], value);
      if (fault) faults.push({ path: `${path}[${index}]`, message: fault });
    });
    const repeated = values.find((value, index) => values.some((other, at) => at < index && isSame(other, value)));
    if (repeated !== undefined) faults.push({ path, message: `names ${shown(repeated)} twice` });
    lists[name] = values;
  }
  return lists;
}

/** Where settings come from: exactly one of the three, or nothing at all. */
export function searchFaults({ search, vary, trials, space, searchSeed }: AskedSearch): Fault[] {
  const isDrawn = search === 'random' || space !== undefined;
  const faults: Fault[] = [];
  const add = (path: string, message: string) => faults.push({ path, message });
  if (vary !== undefined && isObjectList(trials))
    add('trials', "give either 'vary' (all combinations) or 'trials' (a list), not both");
  if (isDrawn) {
    if (search !== undefined && search !== 'random')
      add('search', `must be random where 'space' is given, got ${search}`);
    if (vary !== undefined) add('vary', "is for a grid; a random search chooses from a list in 'space' too");
    if (space === undefined) add('space', 'is required for a random search: what each hyperparameter is drawn from');
    if (typeof trials !== 'number')
      add('trials', `is required for a random search as a whole number: how many settings are drawn`);
    return faults;
  }
  if (typeof trials === 'number') add('trials', "a number of trials is for a random search; give 'space' as well");
  if (searchSeed !== undefined) add('searchSeed', "is for a random search; give 'space' as well");
  if (search === 'list' && trials === undefined) add('trials', 'is required for a list of settings');
  if (search === 'grid' && trials !== undefined) add('trials', "is no part of a grid; give its values in 'vary'");
  if (search === 'list' && vary !== undefined) add('vary', "is for a grid; list the settings in 'trials'");
  return faults;
}

/** What a random search adds to the parsed request. Throws InvalidRequest where the space is too small for it. */
export function drawnPart(trials: number, space: Space, searchSeed: number = SWEEP_FIELDS.searchSeed.default) {
  const size = sizeOf(space);
  if (trials > size)
    refuse([
      { path: 'trials', message: `the space holds ${size} different settings, ${trials} cannot be drawn from it` },
    ]);
  return { search: 'random' as const, trials, space, searchSeed };
}

/** Refuses by arithmetic what would be too large to plan. */
export function checkSize(
  vary: Partial<Record<HyperparameterName, unknown[]>>,
  trials: unknown[] | number | undefined,
  seeds: number[],
  faults: Fault[],
): void {
  const lists = Object.entries(vary).filter(([name]) => name !== 'seed');
  const given = Array.isArray(trials) ? trials.length : trials;
  const settings = given ?? lists.reduce((product, [, values]) => product * values.length, 1);
  if (settings * seeds.length <= MAX_TRIALS) return;
  const parts = trials ? [`${settings} settings`] : lists.map(([name, values]) => `${values.length} ${name}`);
  faults.push({
    path: trials ? 'trials' : 'vary',
    message: `${[...parts, `${seeds.length} seeds`].join(' x ')} make ${settings * seeds.length} trials; at most ${MAX_TRIALS} fit one sweep`,
  });
}

/** Names of which there is more than one value. */
export function varyingNames(lists: Partial<Record<string, unknown[]>>, trials?: PartialSetting[]): Set<string> {
  const names = Object.keys(lists).filter((name) => (lists[name]?.length ?? 0) > 1);
  if (trials) {
    for (const name of HYPERPARAMETER_NAMES) {
      const values = trials.map((trial) => JSON.stringify(trial[name] ?? (H[name] as Field).default));
      if (new Set(values).size > 1) names.push(name);
    }
  }
  return new Set(names);
}

/** What people call a sweep that was given no name. */
export function nameOf(lists: Partial<Record<string, unknown[]>>, trials?: PartialSetting[]): string {
  if (trials) return `${trials.length} settings`;
  const parts = Object.entries(lists).map(
    ([name, values]) => `${name} ${values?.map((v) => shown(v).replaceAll('"', '')).join(', ')}`,
  );
  const name = parts.join('; ') || 'one setting';
  return name.length > SWEEP_FIELDS.name.maxLength ? `${name.slice(0, SWEEP_FIELDS.name.maxLength - 3)}...` : name;
}

/** A list of settings of a length that may be. */
export function isObjectList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length > 0 && value.length <= MAX_TRIALS;
}

/** Whether two values of a hyperparameter are one. */
export function isSame(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b));
}
