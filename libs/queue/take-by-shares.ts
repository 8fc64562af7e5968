// The Worker's side of fair shares: BullMQ's own script that makes a job active, with a choice before it. Both run as one
// script, so what was chosen is what is taken, and nobody can come between. The choice looks at one job a band (shares.ts):
// a few hundred at most, however many thousands wait. docs/decisions/0007 says why it is done here.
import { type Job, type Processor, Worker, type WorkerOptions } from 'bullmq';
import type { FleetJob } from './fleet.js';
import { NORMAL_PRIORITY, OTHER_JOBS_PRIORITY, type OwnerShares } from './shares.js';

/** What decides whether a job is for this worker. */
export interface Taker {
  pool: string;
  labels: string[];
  /** What a training may hold here. */
  memoryBytes: number;
  /** Ids of teachers and corpora that lie in its cache. */
  holds: string[];
}

/** Waits so long before asking again when jobs wait of which none is for this worker. */
const NOTHING_FITS_MS = 1_000;
/** How long a job counts in advance whose owner has finished none yet. */
const EXPECTED_SECONDS = 60;
/** A job with what this worker holds may go before at most so many of the same owner and urgency that came earlier. */
const PLACES_OUT_OF_TURN = 4;

/**
 * KEYS and the first three arguments are those of BullMQ's moveToActive; ARGV[4] is the taker, ARGV[5] the fleet's prefix,
 * ARGV[6] the shares of owners. Leaves the chosen job as the next one of the wait list, or returns that there is none.
 *
 * An owner's time is what his jobs have used, and what those under way are expected to use at least. 'now' is the time of
 * whoever was last served: nobody starts below it, so having been away is not saved up. Whoever is furthest behind is next.
 */
const CHOOSE = `
do
  local taker = cjson.decode(ARGV[4])
  local fleet = ARGV[5]
  local owners = cjson.decode(ARGV[6])
  local jobs = ARGV[1]
  local now = tonumber(ARGV[2])
  local BAND = 4294967296
  local shares = fleet .. ':shares:' .. taker.pool

  local function read(id)
    local found = redis.call('HMGET', jobs .. id, 'data', 'processedOn')
    if not found[1] then return nil end
    local job = cjson.decode(found[1])
    job.pool = job.pool or 'default'
    job.startedAt = tonumber(found[2] or now)
    if job.kind ~= 'bundle' then job.priority = ${OTHER_JOBS_PRIORITY} end
    job.priority = job.priority or ${NORMAL_PRIORITY}
    return job
  end
  local function shareOf(owner) return owners[owner] or owners['*'] or { weight = 1 } end

  -- What is due again, and what came back from a lost worker, stands first in its band.
  local back = redis.call('ZRANGEBYSCORE', KEYS[7], 0, (now + 1) * 0x1000 - 1, 'LIMIT', 0, 1000)
  for _, id in ipairs(back) do
    redis.call('ZREM', KEYS[7], id)
    redis.call('HSET', jobs .. id, 'delay', 0)
  end
  for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do back[#back + 1] = id end
  redis.call('DEL', KEYS[1])
  for _, id in ipairs(back) do
    local priority = math.max(1, tonumber(redis.call('HGET', jobs .. id, 'priority') or 1))
    redis.call('ZADD', KEYS[3], priority * BAND, id)
  end

  -- What runs: how many jobs of each owner, and the time they take of this pool.
  local running, used = {}, {}
  local expected = {}
  local function expectedOf(owner)
    expected[owner] = expected[owner]
      or tonumber(redis.call('HGET', fleet .. ':job-seconds', owner) or ${EXPECTED_SECONDS})
    return expected[owner]
  end
  for _, id in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    local job = read(id)
    if job then
      running[job.owner] = (running[job.owner] or 0) + 1
      if job.pool == taker.pool then
        local seconds = math.max((now - job.startedAt) / 1000, expectedOf(job.owner))
        used[job.owner] = (used[job.owner] or 0) + seconds / shareOf(job.owner).weight
      end
    end
  end

  local labels, holds = {}, {}
  for _, label in ipairs(taker.labels) do labels[label] = true end
  for _, id in ipairs(taker.holds) do holds[id] = true end
  local function fits(job)
    if job.pool ~= taker.pool or (job.memoryBytes or 0) > taker.memoryBytes then return false end
    for _, label in ipairs(job.requires or {}) do
      if not labels[label] then return false end
    end
    local most = shareOf(job.owner).running
    return not most or (running[job.owner] or 0) < most
  end

  local clock = tonumber(redis.call('HGET', shares, '') or 0)
  local times = {}
  local function timeOf(owner)
    if not times[owner] then
      local own = tonumber(redis.call('HGET', shares, owner) or 0) + (used[owner] or 0)
      times[owner] = { own = own, start = math.max(own, clock) }
    end
    return times[owner]
  end

  -- The first job of every band, and the best of them for each owner, then the owner.
  local firsts, candidates = {}, {}
  local from = '-inf'
  while true do
    local found = redis.call('ZRANGEBYSCORE', KEYS[3], from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if #found == 0 then break end
    local id, score = found[1], tonumber(found[2])
    local band = math.floor(score / BAND)
    local job = read(id)
    if not job then
      redis.call('ZREM', KEYS[3], id)
    else
      from = string.format('%.0f', (band + 1) * BAND)
      if fits(job) then
        candidates[#candidates + 1] = {
          id = id, owner = job.owner, priority = job.priority, turn = score - band * BAND,
          held = (holds[job.teacherId or ''] and 1 or 0) + (holds[job.corpusId or ''] and 1 or 0),
        }
      end
    end
  end
  local function isBefore(a, b)
    if not b then return true end
    if a.owner ~= b.owner then
      local x, y = timeOf(a.owner), timeOf(b.owner)
      if x.start ~= y.start then return x.start < y.start end
      if x.own ~= y.own then return x.own < y.own end
      return a.owner < b.owner
    end
    if a.priority ~= b.priority then return a.priority > b.priority end
    return a.turn < b.turn
  end
  local best
  for _, candidate in ipairs(candidates) do
    if isBefore(candidate, best) then best = candidate end
  end
  if best then
    local first = best
    for _, other in ipairs(candidates) do
      if other.owner == first.owner and other.priority == first.priority and other.held > best.held
        and other.turn - first.turn <= ${PLACES_OUT_OF_TURN} then best = other end
    end
  end

  if not best then
    local due = redis.call('ZRANGE', KEYS[7], 0, 0, 'WITHSCORES')
    local isWaiting = redis.call('ZCARD', KEYS[3]) > 0
    -- Somebody else may be able to.
    if isWaiting then redis.call('ZADD', KEYS[11], 0, '0') end
    return { 0, 0, 0, due[2] and tonumber(due[2]) / 0x1000 or 0, isWaiting and 1 or 0 }
  end
  local start = timeOf(best.owner)
  if start.start > start.own then
    redis.call('HINCRBYFLOAT', shares, best.owner, string.format('%.6f', start.start - start.own))
  end
  redis.call('HSET', shares, '', string.format('%.6f', start.start))
  redis.call('ZREM', KEYS[3], best.id)
  redis.call('RPUSH', KEYS[1], best.id)
end
`;

