// Finds the model among what torch.save was given: the dict that maps names to tensors, the keys that lead to it, and
// what every name is prefixed with; lists everything else by its path.
import { CheckpointError } from './checkpoint-error.js';
import type { CheckpointLimits } from './limits.js';
import {
  describe,
  type PickledDict,
  PickledFloat,
  PickledLabel,
  PickledTensor,
  PickledTuple,
  type PickledValue,
} from './pickle-values.js';

/** A value that stands beside the tensors: a scalar, or a short list of scalars. */
export type PlainScalar = string | number | bigint | boolean | null;
export type PlainValue = PlainScalar | PlainScalar[];

/** What a user should know before using the tensors; `values` is what the message tells, for messages in other languages. */
export interface CheckpointNote {
  code: 'non-finite' | 'values-cut';
  message: string;
  values: Record<string, string | number>;
}

export interface LocatedStateDict {
  /** The keys from the top object to the dict of tensors. */
  stateDictAt: string[];
  /** What every name begins with, as left by a wrapper ('module.'); names keep it. */
  prefix: string;
  tensors: Map<string, PickledTensor>;
  /** Tensors elsewhere in the file (an optimizer's), by path: 'optimizer/state/0/exp_avg'. */
  otherTensors: Map<string, PickledTensor>;
  /** By path, as above: 'epoch', 'hyper_parameters/d_model'. */
  values: Map<string, PlainValue>;
  notes: CheckpointNote[];
}

const usualKeys = [
  'state_dict',
  'model_state_dict',
  'model',
  'net',
  'network',
  'module',
  'deepsc',
  'weights',
  'params',
];
const wrapperPrefixes = ['module.', 'model.', '_orig_mod.', 'net.', 'network.', 'deepsc.', 'teacher.', 'student.'];
const trainingState = /optim|sched|scaler|callback|loops|^ema/i;
const maxValues = 10_000;
const maxChildren = 500_000;
const maxListLength = 1000;

interface Found {
  path: string[];
  dict: PickledDict;
  /** How many of its values are tensors with a name. */
  tensors: number;
}

/** Locates the state_dict in an unpickled value. Throws CheckpointError when there is none, or more than one. */
export function locateStateDict(top: PickledValue, limits: CheckpointLimits): LocatedStateDict {
  if (!(top instanceof Map)) {
    throw new CheckpointError(
      `The file holds ${describe(top)} instead of a dict of named tensors: save model.state_dict() and use that file.`,
    );
  }
  const listing = new Listing(top, limits);
  const { path, dict } = chooseDict(listing.dicts);
  const tensors = new Map<string, PickledTensor>();
  for (const [name, value] of dict) {
    if (!(value instanceof PickledTensor)) continue;
    if (typeof name !== 'string') {
      throw new CheckpointError(
        `The state_dict has a tensor under the key ${name}, which is no string: save model.state_dict() as it is.`,
      );
    }
    tensors.set(name, value);
    listing.tensors.delete([...path, name].join('/'));
  }
  return {
    stateDictAt: path,
    prefix: commonPrefix([...tensors.keys()]),
    tensors,
    otherTensors: listing.tensors,
    values: listing.values,
    notes: listing.notes,
  };
}

/**
 * The outermost dict with named tensors that is no optimizer's; among several at one level, the one with a usual name.
 * A dict that holds a larger one under a usual name is only its wrapper (torch.save({'model': …, 'rng': tensor})).
 */
function chooseDict(dicts: Found[]): Found {
  const models = dicts.filter(({ path }) => !path.some((key) => trainingState.test(key)));
  const usual = models.filter(({ path }) => usualKeys.includes(path.at(-1) ?? ''));
  const candidates = models.filter(
    (outer) => !usual.some((inner) => inner.path.length > outer.path.length && inner.tensors > outer.tensors),
  );
  const depth = Math.min(...candidates.map(({ path }) => path.length));
  const outermost = candidates.filter(({ path }) => path.length === depth);
  const [only] = outermost;
  if (!only) {
    throw new CheckpointError('The file holds no named tensors: save model.state_dict() and use that file.');
  }
  if (outermost.length === 1) return only;
  for (const key of usualKeys) {
    const named = outermost.find(({ path }) => path.at(-1) === key);
    if (named) return named;
  }
  const places = outermost.slice(0, 8).map(({ path }) => path.join('/').slice(0, 80));
  throw new CheckpointError(
    `The file holds ${outermost.length} state_dicts (${places.join(', ')}): save the wanted one alone, or under the key "state_dict".`,
  );
}

