// Numbers as reports show them.
import type { Estimate } from '../statistics/index.js';

/** Three decimals from 0.1 up (fewer for large numbers), three significant digits below; never '-0'. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1000) return value.toFixed(0);
  if (size >= 10) return value.toFixed(size >= 100 ? 1 : 2);
  if (size >= 0.1) return value.toFixed(3);
  if (size < 1e-6) return value.toExponential(1);
  return value.toFixed(Math.min(8, 2 - Math.floor(Math.log10(size))));
}

/** Mean and half width of the 95 % interval, '0.031 ± 0.004'; the mean alone with one seed. */
export function formatEstimate({ mean, high }: Estimate): string {
  if (high === null) return formatNumber(mean);
  const half = high - mean;
  const decimals = formatNumber(mean).split('.')[1]?.length ?? 0;
  const rounded = half.toFixed(decimals);
  const shown =
    Number(rounded) > 0 || half === 0
      ? rounded
      : half < 1e-6
        ? half.toExponential(0)
        : String(Number(half.toPrecision(1)));
  return `${formatNumber(mean)} ± ${shown}`;
}

export function formatProbability(p: number): string {
  return p < 0.001 ? '< 0.001' : p.toFixed(3);
}
