// What a sweep's record says of which of its trials go on: its budget before a bundle is begun, its early stopping at each rung.
// Values and decisions are written once; whoever decides the same again finds what was decided.
import {
  budgetOf,
  decideAtRung,
  type EarlyStopping,
  isSpared,
  type RungDecision,
  type RungValue,
  readOverspending,
  rungEpochs,
  type SweepRecord,
  type SweepRequest,
  type TrialResult,
  type TrialSpec,
  unaffordable,
} from '#experiment';
import {
  findJson,
  getJson,
  keys,
  listPages,
  type ObjectStore,
  putJsonIfAbsent,
  type Rung,
  readSweepState,
  spendingReader,
} from '#storage';
import type { TrainerJob } from './trainer-protocol.js';

const READS_AT_ONCE = 16;

/** Results of the sweep whose bundles this worker takes one after another. */
let remembered = { sweepId: '', results: new Map<string, TrialResult>() };

function resultsOf(sweepId: string): Map<string, TrialResult> {
  if (remembered.sweepId !== sweepId) remembered = { sweepId, results: new Map() };
  return remembered.results;
}

export class SweepRules {
  private readonly stopping: EarlyStopping | undefined;
  private readonly seeds = new Map<string, number>();

  private constructor(
    private readonly store: ObjectStore,
    private readonly sweep: SweepRecord,
  ) {
    this.stopping = (sweep.request as Partial<SweepRequest>).earlyStopping;
  }

  /** Those of the sweep in its newest version. */
  static async read(store: ObjectStore, sweepId: string): Promise<SweepRules | undefined> {
    const { exists, version } = await readSweepState(store, sweepId);
    return exists ? new SweepRules(store, await getJson<SweepRecord>(store, keys.sweep(sweepId, version))) : undefined;
  }

  /** Prunes these open trials of a bundle that nobody has begun where the budget is spent; gives those that were. */
  async pruneUnaffordable(bundleId: string, trialIds: string[]): Promise<string[]> {
    const { store, sweep } = this;
    if (budgetOf(sweep) === undefined || trialIds.length === 0) return [];
    const reader = spendingReader<TrialResult>(store, sweep);
    if ((await reader.bundle(bundleId)).hasBegun) return [];
    const over = await readOverspending(sweep, reader, resultsOf(sweep.sweepId));
    if (!over) return [];
    for (const trialId of trialIds)
      await putJsonIfAbsent(store, keys.trialPruned(trialId, sweep.sweepId), unaffordable(sweep, trialId, over.spent));
    return trialIds;
  }

  /** At which epochs which of these trials are held against others; undefined: at none. */
  rungsOf(trials: readonly { trialId: string; spec: TrialSpec }[]): Extract<TrainerJob, { kind: 'bundle' }>['rungs'] {
    const { stopping, sweep } = this;
    const [first] = trials;
    if (!stopping || !first) return undefined;
    const roles = new Map(sweep.trials.map(({ trialId, role }) => [trialId, role]));
    const { baseline = false, reference = false } = sweep.request as Partial<SweepRequest>;
    const climbing = trials.filter(({ trialId, spec: { hyperparameters } }) => {
      const role = roles.get(trialId);
      return role !== undefined && !isSpared({ baseline, reference }, { role, hyperparameters });
    });
    for (const { trialId, spec } of climbing) this.seeds.set(trialId, spec.hyperparameters.seed);
    const epochs = rungEpochs(stopping, first.spec.hyperparameters.epochs);
    if (climbing.length === 0 || epochs.length === 0) return undefined;
    return { measure: stopping.measure, epochs, trialIds: climbing.map(({ trialId }) => trialId) };
  }

  /** Decides of trials that have reached a rung together: first all their values are there, then each is held against all. */
  async decide(epoch: number, values: Record<string, number | null>): Promise<RungDecision[]> {
    const { stopping, store } = this;
    if (!stopping) return [];
    const arrived = Object.entries(values).map(([trialId, value]): [Rung, RungValue] => [
      { sweepId: this.sweep.sweepId, seed: this.seedOf(trialId), epoch },
      { trialId, measure: stopping.measure, epoch, value },
    ]);
    for (const [rung, value] of arrived) await putJsonIfAbsent(store, keys.rungValue(rung, value.trialId), value);
    const reached = new Map<number, RungValue[]>();
    const decisions: RungDecision[] = [];
    for (const [rung, { trialId }] of arrived) {
      const key = keys.rungDecision(rung, trialId);
      const standing = await findJson<RungDecision>(store, key);
      if (!standing) {
        const all = reached.get(rung.seed) ?? (await this.valuesAt(rung));
        reached.set(rung.seed, all);
        const own = all.find((value) => value.trialId === trialId);
        if (!own) throw new Error(`the value of trial ${trialId} after ${epoch} epochs is missing from the record`);
        await putJsonIfAbsent(store, key, decideAtRung(own, all, stopping));
      }
      decisions.push(standing ?? (await getJson<RungDecision>(store, key)));
    }
    return decisions;
  }

  get earlyStopping(): EarlyStopping | undefined {
    return this.stopping;
  }

  private seedOf(trialId: string): number {
    const seed = this.seeds.get(trialId);
    if (seed === undefined) throw new Error(`trial ${trialId} came to a rung that it does not climb`);
    return seed;
  }

  private async valuesAt(rung: Rung): Promise<RungValue[]> {
    const values: RungValue[] = [];
    for await (const objects of listPages(this.store, keys.rungValues(rung))) {
      for (let at = 0; at < objects.length; at += READS_AT_ONCE) {
        const some = objects.slice(at, at + READS_AT_ONCE);
        values.push(...(await Promise.all(some.map(({ key }) => getJson<RungValue>(this.store, key)))));
      }
    }
    return values;
  }
}
