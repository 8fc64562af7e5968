// Who gets the next free device. Every waiting job lies in a band of BullMQ's priorities, with jobs that are alike: same owner,
// pool, urgency, memory, labels, teacher, corpus, size. Which band comes next is decided when a worker asks (take-by-shares.ts),
// by what each owner has had of the pool's time, so that nothing has to be numbered anew when times turn out otherwise.
import type { Redis } from 'ioredis';
import type { FleetJob } from './fleet.js';

/** BullMQ's priorities go from 1 to 2,097,151. */
const BANDS = 2_097_151;
/** A band nobody has asked for in this long is forgotten; jobs that still wait in it are found all the same. */
const BANDS_SECONDS = 30 * 24 * 3600;
export const NORMAL_PRIORITY = 5;
/** What is no bundle (corpora, teachers to be made) goes with an owner's most urgent: his bundles may wait for it. */
export const OTHER_JOBS_PRIORITY = 9;

/** What an owner may have; from the settings, the same in every process. */
export interface OwnerShare {
  /** Twice the weight, twice the device time. */
  weight: number;
  /** Jobs at once; absent: any number. */
  running?: number;
  /** Trials waiting; absent: any number. */
  waiting?: number;
}

export type OwnerShares = Record<string, OwnerShare>;

/** The entry that counts for owners without one of their own. */
export const ANY_OWNER = '*';

export function shareOf(shares: OwnerShares | undefined, owner: string): OwnerShare {
  return shares?.[owner] ?? shares?.[ANY_OWNER] ?? { weight: 1 };
}

/** What a band is known by; its first two parts are the owner and the number of trials in each of its jobs. */
function bandOf(job: FleetJob): string {
  if (job.kind !== 'bundle') return JSON.stringify([job.owner, 0, job.kind, job.pool, job.memoryBytes, job.requires]);
  const { owner, trialIds, pool, priority, memoryBytes, requires, teacherId, corpusId } = job;
  return JSON.stringify([owner, trialIds.length, pool, priority, memoryBytes, requires, teacherId, corpusId]);
}

const NUMBER_BANDS = `
local numbers = {}
for index, band in ipairs(ARGV) do
  local number = redis.call('HGET', KEYS[1], band)
  if not number then
    number = redis.call('INCR', KEYS[2])
    redis.call('HSET', KEYS[1], band, number)
  end
  numbers[index] = tonumber(number)
end
redis.call('EXPIRE', KEYS[1], ${BANDS_SECONDS})
return numbers`;

/** The priority of each of these jobs in BullMQ. */
export async function prioritiesOf(redis: Redis, prefix: string, jobs: FleetJob[]): Promise<number[]> {
  const bands = jobs.map(bandOf);
  const distinct = [...new Set(bands)];
  const keys = [`${prefix}:bands`, `${prefix}:bands-made`];
  const numbers = (await redis.eval(NUMBER_BANDS, keys.length, ...keys, ...distinct)) as number[];
  const numberOf = new Map(distinct.map((band, index) => [band, numbers[index] as number]));
  return bands.map((band) => 1 + (((numberOf.get(band) as number) - 1) % BANDS));
}

/** How many trials of this owner wait. */
export async function waitingTrials(
  redis: Redis,
  prefix: string,
  prioritizedKey: string,
  owner: string,
): Promise<number> {
  const bands = Object.entries(await redis.hgetall(`${prefix}:bands`)).map(([band, number]) => {
    const [of, trials] = JSON.parse(band) as [string, number];
    return { of, trials, priority: 1 + ((Number(number) - 1) % BANDS) };
  });
  const own = bands.filter(({ of, trials }) => of === owner && trials > 0);
  const pipeline = redis.pipeline();
  for (const { priority } of own) pipeline.zcount(prioritizedKey, priority * 2 ** 32, `(${(priority + 1) * 2 ** 32}`);
  const counts = (await pipeline.exec()) ?? [];
  return own.reduce((sum, { trials }, index) => sum + trials * Number(counts[index]?.[1] ?? 0), 0);
}

export function sharesKey(prefix: string, pool: string): string {
  return `${prefix}:shares:${pool}`;
}

const CHARGE = `
redis.call('HINCRBYFLOAT', KEYS[1], ARGV[1], ARGV[2] / ARGV[3])
redis.call('EXPIRE', KEYS[1], ${BANDS_SECONDS})
if ARGV[4] == '1' then
  local before = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or ARGV[2])
  redis.call('HSET', KEYS[2], ARGV[1], string.format('%.6f', 0.7 * before + 0.3 * ARGV[2]))
  redis.call('EXPIRE', KEYS[2], ${BANDS_SECONDS})
end`;

/** Adds device time to what an owner has had, and, of a whole job, to how long his jobs are expected to take. */
export async function charge(
  redis: Redis,
  prefix: string,
  use: { pool: string; owner: string; seconds: number; weight: number; isWhole: boolean },
): Promise<void> {
  const { pool, owner, seconds, weight, isWhole } = use;
  const keys = [sharesKey(prefix, pool), `${prefix}:job-seconds`];
  await redis.eval(CHARGE, keys.length, ...keys, owner, seconds.toFixed(6), weight, isWhole ? '1' : '0');
}
