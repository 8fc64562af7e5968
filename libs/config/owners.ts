// Who may ask this fleet for what: keys by owner, and what each owner may have of the devices.

/** The owner of what is asked with SEMDISTILL_API_KEY. */
export const DEFAULT_OWNER = 'default';

const OWNER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What one owner may have; '*' stands for all without an entry of their own. */
export interface OwnerLimits {
  /** Twice the weight, twice the device time. */
  weight: number;
  /** Jobs at once. */
  running?: number;
  /** Trials waiting. */
  waiting?: number;
}

/** `alice:KEY,bob:KEY` and the one key of the default owner, as owner by key. Problems name no key. */
export function readOwnerKeys(
  one: string | undefined,
  list: string | undefined,
  problems: string[],
): Record<string, string> {
  const owners = new Map<string, string>();
  if (one) owners.set(one, DEFAULT_OWNER);
  for (const [index, entry] of entriesOf(list).entries()) {
    const at = entry.indexOf(':');
    const [owner, key] = [entry.slice(0, at), entry.slice(at + 1).trim()];
    if (at < 1 || key === '' || !OWNER.test(owner))
      problems.push(`SEMDISTILL_API_KEYS must be owner:key,owner:key,…; entry ${index + 1} is not`);
    else if (owners.has(key) && owners.get(key) !== owner)
      problems.push(`SEMDISTILL_API_KEYS gives ${owner} the key of ${owners.get(key)}; every owner needs his own`);
    else owners.set(key, owner);
  }
  return Object.fromEntries(owners);
}

const LIMITS: Record<keyof OwnerLimits, [number, number]> = {
  weight: [0.01, 1000],
  running: [1, 1_000_000],
  waiting: [1, 100_000_000],
};

/** `alice:weight=2;running=4,*:waiting=20000`, by owner. */
export function readOwnerLimits(list: string | undefined, problems: string[]): Record<string, OwnerLimits> {
  const owners: [string, OwnerLimits][] = [];
  for (const entry of entriesOf(list)) {
    const [, owner = '', rest = ''] = /^([^:]*):?(.*)$/.exec(entry) ?? [];
    const limits: OwnerLimits = { weight: 1 };
    if (owner !== '*' && !OWNER.test(owner))
      problems.push(`SEMDISTILL_OWNERS names ${JSON.stringify(owner)}, which is no owner's name`);
    for (const part of rest.split(';').filter(Boolean)) {
      const [name = '', text = ''] = part.split('=').map((half) => half.trim());
      const range = Object.hasOwn(LIMITS, name) ? LIMITS[name as keyof OwnerLimits] : undefined;
      const value = text === '' ? Number.NaN : Number(text);
      const isWhole = name === 'weight' || Number.isInteger(value);
      if (!range)
        problems.push(`SEMDISTILL_OWNERS gives ${owner} a ${JSON.stringify(name)}; known: weight, running, waiting`);
      else if (!(value >= range[0] && value <= range[1]) || !isWhole)
        problems.push(
          `SEMDISTILL_OWNERS: ${name} of ${owner} must be a ${name === 'weight' ? '' : 'whole '}number from ${range[0]} to ${range[1]}, not ${JSON.stringify(text)}`,
        );
      else limits[name as keyof OwnerLimits] = value;
    }
    owners.push([owner, limits]);
  }
  return Object.fromEntries(owners);
}

function entriesOf(list: string | undefined): string[] {
  return (list ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean);
}
