// More seeds or more values for a sweep that exists: the parser of POST /v1/sweeps/{id}/extend, and the request that the sweep
// then stands for. What it has trained already is planned again with the same ids, and so is reused.
import type { Fault } from './errors.js';
import { type HyperparameterName } from './fields.js';
import type { HyperparameterLists, SweepRequest } from './requests.js';
import { isSame, readVary } from './search.js';
import { EXTENSION_FIELDS } from './sweep-fields.js';
import { Described, readFields, refuse } from './validation.js';

class ExtensionBody {
  @Described(EXTENSION_FIELDS.seeds) seeds?: number | number[];
  @Described(EXTENSION_FIELDS.vary) vary?: Record<string, unknown>;
  @Described(EXTENSION_FIELDS.trials) trials?: number;
  @Described(EXTENSION_FIELDS.budget) budget?: number;
}

export interface Extension {
  /** Further seeds, or how many more. */
  seeds?: number | number[];
  vary: Partial<Record<HyperparameterName, unknown[]>>;
  /** How many more draws. */
  trials?: number;
  /** Further device-seconds. */
  budget?: number;
}

/** Parses an extension. Throws InvalidRequest with all faults. */
export function parseExtension(body: unknown): Extension {
  const faults: Fault[] = [];
  const { seeds, vary: lists, ...more } = readFields(ExtensionBody, EXTENSION_FIELDS, body, '', faults);
  const vary = readVary(lists, faults);
  const asked = Object.values(more).filter((value) => value !== undefined);
  if (faults.length === 0 && seeds === undefined && asked.length === 0 && Object.keys(vary).length === 0)
    faults.push({
      path: '',
      message: `asks for nothing: give one or more of ${Object.keys(EXTENSION_FIELDS).join(', ')}`,
    });
  refuse(faults);
  return {
    ...(seeds === undefined ? {} : { seeds }),
    vary,
    ...(more.trials === undefined ? {} : { trials: more.trials }),
    ...(more.budget === undefined ? {} : { budget: more.budget }),
  };
}

/** The request with the extension in it; asking for what it has already changes nothing. Throws InvalidRequest. */
export function extendRequest(request: SweepRequest, { seeds, vary, trials, budget }: Extension): SweepRequest {
  const faults: Fault[] = [];
  if (trials !== undefined && typeof request.trials !== 'number')
    faults.push({
      path: 'trials',
      message: "further draws are of a random search, and this sweep is none; give 'vary'",
    });
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
  if (budget !== undefined && request.budget === undefined)
    faults.push({
      path: 'budget',
      message: 'is added to the budget of a sweep, and this one has none: nothing of it is kept back',
    });
  refuse(faults);
  return {
    ...request,
    ...(budget !== undefined && request.budget !== undefined ? { budget: request.budget + budget } : {}),
    ...(trials !== undefined && typeof request.trials === 'number' ? { trials: request.trials + trials } : {}),
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
