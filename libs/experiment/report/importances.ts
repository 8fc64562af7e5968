// How much of the gap's variance each varied hyperparameter accounts for by itself.
import { canonicalJson } from '../identity.js';
import type { Hyperparameters } from '../records.js';
import { mean } from '../statistics/index.js';
import type { Importance, ReportSetting, ReportTrial } from './report.js';

/**
 * epsilon² = (SS between - df between MS within) / SS total of the trials' mean JSD, grouped by one hyperparameter's value (Kelley 1935):
 * unlike eta² it does not grow by chance with the number of values. At least 0. Only where two or more hyperparameters vary. Numbers that
 * take many values (drawn ones are all different, and would each account for everything) are grouped with their neighbours.
 */
export function importancesOf(
  varied: readonly (keyof Hyperparameters)[],
  settings: readonly ReportSetting[],
  trials: readonly ReportTrial[],
): Importance[] {
  if (varied.length < 2) return [];
  const measured = trials.flatMap(({ setting, meanOverSnr }) => {
    const { kind, values } = settings[setting] ?? {};
    return kind === 'distilled' && values && meanOverSnr.jsd !== undefined ? [{ values, jsd: meanOverSnr.jsd }] : [];
  });
  if (measured.length < 3) return [];
  const centre = mean(measured.map(({ jsd }) => jsd));
  const total = measured.reduce((sum, { jsd }) => sum + (jsd - centre) ** 2, 0);
  return varied.map((name) => {
    const groups = new Map<string, number[]>();
    const { levels, groupOf } = levelsOf(measured.map(({ values }) => values[name]));
    for (const { values, jsd } of measured) {
      const value = groupOf(values[name]);
      groups.set(value, [...(groups.get(value) ?? []), jsd]);
    }
    let [between, within] = [0, 0];
    for (const group of groups.values()) {
      const own = mean(group);
      between += group.length * (own - centre) ** 2;
      within += group.reduce((sum, jsd) => sum + (jsd - own) ** 2, 0);
    }
    const [dfBetween, dfWithin] = [groups.size - 1, measured.length - groups.size];
    const share = dfWithin > 0 && total > 0 ? (between - (dfBetween * within) / dfWithin) / total : 0;
    return { name, levels, share: Math.max(0, share) };
  });
}

/** Up to so many different numbers are groups of their own. */
const MOST_LEVELS = 6;
const GROUPS = 4;

/** How many different values there are, and which group one belongs to. */
function levelsOf(values: readonly unknown[]): { levels: number; groupOf(value: unknown): string } {
  const own = (value: unknown) => canonicalJson(value ?? null);
  const levels = new Set(values.map(own)).size;
  const numbers = [...new Set(values)].filter((value) => typeof value === 'number').sort((a, b) => a - b);
  if (levels <= MOST_LEVELS || numbers.length < levels) return { levels, groupOf: own };
  const rank = new Map<unknown, number>(numbers.map((value, index) => [value, index]));
  return { levels, groupOf: (value) => String(Math.floor(((rank.get(value) ?? 0) * GROUPS) / numbers.length)) };
}
