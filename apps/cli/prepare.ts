// Sees to it that a corpus or teacher is there: asks for it and waits until its preparation has ended.
import type { ApiClient, PreparationView } from './api-client.js';
import type { Context } from './context.js';
import { pause } from './fleet/local-fleet.js';
import { Interrupted, Trouble } from './trouble.js';

const POLL_MS = 500;
const LINE_EVERY_MS = 5_000;

export interface Prepared {
  corpusId?: string;
  teacherId?: string;
  seconds: number;
}

/** Waits for a preparation, telling its progress. Throws Trouble with the reason when it failed. */
export async function waitForPreparation(
  context: Context,
  client: ApiClient,
  first: PreparationView,
): Promise<PreparationView> {
  const { texts, terminal } = context;
  let saidAt = performance.now();
  let view = first;
  while (view.status === 'queued' || view.status === 'running') {
    const { fraction = 0, message = view.status } = view.progress ?? {};
    const line = texts.preparing(view.kind, view.name, fraction, message);
    if (terminal.interactive) terminal.live([line]);
    else if (performance.now() - saidAt > LINE_EVERY_MS) {
      terminal.say(line);
      saidAt = performance.now();
    }
    await pause(POLL_MS, context.interrupted);
    if (context.interrupted.aborted) throw new Interrupted();
    view = await client.preparation(view.preparationId, context.interrupted);
  }
  terminal.live([]);
  if (view.status === 'cancelled') throw new Trouble(texts.analysisCancelled(view.preparationId));
  if (view.status === 'failed')
    throw new Trouble(texts.preparationFailed(view.kind, view.name, view.failure?.reason ?? ''));
  return view;
}

/** The built-in corpus and teacher a first run needs; what is there already costs nothing. */
export async function ensureBuiltins(
  context: Context,
  client: ApiClient,
  builtins: { corpus: string; teacher: string },
): Promise<Prepared> {
  const startedAt = performance.now();
  const make = async (path: string, builtin: string) => {
    const view = await client.json<PreparationView>(path, {
      method: 'POST',
      body: { builtin },
      signal: context.interrupted,
    });
    return await waitForPreparation(context, client, view);
  };
  const corpus = await make('/v1/corpora', builtins.corpus);
  const teacher = await make('/v1/teachers', builtins.teacher);
  return {
    ...(corpus.corpusId === undefined ? {} : { corpusId: corpus.corpusId }),
    ...(teacher.teacherId === undefined ? {} : { teacherId: teacher.teacherId }),
    seconds: (performance.now() - startedAt) / 1000,
  };
}
