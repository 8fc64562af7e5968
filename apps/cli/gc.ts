// `semdistill gc`: takes out of the store what the retention policy lets go; shows it only, until told to delete.
// `semdistill keep`: marks a sweep that the policy leaves alone.
import type { KeptRecord, TrimmedRecord } from '#experiment';
import { findJson, keys, type ObjectStore, putJson } from '#storage';
import type { Context } from './context.js';
import { findLeftovers, type Leftover } from './leftovers.js';
import { asTrouble, openNamedStore } from './named-store.js';
import { type Dispensable, findDispensable } from './retention.js';
import { plainTable } from './sweep-table.js';
import { EXIT_WRONG_REQUEST, Interrupted, Trouble } from './trouble.js';
import { shownBytes } from './wording.js';

export type GcReason = 'checkpoint' | 'orphan' | Leftover['reason'];

const MOST_DAYS = 36_500;

export async function gc(
  context: Context,
  flags: { store?: string; checkpointsAfter: string; delete?: boolean },
): Promise<void> {
  const { texts, terminal } = context;
  const checkpointDays = wholeDays(context, flags.checkpointsAfter);
  // What opening would take away is reported here, and removed when told.
  const store = await openNamedStore(context, flags.store, { keepUnfinished: true });
  const now = new Date();
  const removed: { trialId?: string; key: string; size: number; reason: GcReason }[] = [];
  const goOn = () => {
    if (context.interrupted.aborted) throw new Interrupted();
  };
  await asTrouble(async () => {
    for await (const trial of findDispensable(store, { checkpointDays, now })) {
      goOn();
      if (flags.delete) await remove(store, trial);
      const { trialId } = trial;
      for (const { key, size } of trial.checkpoints) removed.push({ trialId, key, size, reason: 'checkpoint' });
      for (const { key, size } of trial.orphans) removed.push({ trialId, key, size, reason: 'orphan' });
    }
    for await (const { remove: removeLeftover, ...leftover } of findLeftovers(store, now)) {
      goOn();
      if (flags.delete) await removeLeftover();
      removed.push(leftover);
    }
  });
  await store.close();
  if (context.json) {
    terminal.print(
      JSON.stringify({ store: store.description, deleted: flags.delete === true, objects: removed }, null, 2),
    );
    return;
  }
  const table = plainTable([texts.columnFile, texts.columnSize, texts.columnReason], [1]);
  for (const { key, size, reason } of removed) table.push([key, shownBytes(size), texts.gcReason(reason)]);
  if (removed.length > 0) terminal.print(table.toString());
  const total = shownBytes(removed.reduce((sum, { size }) => sum + size, 0));
  terminal.say(flags.delete ? texts.gcDeleted(removed.length, total) : texts.gcWouldDelete(removed.length, total));
}

/** The note comes first: whoever asks for a file that is gone is told why. Run twice, or killed between, it ends the same. */
async function remove(store: ObjectStore, { trialId, checkpoints, orphans }: Dispensable): Promise<void> {
  if (checkpoints.length > 0) {
    const before = await findJson<TrimmedRecord>(store, keys.trialTrimmed(trialId));
    const names = new Set(checkpoints.map(({ name }) => name));
    const note: TrimmedRecord = {
      trialId,
      removed: [
        ...(before?.removed ?? []).filter(({ name }) => !names.has(name)),
        ...checkpoints.map(({ name, size, sha256 }) => ({ name, size, sha256 })),
      ],
      trimmedAt: new Date().toISOString(),
    };
    await putJson(store, keys.trialTrimmed(trialId), note);
  }
  for (const { key } of [...checkpoints, ...orphans]) await store.delete(key);
}

export async function keep(
  context: Context,
  sweepId: string,
  flags: { store?: string; undo?: boolean },
): Promise<void> {
  const { texts, terminal } = context;
  const store = await openNamedStore(context, flags.store);
  const key = keyOrTrouble(context, sweepId);
  await asTrouble(async () => {
    if ((await store.head(keys.sweep(sweepId))) === undefined) {
      throw new Trouble(texts.noSuchSweep(sweepId), EXIT_WRONG_REQUEST);
    }
    const kept: KeptRecord = { sweepId, keptAt: new Date().toISOString() };
    if (flags.undo) await store.delete(key);
    else await putJson(store, key, kept);
  });
  await store.close();
  if (context.json) terminal.print(JSON.stringify({ sweepId, kept: !flags.undo }, null, 2));
  else terminal.say(flags.undo ? texts.notKept(sweepId) : texts.kept(sweepId));
}

function keyOrTrouble(context: Context, sweepId: string): string {
  try {
    return keys.sweepKept(sweepId);
  } catch {
    throw new Trouble(context.texts.noSuchSweep(sweepId), EXIT_WRONG_REQUEST);
  }
}

function wholeDays(context: Context, text: string): number {
  const days = Number(text);
  if (/^\d+$/.test(text) && days >= 1 && days <= MOST_DAYS) return days;
  throw new Trouble(`--checkpoints-after ${context.texts.wholeNumber(1, MOST_DAYS, text)}`, EXIT_WRONG_REQUEST);
}
