// Contestants in interleaved rounds: each runs once a round, the order turns from round to round, and a run counts when the
// machine was quiet while it lasted. Knows nothing of what is measured.
import { ChildFailure, runJson } from './child.mjs';
import { loadBetween, readTimes, waitUntilQuiet } from './quiet.mjs';

/** Others may use this share of the machine before a run starts. */
const QUIET_SHARE = 0.05;

/** The order of a round: every contestant comes first, last and in between alike. */
export function orderOf(contestants, round) {
  const shift = contestants.length === 0 ? 0 : round % contestants.length;
  return [...contestants.slice(shift), ...contestants.slice(0, shift)];
}

/**
 * Runs all rounds, handing each kept run to `onRun({contestant, round, attempt, result, load, isNoisy})`. A contestant that fails is said
 * once and left out of the later rounds. Resolves to those that failed; ends early, without an error, when the signal aborts.
 */
export async function runRounds(contestants, options, onRun) {
  const failed = new Set();
  for (let round = 0; round < options.rounds; round++) {
    for (const contestant of orderOf(contestants, round)) {
      if (failed.has(contestant) || options.signal.aborted) continue;
      try {
        onRun(await runQuietly(contestant, round, options));
      } catch (error) {
        if (options.signal.aborted) return [...failed];
        if (!(error instanceof ChildFailure)) throw error;
        failed.add(contestant);
        options.say(`${contestant.name} is left out: ${error.message}`);
      }
    }
  }
  return [...failed];
}

/** One run on a quiet machine; repeated while others disturb it, and in the end kept as it is and marked. */
async function runQuietly(contestant, round, options) {
  const { retries, maxForeign, quietWaitMs, timeoutMs, signal, say } = options;
  for (let attempt = 0; ; attempt++) {
    const loadBefore = await waitUntilQuiet({ share: QUIET_SHARE, limitMs: quietWaitMs, signal });
    const before = readTimes();
    const { result } = await runJson(contestant.commandOf(round), { timeoutMs, signal });
    const load = before ? { ...loadBetween(before, readTimes()), before: loadBefore } : undefined;
    const isNoisy = (load?.foreign ?? 0) > maxForeign;
    if (!isNoisy || attempt === retries) return { contestant, round, attempt, result, load, isNoisy };
    say(`${contestant.name}: others used ${(100 * load.foreign).toFixed(0)} % of the machine; once more`);
  }
}
