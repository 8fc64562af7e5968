// `semdistill hybrid`: one model's transmitter with another's receiver, and how well they understand each other.
import { type HybridRecord, InvalidRequest, parseHybridRequest, type Warning } from '#experiment';
import type { PreparationView } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { waitForPreparation } from './prepare.js';
import { plainTable } from './sweep-table.js';
import { atBest, scoreTable } from './teacher-import.js';
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
  const pair = [transmitter ?? '', receiver ?? ''] as const;
  for (const { code, message } of context.json ? [] : warnings) {
    terminal.say(texts.warning(code === 'unfrozen-pair' ? texts.unfrozenPair(...pair) : message));
  }
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
  if (made.warnings.some(({ code }) => code === 'broken-link')) {
    terminal.say(texts.warning(texts.brokenLink(...atBest(made.scores))));
  }
  terminal.say(texts.hybridReady(made.transmitter.label, made.receiver.label, made.hybridId));
}

export async function listHybrids(context: Context): Promise<void> {
  const { terminal, texts } = context;
  const hybrids = await openClient(context).hybrids();
  if (context.json) {
    terminal.print(JSON.stringify(hybrids, null, 2));
    return;
  }
  const table = plainTable([texts.columnName, texts.columnTransmitter, texts.columnReceiver, 'BLEU-1', texts.columnId]);
  for (const { name, transmitter, receiver, scores, hybridId } of hybrids) {
    const [bleu1, snrDb] = atBest(scores);
    table.push([name, transmitter.label, receiver.label, `${bleu1} (${snrDb} dB)`, hybridId]);
  }
  terminal.print(hybrids.length > 0 ? table.toString() : texts.noHybrids(context.command));
}