/** The wrapper prefixes that every name begins with, joined; "" when there is none. */
export function commonPrefix(names: string[]): string {
  let prefix = '';
  for (;;) {
    const next = wrapperPrefixes.find((part) => names.every((name) => name.startsWith(prefix + part)));
    if (next === undefined || names.length === 0) return prefix;
    prefix += next;
  }
}

/** Walks the value once, each container only where it is met first, without recursion. */
class Listing {
  readonly dicts: Found[] = [];
  readonly tensors = new Map<string, PickledTensor>();
  readonly values = new Map<string, PlainValue>();
  readonly notes: CheckpointNote[] = [];
  private readonly seen = new Set<PickledValue>();
  private pathLength = 0;
  private children = 0;

  constructor(
    top: PickledValue,
    private readonly limits: CheckpointLimits,
  ) {
    const pending: { path: string[]; value: PickledValue }[] = [{ path: [], value: top }];
    for (let next = pending.pop(); next; next = pending.pop()) {
      const children = this.visit(next.path, next.value);
      for (const child of children.reverse()) pending.push(child);
    }
  }

  /** Notes a leaf, or returns the children of a container. */
  private visit(path: string[], value: PickledValue): { path: string[]; value: PickledValue }[] {
    if (value instanceof PickledTensor) {
      this.tensors.set(this.join(path), value);
      return [];
    }
    this.charge(sizeOf(value));
    const plain = plainValue(value);
    if (plain !== undefined) {
      this.note(path, plain);
      return [];
    }
    if (this.seen.has(value)) return [];
    this.seen.add(value);
    if (path.length >= this.limits.nesting) {
      throw new CheckpointError(
        `The file nests its values more than ${this.limits.nesting} deep: save model.state_dict() and use that file.`,
      );
    }
    if (value instanceof Map) {
      const tensors = countTensors(value);
      if (tensors > 0) this.dicts.push({ path, dict: value, tensors });
    }
    return childrenOf(value).map(([key, item]) => ({ path: [...path, key], value: item }));
  }

  /** A container may be met by many paths; what is looked at in all of them together has a ceiling. */
  private charge(count: number): void {
    this.children += count;
    if (this.children > maxChildren) {
      throw new CheckpointError(
        `The file holds more than ${maxChildren} values beside its tensors: save model.state_dict() and use that file.`,
      );
    }
  }

  private note(path: string[], value: PlainValue): void {
    if (this.values.size < maxValues) this.values.set(this.join(path), value);
    else if (this.notes.length === 0)
      this.notes.push({
        code: 'values-cut',
        message: `Only the first ${maxValues} values beside the tensors are listed.`,
        values: { listed: maxValues },
      });
  }

  private join(path: string[]): string {
    const text = path.join('/');
    this.pathLength += text.length;
    if (this.pathLength > 2 ** 24) {
      throw new CheckpointError(
        'The names in the file are too long together: save model.state_dict() and use that file.',
      );
    }
    return text;
  }
}

function countTensors(dict: PickledDict): number {
  let count = 0;
  for (const [key, item] of dict) if (typeof key === 'string' && item instanceof PickledTensor) count++;
  return count;
}

function itemsOf(value: PickledValue): readonly PickledValue[] | undefined {
  const items = value instanceof PickledTuple ? value.items : value;
  return Array.isArray(items) ? items : undefined;
}

function sizeOf(value: PickledValue): number {
  return value instanceof Map ? value.size : (itemsOf(value)?.length ?? 0);
}

function childrenOf(value: PickledValue): [string, PickledValue][] {
  if (value instanceof Map) return [...value].map(([key, item]) => [String(key), item]);
  return (itemsOf(value) ?? []).map((item, i) => [String(i), item]);
}

function plainScalar(value: PickledValue): PlainScalar | undefined {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof PickledFloat) return value.value;
  return value instanceof PickledLabel ? value.text : undefined;
}

/** A scalar or a list of them; undefined for a container to walk through, or for what is no plain value. */
function plainValue(value: PickledValue): PlainValue | undefined {
  const items = itemsOf(value);
  if (!items) return plainScalar(value);
  if (items.length > maxListLength) return undefined;
  const scalars: PlainScalar[] = [];
  for (const item of items) {
    const scalar = plainScalar(item);
    if (scalar === undefined) return undefined;
    scalars.push(scalar);
  }
  return scalars;
}
