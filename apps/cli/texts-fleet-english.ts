// The words of the commands that steer trials, sweeps and workers, in English.

export const fleetEnglish = {
  controlled: (
    action: 'cancel' | 'pause' | 'resume' | 'retry',
    kind: 'sweep' | 'trial' | 'analysis',
    id: string,
    state: string,
  ) => {
    const done = { cancel: 'cancelled', pause: 'paused', resume: 'resumed', retry: 'tried again' }[action];
    return `${kind} ${id} is ${done} (now: ${state})`;
  },
  neitherToControl: (id: string) => `there is no sweep, trial or analysis ${id}`,
  extended: (facts: { id: string; version: number; trials: number; reused: number }) =>
    `sweep ${facts.id} is now version ${facts.version}: ${facts.trials} trials, ${facts.reused} of them done before`,
  notExtended: (id: string) => `sweep ${id} has all of that already; nothing was changed`,
  sweepIsPaused: (id: string, command: string) => `sweep ${id} is paused; '${command} resume ${id}' lets it go on`,
  draining: (id: string) => `worker ${id} gives its job back and ends`,
  workerDrained: (name: string) => `${name} was drained and has ended; it is not started again`,

  workerEnded: (how: string) => `the worker ended with ${how}`,
  columnPool: 'pool',
  columnLabels: 'labels',
  columnDevice: 'device',
  columnMemory: 'memory',
  columnHeartbeat: 'heard of',
  waitsFor: (sentence: string) => `waits: ${sentence}`,

  helpWorker: 'run a worker in this terminal, with the settings of the environment',
  helpWorkerPool: 'take only what is meant for this pool (default: SEMDISTILL_WORKER_POOL)',
  helpWorkerLabels: 'what it has that a sweep may require (default: SEMDISTILL_WORKER_LABELS)',
  helpWorkerName: 'its name in lists (default: SEMDISTILL_WORKER_NAME, else the host)',

  mended: 'mended:',
  wouldMend: 'found:',
  notMended: 'not mended:',
  repairs: (found: number, isDryRun: boolean) =>
    found === 0 ? 'record and queue agree' : `${found} found${isDryRun ? '; nothing was changed' : ''}`,

  helpRepair: 'mend what the record and the queue disagree about (the aggregator does it too)',
  helpRepairDryRun: 'only show it',
  helpCancel: 'cancel a sweep or a trial',
  helpPause: 'pause a sweep or a trial; what runs stops with a checkpoint',
  helpResume: 'let a paused sweep or trial go on from its checkpoint',
  helpRetry: 'train failed and cancelled trials once more, of a sweep or one',
  helpExtend: 'add seeds (--seeds 2 for two more) or values (--temperature 12,16) to a sweep',
  helpControlId: 'id of a sweep or a trial',
  helpWorkersCommand: 'workers of the fleet, what they are and what they do',
  helpWorkersList: 'list workers',
  helpDrain: 'let a worker give its job back and end',
  helpWorkerId: 'id of the worker',
};
