// How busy the machine is with other work, from /proc: a run that shared its cores measured the neighbours. Where there is no
// /proc nothing is known, and nothing is waited for.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The unit of /proc's CPU times, fixed for programs whatever the kernel counts in. */
const TICKS_PER_SECOND = 100;

/** Seconds of all cores since boot: busy with anything (idle and stolen time is neither), stolen by the host, and all. */
export function parseMachineTime(stat) {
  const [user, nice, system, idle, ioWait, irq, softIrq, stolen] = stat
    .split('\n')[0]
    .split(/\s+/)
    .slice(1, 9)
    .map(Number);
  const all = user + nice + system + idle + ioWait + irq + softIrq + stolen;
  return {
    busy: (all - idle - ioWait - stolen) / TICKS_PER_SECOND,
    stolen: stolen / TICKS_PER_SECOND,
    all: all / TICKS_PER_SECOND,
  };
}

/** CPU seconds of a process and of all children that have ended, out of /proc/PID/stat. */
export function parseOwnTime(stat) {
  // The program's name stands in brackets and may hold anything; the 12th to 15th number after it are times.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/);
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
}

/** Machine and own time now; undefined where there is no /proc. */
export function readTimes() {
  try {
    const machine = parseMachineTime(readFileSync('/proc/stat', 'utf8'));
    return { ...machine, own: parseOwnTime(readFileSync('/proc/self/stat', 'utf8')) };
  } catch {
    return undefined;
  }
}

/** Shares of all cores' time between two readings: what others used, and what the host kept for other guests. */
export function loadBetween(before, after) {
  const all = Math.max(after.all - before.all, 1e-9);
  const others = after.busy - before.busy - (after.own - before.own);
  return { foreign: Math.max(0, others) / all, stolen: (after.stolen - before.stolen) / all };
}

/** Waits until others use (or the host takes) less than `share` of the machine, at most `limitMs`; resolves to the last load seen. */
export async function waitUntilQuiet({ share, limitMs, windowMs = 2_000, signal }) {
  const end = performance.now() + limitMs;
  for (;;) {
    const before = readTimes();
    if (!before) return undefined;
    await sleep(windowMs, undefined, { signal });
    const { foreign, stolen } = loadBetween(before, readTimes());
    if (foreign + stolen < share || performance.now() > end) return foreign + stolen;
  }
}
