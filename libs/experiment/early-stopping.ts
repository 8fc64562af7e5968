// Early stopping by successive halving as trials arrive (ASHA, Li et al., "A system for massively parallel hyperparameter tuning",
// MLSys 2020, in its stopping form): rungs after graceEpochs reduction^k epochs, at each of which the best one in `reduction` of
// those that have reached it goes on. Pure: values and decisions are the record's (docs/decisions/0010).
import { isTaught } from './dials.js';
import type { RungDecision, RungValue, SweepRecord, TrialRole } from './records.js';
import type { EarlyStopping, SweepRequest } from './requests.js';

/** Epochs after which a training of so many is held against others; never its last. */
export function rungEpochs({ graceEpochs, reduction }: EarlyStopping, epochs: number): number[] {
  const rungs: number[] = [];
  for (let epoch = graceEpochs; epoch < epochs; epoch *= reduction) rungs.push(epoch);
  return rungs;
}

/** What others are compared with is trained to the end: baselines and references, put in or asked for as such. */
export function isSpared(
  { baseline, reference }: Pick<SweepRequest, 'baseline' | 'reference'>,
  {
    role,
    hyperparameters,
  }: { role: TrialRole; hyperparameters: Parameters<typeof isTaught>[0] & { temperature: number } },
): boolean {
  if (role !== 'requested') return true;
  return (baseline && !isTaught(hyperparameters)) || (reference && hyperparameters.temperature === 1);
}

/** Whether the trial goes on past the rung, by what all that have reached it had; equals stand or fall together. */
export function decideAtRung(
  own: RungValue,
  reached: readonly RungValue[],
  { reduction }: EarlyStopping,
): RungDecision {
  const others = reached.filter(({ trialId }) => trialId !== own.trialId);
  const rank = 1 + others.filter((other) => isBetter(other, own)).length;
  const count = others.length + 1;
  return { ...own, rank, reached: count, isStopped: rank > Math.ceil(count / reduction) };
}

/** The less the better; no number is worse than any. */
function isBetter(a: RungValue, b: RungValue): boolean {
  return (a.value ?? Number.POSITIVE_INFINITY) < (b.value ?? Number.POSITIVE_INFINITY);
}

/** Why it was stopped, in one sentence. */
export function stoppingReason(
  { epoch, measure, value, rank, reached }: RungDecision,
  { reduction }: EarlyStopping,
): string {
  const what = measure === 'divergence' ? 'JSD to the teacher' : 'validation loss';
  const shown = value === null ? 'not a number' : Number(value.toPrecision(4));
  return `Stopped early after ${epoch} epochs: its ${what} (${shown}) was number ${rank} of the ${reached} trials of its seed that had come so far, and the best ${Math.ceil(reached / reduction)} go on.`;
}

/** Whether the sweep's record has a say in which of its trials go on. */
export function hasRules({ request }: Pick<SweepRecord, 'request'>): boolean {
  const { budget, earlyStopping } = request as Partial<SweepRequest>;
  return budget !== undefined || earlyStopping !== undefined;
}
