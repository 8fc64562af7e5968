// Turns plain JSON into request classes: class-validator holds each property to its line in the table of fields, unknown
// names are refused with the nearest known one, and every fault of a body is reported at once with its path.
import { ValidateBy, ValidateIf, validateSync } from 'class-validator';
import { type Fault, InvalidRequest } from './errors.js';
import { allowedOf, type Field } from './fields.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const LABEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MAX_FAULTS = 100;

/** Property decorator: the value must be what the field's description says. */
export function Described(field: Field): PropertyDecorator {
  const check = ValidateBy({
    name: 'described',
    validator: {
      validate: (value: unknown) => faultOf(field, value) === undefined,
      defaultMessage: (context) => faultOf(field, context?.value) ?? '',
    },
  });
  const present = ValidateIf((_, value) => field.required === true || value !== undefined);
  return (target, property) => {
    check(target, property);
    present(target, property);
  };
}

/** What is wrong with a value for this field, in words, or undefined. */
export function faultOf(field: Field, value: unknown): string | undefined {
  if (value === undefined) return field.required ? `is required: ${allowedOf(field)}` : undefined;
  return isAllowed(field, value) ? undefined : `must be ${allowedOf(field)}, got ${shown(value)}`;
}

function isAllowed(field: Field, value: unknown): boolean {
  switch (field.kind) {
    case 'integer':
      return Number.isInteger(value) && isWithin(field, value);
    case 'number':
      return isWithin(field, value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'choice':
      return typeof value === 'string' && (field.choices ?? []).includes(value);
    case 'range':
      return (
        Array.isArray(value) &&
        value.length === 2 &&
        value.every((end) => isWithin(field, end)) &&
        (value[0] as number) <= (value[1] as number)
      );
    case 'numbers':
      return hasItems(field, value) && value.every((item) => isWithin(field, item)) && areDifferent(value);
    case 'name':
      return typeof value === 'string' && NAME.test(value) && !value.includes('..');
    case 'text':
      return (
        typeof value === 'string' &&
        value.trim() !== '' &&
        value.length <= (field.maxLength ?? 200) &&
        !/\p{Cc}/u.test(value)
      );
    case 'object':
      return isPlainObject(value);
    case 'labels':
      return (
        hasItems(field, value) &&
        value.every((item) => typeof item === 'string' && LABEL.test(item)) &&
        areDifferent(value)
      );
    case 'list':
      return hasItems(field, value);
    case 'settings':
      if (typeof value === 'number')
        return Number.isInteger(value) && value >= (field.minItems ?? 0) && value <= (field.maxItems ?? 0);
      return hasItems(field, value);
    case 'seeds':
      if (typeof value === 'number') return Number.isInteger(value) && value >= 1 && value <= (field.maxItems ?? 0);
      return (
        Array.isArray(value) &&
        value.length >= 1 &&
        value.length <= (field.maxItems ?? 0) &&
        value.every((seed) => Number.isInteger(seed) && isWithin(field, seed)) &&
        areDifferent(value)
      );
  }
}

function isWithin(field: Field, value: unknown): boolean {
  if (typeof value !== 'number' || !Number.isFinite(value)) return false;
  const { minimum = -Infinity, maximum = Infinity } = field;
  if (value < minimum || (field.exclusiveMinimum && value === minimum)) return false;
  return !(value > maximum || (field.exclusiveMaximum && value === maximum));
}

function hasItems(field: Field, value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length >= (field.minItems ?? 0) && value.length <= (field.maxItems ?? Infinity);
}

function areDifferent(values: unknown[]): boolean {
  return new Set(values).size === values.length;
}

/** An object as JSON makes it; not an array, not null. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as it stands in a message: JSON, shortened; NaN and the like by name. */
export function shown(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * Copies the known properties of `body` into a fresh instance and validates them; faults are added to `faults`.
 * Only own properties with known names are read, so '__proto__' and its like are unknown fields and no more.
 */
export function readFields<T extends object>(
  make: new () => T,
  fields: Record<string, Field>,
  body: unknown,
  path: string,
  faults: Fault[],
): T {
  const instance = new make();
  if (!isPlainObject(body)) {
    faults.push({ path, message: `must be an object, got ${shown(body)}` });
    return instance;
  }
  for (const name of Object.keys(body)) {
    if (Object.hasOwn(fields, name)) Object.assign(instance, { [name]: body[name] });
    else faults.push(unknownField(name, Object.keys(fields), path));
  }
  for (const error of validateSync(instance, { forbidUnknownValues: false })) {
    for (const message of Object.values(error.constraints ?? {})) {
      faults.push({ path: join(path, error.property), message });
    }
  }
  return instance;
}

/** The fault of a name that is not known, with the nearest known one. */
export function unknownField(name: string, known: string[], path: string): Fault {
  const nearest = nearestOf(name, known);
  const wayOut = nearest ? `did you mean '${nearest}'?` : `known fields are ${known.join(', ')}`;
  return { path: join(path, shown(name).slice(1, -1)), message: `unknown field; ${wayOut}` };
}

export function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** Throws InvalidRequest when there are faults; the same fault found twice is told once. */
export function refuse(found: Fault[]): void {
  if (found.length === 0) return;
  const faults = [...new Map(found.map((fault) => [`${fault.path}\n${fault.message}`, fault])).values()];
  const first = faults.slice(0, MAX_FAULTS);
  if (faults.length > MAX_FAULTS) first.push({ path: '', message: `and ${faults.length - MAX_FAULTS} more faults` });
  throw new InvalidRequest(first);
}

function nearestOf(name: string, known: string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(plain(name).slice(0, 60), plain(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(substitution, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}

/** Sentence similarity comes with its shuffled floor, which sets each sentence beside another. */
export function similarityFaults(sentences: number, path: string): Fault[] {
  return sentences < 2
    ? [{ path, message: 'sentence similarity needs 2 or more sentences, one has no other to be set beside' }]
    : [];
}
