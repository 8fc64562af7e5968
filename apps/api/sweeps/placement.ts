// Where a sweep's bundles may run: what is asked for, what it takes of memory, and what the workers there are lack for it.
import {
  bundleMemoryBytes,
  type CorpusRecord,
  DEFAULT_POOL,
  type LiveWorker,
  type Placement,
  type PlannedTrial,
  type SweepRequest,
  type TeacherRecord,
} from '#experiment';

/** What is kept in the sweep's record for its bundles. */
export function placementOf(
  { priority, pool, requires }: SweepRequest,
  bundles: readonly string[][],
  { trials, teacher, corpus }: { trials: readonly PlannedTrial[]; teacher: TeacherRecord; corpus: CorpusRecord },
): Placement {
  const specs = new Map(trials.map(({ trialId, spec }) => [trialId, spec]));
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(pool === undefined ? {} : { pool }),
    ...(requires === undefined ? {} : { requires }),
    memoryBytes: bundles.map((bundle) => {
      const spec = specs.get(bundle[0] ?? '');
      return spec ? bundleMemoryBytes(spec.hyperparameters, bundle.length, teacher, corpus) : 0;
    }),
  };
}

/** What these workers lack for the bundles that still wait, in sentences; none when they lack nothing. */
export function lackOf(
  placement: Placement,
  waiting: readonly boolean[],
  workers: readonly LiveWorker[],
  what: 'bundles' | 'jobs' = 'bundles',
): string[] {
  const { pool = DEFAULT_POOL, requires = [], memoryBytes } = placement;
  const needs = memoryBytes.filter((_, index) => waiting[index]);
  if (needs.length === 0) return [];
  const ofPool = workers.filter((worker) => (worker.pool ?? DEFAULT_POOL) === pool && worker.state !== 'draining');
  if (ofPool.length === 0) return [`No worker of pool '${pool}' is there; the ${what} wait for one.`];
  const labelled = ofPool.filter(({ labels = [] }) => requires.every((label) => labels.includes(label)));
  if (labelled.length === 0)
    return [`No worker of pool '${pool}' has the labels ${requires.join(', ')}; the ${what} wait for one.`];
  const most = Math.max(...labelled.map((worker) => worker.memoryBytes ?? Number.POSITIVE_INFINITY));
  const tooLarge = needs.filter((bytes) => bytes > most);
  if (tooLarge.length === 0) return [];
  const largest = gigabytes(Math.max(...tooLarge));
  return [
    `${tooLarge.length} of ${needs.length} waiting ${what} need up to ${largest} of memory, and the largest worker for them has ${gigabytes(most)}; they wait for a larger one. Smaller batches${what === 'bundles' ? ' or fewer trials in a bundle' : ''} need less.`,
  ];
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
