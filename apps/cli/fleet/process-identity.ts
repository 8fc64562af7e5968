// Which process is meant: a pid alone may have been given to another program since, pid and start time together may not.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  name: string;
  processId: number;
  /** Opaque: clock ticks since boot on Linux, a date elsewhere. */
  processStart: string;
}

/** When the process started, or undefined when there is none (a zombie counts as none). */
export function processStart(processId: number): string | undefined {
  if (process.platform === 'linux') return linuxProcessStart(processId);
  try {
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(processId)], { encoding: 'utf8' }).trim();
    return text || undefined;
  } catch {
    return undefined;
  }
}

function linuxProcessStart(processId: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${processId}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may hold spaces: count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

export function identify(name: string, processId: number): ProcessIdentity | undefined {
  const start = processStart(processId);
  return start === undefined ? undefined : { name, processId, processStart: start };
}

export function isRunning(identity: ProcessIdentity): boolean {
  return processStart(identity.processId) === identity.processStart;
}

/** Signals a process group (of a process started as its leader), or the process alone; nothing happens if it is gone. */
export function signalGroup(processId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-processId, signal);
  } catch {
    try {
      process.kill(processId, signal);
    } catch {
      // gone already
    }
  }
}
