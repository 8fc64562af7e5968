// More seeds or more values for a sweep that exists: the parser of POST /v1/sweeps/{id}/extend, and the request that the sweep
// then stands for. What it has trained already is planned again with the same ids, and so is reused.
import type { Fault } from './errors.js';
import { EXTENSION_FIELDS, type HyperparameterName } from './fields.js';
import { type HyperparameterLists, isSame, readVary, type SweepRequest } from './requests.js';
import { Described, readFields, refuse } from './validation.js';

class ExtensionBody {
  @Described(EXTENSION_FIELDS.seeds) seeds?: number | number[];
  @Described(EXTENSION_FIELDS.vary) vary?: Record<string, unknown>;
}

export interface Extension {
  /** Further seeds, or how many more. */
  seeds?: number | number[];
  vary: Partial<Record<HyperparameterName, unknown[]>>;
}

/** Parses an extension. Throws InvalidRequest with all faults. */
export function parseExtension(body: unknown): Extension {
  const faults: Fault[] = [];
  const { seeds, vary: lists } = readFields(ExtensionBody, EXTENSION_FIELDS, body, '', faults);
  const vary = readVary(lists, faults);
  if (faults.length === 0 && seeds === undefined && Object.keys(vary).length === 0)
    faults.push({ path: '', message: "asks for nothing: give 'seeds', 'vary' or both" });
  refuse(faults);
  return { ...(seeds === undefined ? {} : { seeds }), vary };
}

/** The request with the extension in it; asking for what it has already changes nothing. Throws InvalidRequest. */
export function extendRequest(request: SweepRequest, { seeds, vary }: Extension): SweepRequest {
  const faults: Fault[] = [];
  const lists: Record<string, unknown[]> = { ...request.vary };
  for (const [name, values] of Object.entries(vary)) {
    const before = lists[name];
    if (before === undefined) {
      const known = Object.keys(lists).join(', ') || 'nothing';
      const message =
        name === 'seed' ? "give further seeds as 'seeds'" : `this sweep varies ${known}; ask for a new sweep`;
      faults.push({ path: `vary.${name}`, message });
    } else lists[name] = [...before, ...values.filter((value) => !before.some((other) => isSame(other, value)))];
  }
  refuse(faults);
  return {
    ...request,
    ...(request.vary ? { vary: lists as HyperparameterLists } : {}),
    seeds: [...request.seeds, ...furtherSeeds(request.seeds, seeds)],
  };
}

/** Numbered on from the highest when only their count is asked for. */
function furtherSeeds(before: number[], asked: number | number[] = []): number[] {
  if (typeof asked !== 'number') return asked.filter((seed) => !before.includes(seed));
  const highest = Math.max(0, ...before);
  return Array.from({ length: asked }, (_, index) => highest + 1 + index);
}
