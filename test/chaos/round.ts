// One round: a fresh fleet, two sweeps that must come through and one that may be cancelled, faults for a while, then all is
// well, and everything that must hold is looked at.
import { setTimeout as delay } from 'node:timers/promises';
import { processesNaming } from '../support/processes.js';
import { filesOf } from '../support/real-fleet.js';
import { ChaosFleet } from './chaos-fleet.js';
import { Controls } from './controls.js';
import { Injector } from './injector.js';
import { faultsAtRest, faultsOfSweep, type Reference, resultsOf } from './invariants.js';
import { Client, type ShownSweep, type SweepName } from './requests.js';
import { type PlannedFault, scheduleOf } from './schedule.js';
import { Watcher } from './watcher.js';

/** How long it may take from when all is well until everything has ended. */
const SETTLE_MS = 180_000;
/** The aggregator clears up rarely; until then this is left. */
const REST_MS = 60_000;
/** How a trial fails that was hit again and again at one step. */
const TOO_OFTEN = /attempts in a row|times in a row/;

export interface Outcome {
  faults: string[];
  injected: Map<string, number>;
  answers: Map<string, number>;
  /** Trials that the fleet gave up, rightly, and that were tried again. */
  givenUp: string[];
  logs: string;
}

export async function referenceOf(fleet: ChaosFleet, say: (line: string) => void): Promise<Reference> {
  const reference: Reference = new Map();
  const outcome = await round(fleet, { name: 'undisturbed', schedule: [], reference, say });
  if (outcome.faults.length > 0) throw new Error(`already undisturbed: ${outcome.faults.join('\n')}\n${outcome.logs}`);
  return reference;
}

export function disturbed(
  fleet: ChaosFleet,
  options: { seed: number; seconds: number; reference: Reference; say: (line: string) => void },
): Promise<Outcome> {
  const { seed, seconds, reference, say } = options;
  return round(fleet, { name: `seed-${seed}`, schedule: scheduleOf(seed, seconds * 1000), reference, say });
}

interface Options {
  name: string;
  schedule: PlannedFault[];
  /** Filled by a round without faults. */
  reference: Reference;
  say: (line: string) => void;
}

async function round(fleet: ChaosFleet, { name, schedule, reference, say }: Options): Promise<Outcome> {
  await fleet.begin();
  const client = new Client(fleet.url, fleet.config.apiKey);
  const watcher = new Watcher(fleet, client);
  const controls = new Controls(client, watcher, name);
  const injector = new Injector(fleet, controls, say);
  const faults: string[] = [];
  let givenUp: string[] = [];
  try {
    await client.patiently('GET', '/v1/version');
    const submitted = Promise.all((['left', 'right', 'doomed'] as const).map((one) => controls.submit(one)));
    watcher.start();
    await submitted;
    await injector.run(schedule, () => watcher.hasAllSettled);
    await injector.heal();
    say(`  all is well again; injected: ${JSON.stringify(Object.fromEntries(injector.done))}`);
    givenUp = await untilSettled(controls, injector, faults);
    if (schedule.length === 0)
      for (const sweepId of controls.sweepIds.values())
        for (const [trialId, result] of await resultsOf(fleet, sweepId)) reference.set(trialId, filesOf(result));
    for (const sweepId of controls.sweepIds.values()) faults.push(...(await faultsOfSweep(fleet, sweepId, reference)));
    faults.push(...(await untilAtRest(fleet)));
  } catch (error) {
    faults.push(String((error as Error).stack));
  }
  await watcher.stop();
  const codes = await fleet.stop();
  for (const [process, code] of codes) if (code !== 0) faults.push(`${process} told to go ended with ${code}`);
  const left = processesNaming(fleet.folder);
  if (left.length > 0) faults.push(`processes are left: ${left.join(', ')}`);
  for (const { crashes } of fleet.processes.values()) faults.push(...crashes);
  faults.push(...watcher.faults, ...controls.faults, ...injector.failures);
  const logs = [...fleet.processes.values()].map((one) => `--- ${one.name}\n${one.log}`).join('\n');
  await fleet.clear();
  return { faults, injected: injector.done, answers: watcher.answers, givenUp, logs };
}

/** Waits until all sweeps are settled; a trial that was given up is tried again, as a user would. */
async function untilSettled(controls: Controls, injector: Injector, faults: string[]): Promise<string[]> {
  const until = performance.now() + SETTLE_MS;
  const givenUp = new Set<string>();
  for (;;) {
    const shown = new Map<SweepName, ShownSweep>();
    for (const name of controls.sweepIds.keys()) shown.set(name, (await controls.get(name)).body as ShownSweep);
    for (const { trials } of shown.values())
      for (const { trialId, status, failure } of trials)
        if (status === 'failed') {
          if (!TOO_OFTEN.test(failure?.reason ?? '') || injector.lethal < 3)
            faults.push(`trial ${trialId} failed: ${failure?.reason}`);
          givenUp.add(`${trialId} ${failure?.reason}`);
        }
    await controls.wantAll();
    const open = [...shown].filter(([name, { settledAt, trials }]) => {
      const isWhole = name === 'doomed' || trials.every(({ status }) => status === 'completed');
      return !settledAt || !isWhole;
    });
    if (open.length === 0) return [...givenUp];
    if (performance.now() > until) {
      const state = open.map(([name, { status, counts }]) => `${name} ${status} ${JSON.stringify(counts)}`);
      faults.push(`not over ${SETTLE_MS / 1000} s after all was well: ${state.join('; ')}`);
      return [...givenUp];
    }
    await delay(500);
  }
}

async function untilAtRest(fleet: ChaosFleet): Promise<string[]> {
  const until = performance.now() + REST_MS;
  for (;;) {
    const faults = await faultsAtRest(fleet).catch((error: Error) => [error.message]);
    if (faults.length === 0 || performance.now() > until) return faults;
    await delay(500);
  }
}
