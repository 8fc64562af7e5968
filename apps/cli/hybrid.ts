// `semdistill hybrid`: one model's transmitter with another's receiver, and how well they understand each other.
import { type HybridRecord, InvalidRequest, parseHybridRequest, type Warning } from '#experiment';
import type { PreparationView } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { waitForPreparation } from './prepare.js';
import { scoreTable } from './teacher-import.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';

export interface HybridFlags {
  transmitter?: string;
  receiver?: string;
  name?: string;
  wait?: boolean;
}

export async function hybrid(context: Context, flags: HybridFlags): Promise<void> {
  const { texts, terminal, interrupted } = context;
  const { transmitter, receiver, name } = flags;
  const body = Object.fromEntries(
    Object.entries({ transmitter, receiver, name }).filter(([, value]) => value !== undefined),
  );
  try {
    parseHybridRequest(body);
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    const faults = error.faults.map(({ path, message }) => ({ path: `--${path}`, message }));
    throw new Trouble(texts.wrongRequest, EXIT_WRONG_REQUEST, faults);
  }
  const client = openClient(context);
  const { preparation, warnings } = await client.json<{ preparation: PreparationView; warnings: Warning[] }>(
    '/v1/hybrids',
    { method: 'POST', body, signal: interrupted },
  );
  if (!context.json) for (const { message } of warnings) terminal.say(texts.warning(message));
  const done = flags.wait === false ? preparation : await waitForPreparation(context, client, preparation);
  if (done.hybridId === undefined) {
    if (context.json) terminal.print(JSON.stringify({ preparation: done, warnings }, null, 2));
    else terminal.say(texts.preparationQueued(done.preparationId));
    return;
  }
  const made = await client.json<HybridRecord>(`/v1/hybrids/${encodeURIComponent(done.hybridId)}`);
  if (context.json) {
    terminal.print(JSON.stringify(made, null, 2));
    return;
  }
  terminal.print(scoreTable(made.scores));
  for (const { code, message } of made.warnings) if (code === 'broken-link') terminal.say(texts.warning(message));
  terminal.say(texts.hybridReady(made.transmitter.label, made.receiver.label, made.hybridId));
}
