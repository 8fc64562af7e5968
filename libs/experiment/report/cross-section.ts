// From pairs of models to pairs of settings: which transmitter understands which receiver, over seeds.
import type { CrossDecoding } from '../records.js';
import { type Estimate, estimate, mean } from '../statistics/index.js';
import type { CrossSection, ReportSetting, ReportTrial } from './report.js';

interface Member {
  /** place among the models */
  model: number;
  /** null: the teacher, which is the same for every seed */
  seed: number | null;
}

/** The section of the report; null where nothing was joined. */
export function crossSectionOf(
  joined: CrossDecoding | { failure: string } | undefined,
  { settings, trials }: { settings: readonly ReportSetting[]; trials: readonly ReportTrial[] },
): CrossSection | null {
  if (!joined || 'failure' in joined) return null;
  const { models, bleu1: pairs, channel, channelProfile, snrDb, sentences } = joined;
  const trialOf = new Map(trials.map((trial) => [trial.trialId, trial]));
  const membersOf = (party: number | null): Member[] =>
    models.flatMap(({ label }, model): Member[] => {
      const trial = trialOf.get(label);
      if (party === null) return label === 'teacher' ? [{ model, seed: null }] : [];
      return trial?.setting === party ? [{ model, seed: trial.seed }] : [];
    });
  const parties = [null, ...settings.keys()].filter((party) => membersOf(party).length > 0);
  const scoreOf = (transmitter: Member, receiver: Member) => pairs[transmitter.model]?.[receiver.model] ?? Number.NaN;
  const over = <Value>(make: (pairsOf: [Member, Member][]) => Value): Value[][] =>
    parties.map((i) =>
      parties.map((j) => make(membersOf(i).flatMap((a) => membersOf(j).map((b): [Member, Member] => [a, b])))),
    );
  const isOneSeed = ([a, b]: [Member, Member]) => a.seed === null || b.seed === null || a.seed === b.seed;
  return {
    channel,
    channelProfile,
    snrDb,
    sentences,
    parties,
    bleu1: over((all) => estimateOf(all.filter(isOneSeed).map(([a, b]) => scoreOf(a, b)))),
    mismatch: over((all) => estimateOf(all.filter(isOneSeed).map(([a, b]) => scoreOf(b, b) - scoreOf(a, b)))),
    otherSeeds: over((all) => {
      const others = all.filter((pair) => !isOneSeed(pair)).map(([a, b]) => scoreOf(a, b));
      return others.length > 0 ? mean(others) : null;
    }),
    models,
    pairs,
  };
}

/** Null where no two models have a seed in common. */
function estimateOf(values: number[]): Estimate | null {
  return values.length > 0 ? estimate(values) : null;
}
