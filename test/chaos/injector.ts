// Does to the fleet what the schedule says, each fault at its time, and lets everything be well again at the end.
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FAULTS, type SeenRequest } from '../support/fault-proxy.js';
import { childrenOf as childProcessesOf, workingFolderOf } from '../support/processes.js';
import { type ChaosFleet, fakeTimeLibrary } from './chaos-fleet.js';
import type { Controls } from './controls.js';
import { type PlannedFault, randomOf } from './schedule.js';
import type { Supervised } from './supervisor.js';

/** An S3 server of today shows what was written; all else may happen to a request. */
const REQUEST_FAULTS = FAULTS.filter((fault) => fault !== 'stale' && fault !== 'silence');
const CLOCK_JUMPS_S = [-3_600, -300, -30, 30, 300, 3_600];
const SHARE_OF_REQUESTS = 0.25;

export class Injector {
  readonly done = new Map<string, number>();
  /** What could not be done or undone. */
  readonly failures: string[] = [];
  /** Deaths and freezes of workers and trainers: what may count against a bundle. */
  lethal = 0;
  private readonly running = new Set<Promise<void>>();
  private redis: Promise<void> = Promise.resolve();
  private readonly stores = new Set<symbol>();

  constructor(
    private readonly fleet: ChaosFleet,
    private readonly controls: Controls,
    private readonly say: (line: string) => void,
  ) {}

  async run(schedule: PlannedFault[], isOver: () => boolean): Promise<void> {
    const started = performance.now();
    for (const fault of schedule) {
      while (performance.now() - started < fault.atMs) {
        if (isOver()) return;
        await delay(Math.min(100, Math.max(0, fault.atMs - (performance.now() - started))));
      }
      if (isOver()) return;
      const what = this.inject(fault);
      const at = ((performance.now() - started) / 1000).toFixed(1);
      this.say(`  ${at.padStart(5)} s  ${fault.kind} ${what ?? '(nothing there)'}`);
      if (what) this.done.set(fault.kind, (this.done.get(fault.kind) ?? 0) + 1);
    }
  }

