// `semdistill demo`: a fleet of its own, a temperature sweep on real text, the verdict, and where everything lies.
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { AcceptedSweep, SweepView } from './api-client.js';
import type { Context } from './context.js';
import { DEMO } from './demo-sweep.js';
import type { LocalFleet } from './fleet/local-fleet.js';
import { freePort, portProblem } from './fleet/redis-server.js';
import { clearStateFolder, STATE_FOLDER_NAME } from './fleet/state-folder.js';
import { type FollowedSweep, followSweep } from './follow-sweep.js';
import { ensureBuiltins } from './prepare.js';
import { fetchReport, saveReport, sayVerdict } from './results.js';
import { EXIT_FAILED, Trouble } from './trouble.js';
import { startFleet, untilInterrupted } from './up.js';
import { shownSeconds } from './wording.js';

const PREFERRED_PORT = 8080;

export async function demo(context: Context, flags: { keep?: boolean; state?: string; port?: string }): Promise<void> {
  const { texts, terminal } = context;
  const startedAt = performance.now();
  const statePath =
    flags.state === undefined ? freshStatePath(context.workingFolder) : resolve(context.workingFolder, flags.state);
  if (flags.state === undefined) clearStateFolder(statePath);
  terminal.say(texts.demoBegins(statePath));
  const port = (await portProblem(PREFERRED_PORT)) === undefined ? PREFERRED_PORT : await freePort();
  const fleet = await startFleet(context, { statePath, port, workers: DEMO.workers });
  const setUpSeconds = (performance.now() - startedAt) / 1000;
  try {
    await Promise.race([fleet.failed, runSweep(context, fleet, setUpSeconds)]);
  } catch (error) {
    await fleet.stop();
    throw error;
  }
  if (flags.keep) {
    terminal.say(texts.demoKept(fleet.url, fleet.state.keyFile));
    await untilInterrupted(context, fleet);
  } else {
    await fleet.stop();
    terminal.say(texts.demoEnded(shownSeconds((performance.now() - startedAt) / 1000), context.command));
  }
}

/** Beside the user's work where that may be written, so that the report is found again; else in the system's temp folder. */
function freshStatePath(workingFolder: string): string {
  try {
    accessSync(workingFolder, constants.W_OK);
    return join(workingFolder, STATE_FOLDER_NAME, 'demo');
  } catch {
    return join(tmpdir(), `semdistill-demo-${process.getuid?.() ?? 'user'}`);
  }
}

async function runSweep(context: Context, fleet: LocalFleet, setUpSeconds: number): Promise<void> {
  const { texts, terminal } = context;
  const { client } = fleet;
  terminal.say(texts.demoPrepares(DEMO.corpus, DEMO.teacher));
  const prepared = await ensureBuiltins(context, client, DEMO);
  terminal.say(texts.demoPrepared(shownSeconds(prepared.seconds)));
  const accepted = await client.json<AcceptedSweep>('/v1/sweeps', {
    method: 'POST',
    body: DEMO.sweep,
    signal: context.interrupted,
  });
  terminal.say(
    texts.sweepAccepted({
      id: accepted.sweepId,
      trials: accepted.trials.length,
      bundles: accepted.bundles,
      reused: accepted.reused,
    }),
  );
  for (const warning of accepted.warnings) terminal.say(terminal.colour('yellow', texts.warning(warning.message)));
  const followed = await followSweep(context, client, accepted.sweepId);
  const report = await fetchReport(client, accepted.sweepId);
  const files = await saveReport(client, accepted.sweepId, join(fleet.state.path, 'report'));
  if (report) sayVerdict(context, report);
  for (const line of texts.demoParts(partsOf(followed, prepared.seconds, setUpSeconds))) terminal.say(line);
  terminal.say(texts.workersTookPart(followed.workers));
  terminal.say(texts.demoReport(files[0] ?? '', `${fleet.url}/v1/sweeps/${accepted.sweepId}/report`));
  if (context.json)
    terminal.print(
      JSON.stringify({
        sweepId: accepted.sweepId,
        status: followed.sweep.status,
        report: files,
        workers: followed.workers,
      }),
    );
  const { completed = 0 } = followed.sweep.counts;
  if (completed < followed.sweep.trials.length) {
    throw new Trouble(
      texts.trialsFailed(followed.sweep.trials.length - completed, followed.sweep.trials.length),
      EXIT_FAILED,
    );
  }
}

/** Wall-clock parts of the demo; training and measuring share the workers' time as the trials' own clocks say. */
export function partsOf(followed: FollowedSweep, preparationSeconds: number, setUpSeconds: number) {
  const { sweep } = followed;
  const sum = (part: 'trainingSeconds' | 'evaluationSeconds') =>
    sweep.trials.reduce((total, trial) => total + (trial.summary?.[part] ?? 0), 0);
  const training = sum('trainingSeconds');
  const evaluation = sum('evaluationSeconds');
  const report = reportSeconds(sweep);
  const work = Math.max(0, followed.seconds - report);
  const share = training + evaluation > 0 ? training / (training + evaluation) : 1;
  return {
    setUp: shownSeconds(setUpSeconds),
    preparation: shownSeconds(preparationSeconds),
    training: shownSeconds(work * share),
    evaluation: shownSeconds(work * (1 - share)),
    report: shownSeconds(report),
  };
}

/** From the last trial's end to the settled sweep. */
function reportSeconds(sweep: SweepView): number {
  const ends = sweep.trials.flatMap((trial) => (trial.finishedAt ? [Date.parse(trial.finishedAt)] : []));
  if (sweep.settledAt === undefined || ends.length === 0) return 0;
  return Math.max(0, (Date.parse(sweep.settledAt) - Math.max(...ends)) / 1000);
}
