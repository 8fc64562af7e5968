// The commands that steer what is asked for already: cancel, pause, resume, retry, extend; and workers.
import { parseExtension } from '#experiment';
import { type AcceptedSweep, NotThere } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { checked, extensionBody, type Flags, inFlags } from './request-flags.js';
import { sayEstimate, sayPlan } from './sweep.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';

export type Action = 'cancel' | 'pause' | 'resume' | 'retry';

/** Does it to the sweep of this id, or to the trial or analysis. */
export async function control(context: Context, action: Action, id: string): Promise<void> {
  const { terminal, texts } = context;
  const client = openClient(context);
  // Of analyses there is nothing to pause.
  const kinds = action === 'cancel' ? (['sweep', 'trial', 'analysis'] as const) : (['sweep', 'trial'] as const);
  for (const kind of kinds) {
    try {
      const answer = await client.control(kind, id, action);
      if (context.json) terminal.print(JSON.stringify(answer, null, 2));
      else terminal.say(texts.controlled(action, kind, id, texts.status(answer.status ?? answer.state ?? '')));
      return;
    } catch (error) {
      if (!(error instanceof NotThere)) throw error;
    }
  }
  throw new Trouble(texts.neitherToControl(id), EXIT_WRONG_REQUEST);
}

export async function extend(context: Context, id: string, flags: Flags & { dryRun?: boolean }): Promise<void> {
  const { terminal, texts } = context;
  const body = extensionBody(flags);
  checked(() => parseExtension(body), texts, flags);
  const client = openClient(context);
  const before = await client.sweep(id, context.interrupted);
  const path = `/v1/sweeps/${encodeURIComponent(id)}/extend`;
  const accepted = await client
    .json<AcceptedSweep & { version?: number }>(path, {
      method: 'POST',
      body,
      query: { dryRun: flags.dryRun || undefined },
      signal: context.interrupted,
    })
    .catch((error: unknown) => {
      if (!(error instanceof Trouble)) throw error;
      throw new Trouble(
        error.message,
        error.exitCode,
        error.faults.map((fault) => inFlags(fault, flags)),
      );
    });
  if (flags.dryRun) return sayPlan(context, accepted);
  if (context.json) terminal.print(JSON.stringify(accepted, null, 2));
  else if (accepted.trials.length === before.trials.length) terminal.say(texts.notExtended(id));
  else
    terminal.say(
      texts.extended({ id, version: accepted.version ?? 1, trials: accepted.trials.length, reused: accepted.reused }),
    );
  if (!context.json) sayEstimate(context, accepted.estimate);
  for (const warning of accepted.warnings) terminal.say(terminal.colour('yellow', texts.warning(warning.message)));
}

interface Repairs {
  dryRun: boolean;
  found: number;
  faults: { kind: string; subject: string; message: string; mended: boolean }[];
}

export async function repair(context: Context, flags: { dryRun?: boolean }): Promise<void> {
  const { terminal, texts } = context;
  const repairs = await openClient(context).json<Repairs>('/v1/repairs', {
    method: 'POST',
    query: { dryRun: flags.dryRun || undefined },
    signal: context.interrupted,
  });
  if (context.json) {
    terminal.print(JSON.stringify(repairs, null, 2));
    return;
  }
  for (const { message, mended } of repairs.faults)
    terminal.print(`${mended ? texts.mended : repairs.dryRun ? texts.wouldMend : texts.notMended} ${message}`);
  terminal.say(texts.repairs(repairs.found, repairs.dryRun));
}