  /** All is well again when it resolves. */
  async heal(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running);
    this.fleet.proxy?.fail();
    for (const { name } of this.fleet.processes.values()) await this.fleet.setClock(name, 0);
  }

  /** Begins it; what it was done to, or undefined when there is nothing of that kind now. */
  private inject(fault: PlannedFault): string | undefined {
    const { fleet } = this;
    const { kind, target, ms, chance } = fault;
    const { workers } = fleet;
    const worker = workers[target % workers.length] as Supervised;
    if (kind === 'kill-worker') return this.end(worker, 'SIGKILL', ms);
    if (kind === 'stop-worker') return this.end(worker, 'SIGTERM', ms);
    if (kind === 'kill-api') return this.end(fleet.process('api'), chance < 0.7 ? 'SIGKILL' : 'SIGTERM', ms / 2);
    if (kind === 'kill-aggregator')
      return this.end(fleet.process('aggregator'), chance < 0.7 ? 'SIGKILL' : 'SIGTERM', ms);
    if (kind === 'kill-trainer' || kind === 'freeze-trainer') {
      const busy = workers.flatMap((one) => trainersOf(one).map((pid) => ({ pid, name: one.name })));
      const found = busy[target % busy.length];
      if (!found) return undefined;
      this.lethal += 1;
      if (kind === 'kill-trainer') tell(found.pid, 'SIGKILL');
      else this.freeze([found.pid], ms);
      return `of ${found.name}${kind === 'freeze-trainer' ? ` for ${ms} ms` : ''}`;
    }
    if (kind === 'freeze-worker') {
      if (!worker.isAlive) return undefined;
      this.lethal += 1;
      // Most often the whole machine; sometimes the worker alone, while its trainer goes on.
      const pids = [worker.child?.pid as number, ...(chance < 0.7 ? childrenOf(worker) : [])];
      this.freeze(pids, 1_500 + ms);
      return `${worker.name} for ${1_500 + ms} ms${chance < 0.7 ? ', trainers too' : ''}`;
    }
    if (kind.startsWith('redis-')) return this.disturbRedis(fault);
    if (kind.startsWith('store-')) return this.disturbStore(fault);
    if (kind === 'clock-jump') return this.jump(fault);
    return this.controls.begin(fault, (work) => this.keep(work));
  }

  private end(one: Supervised, signal: 'SIGKILL' | 'SIGTERM', ms: number): string | undefined {
    if (!one.end(signal, ms)) return undefined;
    if (signal === 'SIGKILL' && one.name.startsWith('worker')) this.lethal += 1;
    return `${one.name} by ${signal}`;
  }

  private freeze(pids: number[], ms: number): void {
    for (const pid of pids) tell(pid, 'SIGSTOP');
    this.keep(async () => {
      await delay(ms);
      for (const pid of pids) tell(pid, 'SIGCONT');
    });
  }

  /** One after another: each starts from a Redis that is there. */
  private disturbRedis({ kind, ms, chance }: PlannedFault): string {
    const { redis } = this.fleet;
    const work = async () => {
      if (kind === 'redis-wipe') await redis.command('FLUSHALL');
      else if (kind === 'redis-full') {
        await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
        await delay(ms);
        await redis.command('CONFIG', 'SET', 'maxmemory', '0');
      } else {
        await redis.stop(kind === 'redis-restart' ? 'SIGTERM' : 'SIGKILL');
        if (kind === 'redis-fresh')
          await rm(join(dirname(redis.socketPath), 'appendonlydir'), { recursive: true, force: true });
        await delay(chance * ms);
        await redis.start();
      }
    };
    this.redis = this.redis.then(work);
    this.keep(() => this.redis);
    return kind === 'redis-wipe'
      ? 'FLUSHALL'
      : kind === 'redis-full'
        ? `for ${ms} ms`
        : `gone for ${Math.round(chance * ms)} ms`;
  }

  private disturbStore({ kind, ms, target }: PlannedFault): string | undefined {
    const { proxy } = this.fleet;
    const mine = Symbol(kind);
    if (!proxy && kind !== 'store-gone') return undefined;
    const random = randomOf(target);
    const faulty = ({ url }: SeenRequest) => {
      if (random() >= SHARE_OF_REQUESTS) return undefined;
      // Slow as often as all else together.
      const fault = random() < 0.5 ? 'delay' : REQUEST_FAULTS[Math.floor(random() * REQUEST_FAULTS.length)];
      // Objects have hashes; of another name in a listing nobody but TLS could know.
      return fault === 'damaged' && url.includes('prefix=') ? undefined : fault;
    };
    if (kind === 'store-gone') proxy?.decide(() => 'reset');
    else if (kind === 'store-full')
      proxy?.decide(({ method }) => (method === 'PUT' || method === 'POST' ? 'full' : undefined));
    else proxy?.decide(faulty);
    this.stores.add(mine);
    this.keep(async () => {
      if (!proxy) await this.fleet.setStoreFolder(false);
      await delay(ms);
      this.stores.delete(mine);
      if (this.stores.size > 0) return;
      proxy?.fail();
      if (!proxy) await this.fleet.setStoreFolder(true);
    });
    return `for ${ms} ms`;
  }

  private jump({ target, ms, chance }: PlannedFault): string | undefined {
    if (!fakeTimeLibrary) return undefined;
    const all = [...this.fleet.processes.keys()];
    const name = all[target % all.length] as string;
    const seconds = CLOCK_JUMPS_S[Math.floor(chance * CLOCK_JUMPS_S.length)] as number;
    this.keep(async () => {
      await this.fleet.setClock(name, seconds);
      await delay(2 * ms);
      await this.fleet.setClock(name, 0);
    });
    return `of ${name} by ${seconds} s for ${2 * ms} ms`;
  }

  private keep(work: () => Promise<void>): void {
    const running = work()
      .catch((error: Error) => void this.failures.push(error.message))
      .finally(() => this.running.delete(running));
    this.running.add(running);
  }
}

function tell(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone meanwhile
  }
}

/** All processes below this one (Linux). */
export function childrenOf({ child, isAlive }: Supervised): number[] {
  return isAlive ? childProcessesOf(child?.pid) : [];
}

function trainersOf(worker: Supervised): number[] {
  return childrenOf(worker).filter((pid) => workingFolderOf(pid).includes('/work/'));
}
