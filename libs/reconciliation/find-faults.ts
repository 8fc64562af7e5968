// Looks through the whole record and the queue for what does not fit, from the record alone: events and memory play no part.
// Finding changes nothing; each fault brings its own mending, which may be run twice and at the same time as another's.
import type { PreparationRecord, SweepRecord } from '#experiment';
import { type BundleJob, bundleJobs, jobIdOf, preparationJob, type RedisFleet } from '#queue';
import {
  findJson,
  getJson,
  hasTrialEnded,
  isOpenTrial,
  keys,
  listFolders,
  ObjectCorrupt,
  type ObjectStore,
  preparationOfBundle,
  putJsonIfAbsent,
  readTrialState,
  sweepStateOf,
  type TrialState,
} from '#storage';
import { LEASE_MS, missingBundleJobs } from './missing-jobs.js';

export interface Place {
  store: ObjectStore;
  fleet: RedisFleet;
}

export interface FleetFault {
  kind:
    | 'missing-job'
    | 'unsettled-sweep'
    | 'unmarked-trial'
    | 'idle-job'
    | 'lost-job'
    | 'leftover-checkpoint'
    | 'stuck-lease'
    | 'damaged-record';
  /** Id of what it is about. */
  subject: string;
  /** What is wrong, in one sentence. */
  message: string;
  /** Absent where it takes a person. */
  mend?(): Promise<void>;
}

const READS_AT_ONCE = 16;
const JOBS_LOOKED_AT = 100_000;

/** Every fault there is, one after another. Throws FleetUnavailable or StoreUnavailable when it cannot look. */
export async function* findFaults(place: Place): AsyncGenerator<FleetFault> {
  const states = new TrialStates(place.store);
  const open: SweepRecord[] = [];
  for await (const { id, sizes } of listFolders(place.store, keys.sweeps())) {
    const state = sweepStateOf(new Set(sizes.keys()));
    if (state.isSettled || !state.exists) continue;
    try {
      const sweep = await getJson<SweepRecord>(place.store, keys.sweep(id, state.version));
      if (!state.isCancelled) open.push(sweep);
      yield* faultsOfSweep(place, sweep, state, states);
    } catch (error) {
      if (!(error instanceof ObjectCorrupt)) throw error;
      yield { kind: 'damaged-record', subject: id, message: `${error.message}; put it back from a backup.` };
    }
  }
  yield* unmarkedTrials(place, open, states);
  yield* missingPreparations(place);
  yield* faultsOfJobs(place, states);
  yield* leftoverCheckpoints(place, states, open);
  for (const name of await place.fleet.stuckLeases(LEASE_MS)) {
    const message = `The lease ${name} would never end in time; its holder is gone.`;
    yield { kind: 'stuck-lease', subject: name, message, mend: () => place.fleet.dropLease(name) };
  }
}

async function* faultsOfSweep(
  { fleet }: Place,
  sweep: SweepRecord,
  { isCancelled }: { isCancelled: boolean },
  states: TrialStates,
): AsyncGenerator<FleetFault> {
  const trialIds = sweep.trials.map(({ trialId }) => trialId);
  const found = await states.of(trialIds);
  const subject = sweep.sweepId;
  const [any = ''] = trialIds;
  if (isCancelled || trialIds.every((trialId) => hasTrialEnded(found.get(trialId) as TrialState, sweep))) {
    yield {
      kind: 'unsettled-sweep',
      subject,
      message: `Sweep ${subject} is over and not settled; the aggregator is told.`,
      // It alone builds reports; it looks at the sweeps of a trial that is said to have ended.
      mend: () => fleet.publish({ type: 'trial-ended', trialId: any, status: 'completed' }),
    };
    return;
  }
  const jobs = bundleJobs(sweep, (trialId) => isOpenTrial(found.get(trialId) as TrialState, sweep));
  for (const job of await missingBundleJobs(fleet, jobs)) {
    const message = `Bundle ${job.bundleId} of sweep ${subject} has ${job.trialIds.length} open trials and no job.`;
    yield { kind: 'missing-job', subject: job.bundleId, message, mend: () => fleet.enqueue([job]) };
  }
}

/** A pause that broke off between its sweep and its trials. */
async function* unmarkedTrials({ store }: Place, open: SweepRecord[], states: TrialStates): AsyncGenerator<FleetFault> {
  const paused = new Set<string>();
  for (const { sweepId } of open) if (await store.head(keys.sweepPaused(sweepId))) paused.add(sweepId);
  const running = open.filter(({ sweepId }) => !paused.has(sweepId));
  const wanted = new Set(running.flatMap((sweep) => sweep.trials.map(({ trialId }) => trialId)));
  for (const sweep of open) {
    if (!paused.has(sweep.sweepId)) continue;
    const own = sweep.trials.map(({ trialId }) => trialId).filter((trialId) => !wanted.has(trialId));
    for (const [trialId, state] of await states.of(own)) {
      if (!isOpenTrial(state, sweep)) continue;
      const message = `Trial ${trialId} goes on although its sweep ${sweep.sweepId} is paused.`;
      const note = { pausedAt: new Date().toISOString() };
      const mend = async () => void (await putJsonIfAbsent(store, keys.trialPaused(trialId), note));
      yield { kind: 'unmarked-trial', subject: trialId, message, mend };
    }
  }
}