/** What of ioredis is behind BullMQ's client: the text of the scripts it has loaded. */
interface ScriptedClient {
  scriptsSet: Record<string, { lua: string }>;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  takeByShares?: unknown;
  runCommand(name: string, args: unknown[]): Promise<unknown[]>;
}

const KEYS_OF_MOVE_TO_ACTIVE = 11;

export interface Choice {
  prefix: string;
  taker(): Taker;
  owners: OwnerShares;
}

/** A Worker that takes by shares. After each job it asks anew, for BullMQ's other ways to the next one know no shares. */
export class SharingWorker extends Worker<FleetJob> {
  private doze?: { timer: NodeJS.Timeout; end: () => void };

  constructor(name: string, process: Processor<FleetJob>, options: WorkerOptions, choice: Choice) {
    super(name, process, { ...options, autorun: false });
    const backend = this.getBackend();
    const asBefore = backend.execCommand.bind(backend);
    backend.execCommand = (client, command, args) =>
      command === 'moveToActive'
        ? this.takeByShares(client as unknown as ScriptedClient, args, choice)
        : asBefore(client, command, args);
    this.run().catch((error: Error) => this.emit('error', error));
  }

  override processJob(job: Job<FleetJob>, token: string) {
    return super.processJob(job, token, () => false);
  }

  override close(force?: boolean): Promise<void> {
    clearTimeout(this.doze?.timer);
    this.doze?.end();
    return super.close(force);
  }

  private async takeByShares(client: ScriptedClient, args: unknown[], choice: Choice): Promise<unknown[]> {
    if (client.takeByShares === undefined) {
      const name = Object.keys(client.scriptsSet).find((known) => known.startsWith('moveToActive:'));
      if (!name) throw new Error('this version of BullMQ has no script moveToActive; jobs cannot be shared out');
      const lua = `${CHOOSE}\n${client.scriptsSet[name]?.lua}`;
      client.defineCommand('takeByShares', { numberOfKeys: KEYS_OF_MOVE_TO_ACTIVE, lua });
    }
    const more = [JSON.stringify(choice.taker()), choice.prefix, JSON.stringify(choice.owners)];
    const answer = await client.runCommand('takeByShares', [...args, ...more]);
    const isNothingForUs = answer[4] === 1;
    if (isNothingForUs && !this.closing)
      await new Promise<void>((end) => {
        this.doze = { timer: setTimeout(end, NOTHING_FITS_MS), end };
      });
    return answer;
  }
}
