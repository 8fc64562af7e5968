// A random search: what each hyperparameter may be drawn from, checked against the table of fields, and the draws, which are a
// function of the search seed, the hyperparameter's name and the draw's number: more draws go on with the same sequence.
import type { Fault } from './errors.js';
import {
  allowedOf,
  type Field,
  HYPERPARAMETER_FIELDS,
  HYPERPARAMETER_NAMES,
  type HyperparameterName,
} from './fields.js';
import { canonicalJson } from './identity.js';
import { uniformAt } from './statistics/counter-random.js';
import { faultOf, isPlainObject, join, shown, unknownField } from './validation.js';

export type Interval = [number, number];

/** What one hyperparameter is drawn from; a list is a choice among its values, each as likely as the others. */
export type Distribution = { uniform: Interval } | { logUniform: Interval } | { int: Interval } | unknown[];

export type Space = { [name in HyperparameterName]?: Distribution };

const RANGES = ['uniform', 'logUniform', 'int'] as const;
type Range = (typeof RANGES)[number];

/** Draws that only repeat earlier ones are passed over; after so many a setting the space is taken for used up. */
const MOST_DRAWS_A_SETTING = 100;

/** Significant digits of a drawn number, where the ends of its range are far apart. */
const DIGITS = 3;

/** A space as sent, in the table's order; faults are added to `faults`. */
export function readSpace(body: unknown, faults: Fault[]): Space {
  const space: Space = {};
  if (!isPlainObject(body)) return space;
  if (Object.keys(body).length === 0) faults.push({ path: 'space', message: 'names no hyperparameter' });
  for (const name of Object.keys(body))
    if (!Object.hasOwn(HYPERPARAMETER_FIELDS, name)) faults.push(unknownField(name, HYPERPARAMETER_NAMES, 'space'));
  for (const name of HYPERPARAMETER_NAMES) {
    if (!Object.hasOwn(body, name)) continue;
    const path = join('space', name);
    const message =
      name === 'seed' ? "give seeds as 'seeds'" : distributionFault(HYPERPARAMETER_FIELDS[name], body[name]);
    if (message) faults.push({ path, message });
    else space[name] = body[name] as Distribution;
  }
  return space;
}

/** What is wrong with it, and all that it may be, in one sentence. */
function distributionFault(field: Field, value: unknown): string | undefined {
  return isDistribution(field, value) ? undefined : `must be ${allowedDistributions(field)}, got ${shown(value)}`;
}

function isDistribution(field: Field, value: unknown): boolean {
  if (Array.isArray(value)) {
    const different = new Set(value.map((item) => JSON.stringify(item)));
    const isFit = value.every((item) => item !== undefined && faultOf(field, item) === undefined);
    return value.length > 0 && value.length <= 1000 && different.size === value.length && isFit;
  }
  if (!isPlainObject(value)) return false;
  const [kind, ...more] = Object.keys(value);
  if (kind === undefined || more.length > 0 || !rangesOf(field).includes(kind as Range)) return false;
  const ends = value[kind];
  if (!Array.isArray(ends) || ends.length !== 2) return false;
  const [low, high] = ends as unknown[];
  if (faultOf(field, low) !== undefined || faultOf(field, high) !== undefined) return false;
  if (typeof low !== 'number' || typeof high !== 'number' || low >= high) return false;
  return kind !== 'logUniform' || low > 0;
}

/** Whole numbers are drawn as such, evenly or by their logarithm; what is no number is chosen from a list. */
function rangesOf({ kind }: Field): readonly Range[] {
  if (kind === 'number') return ['uniform', 'logUniform'];
  return kind === 'integer' ? ['int', 'logUniform'] : [];
}

function allowedDistributions(field: Field): string {
  const list = 'a list of 1 to 1000 different values to choose from';
  const ranges = rangesOf(field);
  if (ranges.length === 0) return `${list}, each ${allowedOf(field)}`;
  const shapes = ranges.map((kind) => `{"${kind}": [low, high]}`);
  return `${shapes.join(' or ')} with low < high (logUniform: low > 0), or ${list}, every number ${allowedOf(field)}`;
}

/**
 * The first `count` different settings of the sequence that the seed stands for; fewer where the space does not hold as many.
 * A setting's place in the sequence does not depend on `count`, and a hyperparameter's values not on what else is drawn.
 */
export function drawSettings(space: Space, count: number, seed: number): Record<string, unknown>[] {
  const drawn = new Map<string, Record<string, unknown>>();
  const most = Math.min(count * MOST_DRAWS_A_SETTING, MOST_DRAWS_A_SETTING * sizeOf(space));
  for (let index = 0; index < most && drawn.size < count; index++) {
    const setting: Record<string, unknown> = {};
    for (const name of HYPERPARAMETER_NAMES) {
      const from = space[name];
      if (from) setting[name] = drawOne(from, HYPERPARAMETER_FIELDS[name], uniformAt(seed, streamOf(name), index));
    }
    const key = canonicalJson(setting);
    if (!drawn.has(key)) drawn.set(key, setting);
  }
  return [...drawn.values()];
}

/** How many different settings the space holds; infinite where a number is drawn from a range. */
export function sizeOf(space: Space): number {
  return Object.values(space).reduce((product, from) => product * valuesIn(from), 1);
}

function valuesIn(from: Distribution): number {
  if (Array.isArray(from)) return from.length;
  return 'int' in from ? from.int[1] - from.int[0] + 1 : Number.POSITIVE_INFINITY;
}

function drawOne(from: Distribution, field: Field, u: number): unknown {
  if (Array.isArray(from)) return from[Math.floor(u * from.length)];
  if ('int' in from) return from.int[0] + Math.floor(u * (from.int[1] - from.int[0] + 1));
  const isLog = 'logUniform' in from;
  const [low, high] = isLog ? from.logUniform : from.uniform;
  const value = isLog ? low * (high / low) ** u : low + (high - low) * u;
  if (field.kind === 'integer') return Math.min(high, Math.max(low, Math.round(value)));
  return Math.min(high, Math.max(low, Number(value.toPrecision(digitsFor(low, high)))));
}

/** So few that the value can be typed again, and no fewer than tell a hundred values of the range apart. */
function digitsFor(low: number, high: number): number {
  const largest = Math.max(Math.abs(low), Math.abs(high));
  return Math.min(15, DIGITS + Math.max(0, Math.floor(Math.log10(largest / (high - low)))));
}

/** A stream of its own for each name (FNV-1a), whatever stands before it in the table. */
function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