async function* missingPreparations({ store, fleet }: Place): AsyncGenerator<FleetFault> {
  for await (const { id: preparationId, sizes } of listFolders(store, keys.preparations())) {
    if (!sizes.has('preparation.json') || sizes.has('result.json')) continue;
    const job = preparationJob(await getJson<PreparationRecord>(store, keys.preparation(preparationId)));
    if ((await fleet.known([job])).size > 0) continue;
    if ((await fleet.livePreparations([preparationId])).size > 0) continue;
    const message = `Preparation ${preparationId} has neither a result nor a job.`;
    yield { kind: 'missing-job', subject: preparationId, message, mend: () => fleet.enqueue([job]) };
  }
}

/** Jobs of what is over (an old backup of Redis), and jobs that nobody holds. */
async function* faultsOfJobs({ fleet }: Place, states: TrialStates): AsyncGenerator<FleetFault> {
  const { waiting, unheld } = await fleet.heldJobs(JOBS_LOOKED_AT);
  for (const job of waiting) {
    if (job.kind !== 'bundle' || !(await isIdle(job, states))) continue;
    const message = `Job ${jobIdOf(job)} waits, and none of its trials is to be trained.`;
    yield { kind: 'idle-job', subject: jobIdOf(job), message, mend: () => fleet.withdraw([job]) };
  }
  for (const job of unheld) {
    const mend = async () => {
      await fleet.withdraw([job]); // does nothing when a worker has it after all
      if (job.kind !== 'bundle' || !(await isIdle(job, states))) await fleet.enqueue([job]);
    };
    const message = `Job ${jobIdOf(job)} counts as running, and no worker holds it.`;
    yield { kind: 'lost-job', subject: jobIdOf(job), message, mend };
  }
}

async function isIdle(job: BundleJob, states: TrialStates): Promise<boolean> {
  const found = await states.of(job.trialIds);
  return job.trialIds.every((trialId) => !isOpenTrial(found.get(trialId) as TrialState, job));
}

/** Checkpoints of trials that have all ended; a worker that was lost, or a cancel while nobody worked, leaves them. */
async function* leftoverCheckpoints(
  { store }: Place,
  states: TrialStates,
  open: readonly SweepRecord[],
): AsyncGenerator<FleetFault> {
  for await (const { id: bundleId, sizes } of listFolders(store, keys.bundles())) {
    const fences = [...sizes.keys()].flatMap((name) => /^attempts\/([^/]+)\/checkpoint\.json$/.exec(name)?.[1] ?? []);
    const trialIds = new Set<string>();
    for (const fence of fences) {
      const pointer = await findJson<{ manifest?: { trialIds?: string[] } }>(
        store,
        keys.bundleCheckpoint(bundleId, fence),
      );
      for (const trialId of pointer?.manifest?.trialIds ?? []) trialIds.add(trialId);
    }
    // Without a pointer it may be one that is just being written.
    if (trialIds.size === 0) continue;
    const preparationId = preparationOfBundle(bundleId);
    if (
      preparationId
        ? !(await store.head(keys.preparationResult(preparationId)))
        : !(await haveEnded(states, [...trialIds], open))
    )
      continue;
    const what = preparationId ? 'the teacher it was for is done' : 'all its trials have ended';
    const message = `Bundle ${bundleId} has checkpoints, and ${what}.`;
    const mend = async () => {
      for (const fence of fences) await store.delete(keys.bundleCheckpoint(bundleId, fence));
      for (const name of sizes.keys()) await store.delete(`${keys.bundle(bundleId)}${name}`);
    };
    yield { kind: 'leftover-checkpoint', subject: bundleId, message, mend };
  }
}

/** Ended for everybody, or pruned by some sweep while no open one waits for it. */
async function haveEnded(states: TrialStates, trialIds: string[], open: readonly SweepRecord[]): Promise<boolean> {
  for (const [trialId, state] of await states.of(trialIds)) {
    if (hasTrialEnded(state)) continue;
    const asking = open.filter((sweep) => sweep.trials.some((trial) => trial.trialId === trialId));
    if (state.prunedIn.length === 0 || asking.some((sweep) => !hasTrialEnded(state, sweep))) return false;
  }
  return true;
}

/** States of trials, each read once in one search. */
class TrialStates {
  private readonly known = new Map<string, TrialState>();

  constructor(private readonly store: ObjectStore) {}

  async of(trialIds: string[]): Promise<Map<string, TrialState>> {
    const wanted = trialIds.filter((trialId) => !this.known.has(trialId));
    for (let start = 0; start < wanted.length; start += READS_AT_ONCE) {
      const some = wanted.slice(start, start + READS_AT_ONCE);
      const found = await Promise.all(some.map((trialId) => readTrialState(this.store, trialId)));
      for (const [index, trialId] of some.entries()) this.known.set(trialId, found[index] as TrialState);
    }
    return new Map(trialIds.map((trialId) => [trialId, this.known.get(trialId) as TrialState]));
  }
}
