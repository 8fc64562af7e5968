// Chaos: a real fleet of processes under faults by chance, round after round, each from a seed. The short form, with fixed seeds,
// is part of all tests; `npm run test:chaos` takes half an hour and other seeds each time. CHAOS_MINUTES, CHAOS_SEED and
// CHAOS_ROUNDS choose others.
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MINIO_MISSING, minioBinary } from '../support/minio.js';
import { ChaosFleet, fakeTimeLibrary } from './chaos-fleet.js';
import { disturbed, referenceOf } from './round.js';
import { FAULT_KINDS, scheduleOf } from './schedule.js';

const isFull = process.env.MODE === 'full';
const MINUTES = Number(process.env.CHAOS_MINUTES || (isFull ? 30 : 3));
const SEED = Number(process.env.CHAOS_SEED || (isFull ? Date.now() % 1_000_000 : 1));
const ROUNDS = Number(process.env.CHAOS_ROUNDS || Number.POSITIVE_INFINITY);
/** Of faults in one round. */
const SECONDS = 40;
/** A round takes about this long; none is begun that would not fit. */
const ROUND_MS = 75_000;

test('a schedule is a function of its seed, and has faults of all kinds', () => {
  expect(scheduleOf(7, 60_000)).toEqual(scheduleOf(7, 60_000));
  expect(scheduleOf(8, 60_000)).not.toEqual(scheduleOf(7, 60_000));
  const kinds = new Set(scheduleOf(7, 1_200_000).map(({ kind }) => kind));
  expect([...kinds].sort()).toEqual([...FAULT_KINDS].sort());
});

test.skipIf(process.platform !== 'linux')(
  'whatever happens to a fleet, each trial ends once, with the bytes of an undisturbed run',
  async () => {
    const say = (line: string) => process.stdout.write(`${line}\n`);
    const until = performance.now() + MINUTES * 60_000;
    if (!minioBinary) say(`${MINIO_MISSING} The store is a folder that goes away; it is never slow or full.`);
    if (!fakeTimeLibrary) say('There is no libfaketime (apt-get install faketime), so no clock jumps.');
    const fleet = await ChaosFleet.open();
    const injected = new Map<string, number>();
    const failed: string[] = [];
    try {
      const reference = await referenceOf(fleet, () => {});
      for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
        if (seed > SEED && performance.now() + ROUND_MS > until) break;
        say(`chaos: seed ${seed}`);
        const from = performance.now();
        const outcome = await disturbed(fleet, { seed, seconds: SECONDS, reference, say });
        for (const [kind, count] of outcome.injected) injected.set(kind, (injected.get(kind) ?? 0) + count);
        const seconds = Math.round((performance.now() - from) / 1000);
        const answers = JSON.stringify(Object.fromEntries(outcome.answers));
        say(`  over after ${seconds} s; given up and tried again: ${outcome.givenUp.length}; answers: ${answers}`);
        for (const reason of outcome.givenUp) say(`  given up: ${reason}`);
        if (outcome.faults.length === 0) continue;
        const folder = join(tmpdir(), 'semdistill-chaos-logs');
        mkdirSync(folder, { recursive: true });
        const file = join(folder, `seed-${seed}.log`);
        writeFileSync(file, `${outcome.faults.join('\n')}\n${outcome.logs}`);
        const again = `CHAOS_SEED=${seed} CHAOS_ROUNDS=1 npm run test:chaos`;
        failed.push(`seed ${seed} (again with: ${again}; logs: ${file}):\n${outcome.faults.join('\n')}`);
        say(`  ${failed.at(-1)}`);
      }
    } finally {
      await fleet.close();
    }
    say(`chaos: all injected: ${JSON.stringify(Object.fromEntries(injected))}`);
    expect(failed).toEqual([]);
  },
  (MINUTES + 6) * 60_000,
);
