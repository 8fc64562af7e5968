// What is done to a fleet and when: a pure function of the seed, so that a failure can be repeated by its seed.

/** How often each kind comes, against the others. */
const WEIGHTS = {
  'kill-worker': 5,
  'stop-worker': 3,
  'kill-trainer': 5,
  'freeze-worker': 4,
  'freeze-trainer': 1,
  'kill-api': 2,
  'kill-aggregator': 2,
  'redis-restart': 2,
  'redis-kill': 2,
  'redis-wipe': 1,
  'redis-fresh': 1,
  'redis-full': 1,
  'store-gone': 2,
  'store-faulty': 3,
  'store-full': 1,
  'clock-jump': 3,
  'pause-resume': 3,
  'cancel-retry': 2,
  'cancel-sweep': 1,
} as const;

export type FaultKind = keyof typeof WEIGHTS;
export const FAULT_KINDS = Object.keys(WEIGHTS) as FaultKind[];

export interface PlannedFault {
  atMs: number;
  kind: FaultKind;
  /** Which of the things of that kind, to be taken modulo their number. */
  target: number;
  /** How long it lasts, or until what was ended is started again. */
  ms: number;
  /** What else is left to chance, in [0, 1). */
  chance: number;
}

/** A small generator of numbers in [0, 1) (mulberry32): the same on every machine. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Faults of `totalMs`; some come at once, some overlap. */
export function scheduleOf(seed: number, totalMs: number): PlannedFault[] {
  const random = randomOf(seed);
  const sum = Object.values(WEIGHTS).reduce((all, weight) => all + weight, 0);
  const faults: PlannedFault[] = [];
  const next = (from: number) => Math.round(from - 1_800 * Math.log(1 - random()));
  for (let atMs = next(2_000); atMs < totalMs; atMs = next(atMs)) {
    const kind = kindAt(random() * sum);
    const target = Math.floor(random() * 1_000);
    faults.push({ atMs, kind, target, ms: Math.round(500 + 5_000 * random()), chance: random() });
  }
  return faults;
}

function kindAt(place: number): FaultKind {
  let left = place;
  for (const kind of FAULT_KINDS) {
    left -= WEIGHTS[kind];
    if (left < 0) return kind;
  }
  return 'kill-worker';
}
