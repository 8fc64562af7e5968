// Many runs to one line a contestant: medians, the share of the GEMM peak, and ratios to the others of the same block (vocabulary
// and batch size). Pure; a run that is missing leaves a gap and breaks nothing.
import { megaflopsPerStudentToken, shareOfPeak } from './flops.mjs';

/** The middle value; of an even number the mean of the middle two. NaN of none. */
export function median(values) {
  const sorted = Array.from(values).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * One entry a contestant that has run, in the given order. `contestants`: {name, block, role, students, megaflops, against}, `runs`:
 * what runRounds kept. Ratios are of medians, to each role of `against` in the same block; memory against the first of them.
 */
export function summarize(contestants, runs, peakGflops) {
  const entries = contestants.flatMap((contestant) => {
    const own = runs.filter((run) => run.contestant.name === contestant.name);
    return own.length === 0 ? [] : [summarizeOne(contestant, own, peakGflops)];
  });
  for (const entry of entries) {
    const { against, block } = entry;
    const others = (against ?? []).flatMap((role) =>
      entries.filter((other) => other.role === role && other.block === block),
    );
    entry.ratios = Object.fromEntries(
      others.map((other) => [other.role, entry.tokensPerSecond.median / other.tokensPerSecond.median]),
    );
    const first = others.find((other) => other.role === against[0]);
    if (first) entry.memoryRatio = entry.peakMemoryMb / first.peakMemoryMb;
  }
  return entries;
}

function summarizeOne({ name, label, block, role, students, megaflops, against }, runs, peakGflops) {
  const valuesOf = (key) => runs.map(({ result }) => result[key]);
  const rates = valuesOf('target_tokens_per_s');
  const rate = median(rates);
  const foreign = runs.flatMap(({ load }) => (load ? [load.foreign] : []));
  return {
    name,
    label,
    block,
    role,
    students,
    against,
    rounds: runs.length,
    noisyRounds: runs.filter(({ isNoisy }) => isNoisy).length,
    tokensPerSecond: { median: rate, lowest: Math.min(...rates), highest: Math.max(...rates) },
    stepsPerSecond: median(valuesOf('steps_per_s')),
    peakMemoryMb: median(valuesOf('peak_rss_mb')),
    ...(peakGflops
      ? { shareOfPeak: shareOfPeak(rate, megaflopsPerStudentToken(megaflops, students), peakGflops) }
      : {}),
    ...(foreign.length > 0 ? { foreignShare: Math.max(...foreign) } : {}),
  };
}
