// `semdistill verify`: reads every file of a sweep, a trial or a teacher back from the store and compares its SHA-256 with
// the record's; with --scores one model is also measured again (verify-scores.ts).
import { createHash } from 'node:crypto';
import type { ApiClient } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { requestBytes, stallGuard } from './download.js';
import { pause } from './fleet/local-fleet.js';
import { type Planned, planFor } from './pull.js';
import { plainTable } from './sweep-table.js';
import { EXIT_WRONG_REQUEST, Gone, Interrupted, Trouble } from './trouble.js';
import { tellScores, verifyScores } from './verify-scores.js';
import { shownBytes } from './wording.js';

const PARALLEL = 4;
const TRIES = 4;

export type Verdict = 'intact' | 'damaged' | 'missing' | 'removed';

interface Verified {
  id: string;
  name: string;
  size: number;
  sha256: string;
  verdict: Verdict;
}

export async function verify(context: Context, id: string, flags: { scores?: string | true } = {}): Promise<void> {
  const { texts, terminal, interrupted } = context;
  const client = openClient(context);
  const { planned, folder } = await planFor(context, client, id, {});
  if (planned.length === 0) throw new Trouble(texts.nothingToPull(id, undefined), EXIT_WRONG_REQUEST);
  const results = new Map<Planned, Verified>();
  const waiting = [...planned];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { ownerId, name, size, sha256 } = next;
      const verdict = await examine(client, next, interrupted);
      results.set(next, { id: ownerId, name, size, sha256, verdict });
      terminal.live([texts.verifying(results.size, planned.length)]);
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, work));
  } finally {
    terminal.live([]);
  }
  const files = planned.flatMap((file) => results.get(file) ?? []);
  const wrong = files.filter(({ verdict }) => verdict === 'damaged' || verdict === 'missing');
  const isIntact = wrong.length === 0;
  if (context.json) {
    if (!isIntact || flags.scores === undefined) terminal.print(JSON.stringify({ files }, null, 2));
  } else {
    const table = plainTable([texts.columnFile, texts.columnSize, 'SHA-256', texts.columnState], [1]);
    for (const [index, file] of files.entries()) {
      const shown = planned[index]?.file.slice(folder.length + 1) ?? file.name;
      table.push([shown, shownBytes(file.size), file.sha256.slice(0, 12), texts.verdictOn(file.verdict)]);
    }
    terminal.print(table.toString());
  }
  if (!isIntact) throw new Trouble(texts.notIntact(wrong.length, files.length));
  terminal.say(texts.allIntact(files.length, shownBytes(files.reduce((sum, { size }) => sum + size, 0))));
  if (flags.scores === undefined) return;
  const trial = flags.scores === true ? undefined : flags.scores;
  const verification = await verifyScores(context, client, { planned, trial });
  if (context.json) terminal.print(JSON.stringify({ files, verification }, null, 2));
  tellScores(context, verification);
}

/** A connection that breaks is tried again; bytes that differ are looked at twice before they are called damaged. */
async function examine(client: ApiClient, wanted: Planned, signal: AbortSignal): Promise<Verdict> {
  let isWrong = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { size, sha256 } = await readThrough(client, wanted, signal);
      if (size === wanted.size && sha256 === wanted.sha256) return 'intact';
      if (isWrong) return 'damaged';
      isWrong = true;
    } catch (error) {
      if (signal.aborted) throw new Interrupted();
      if (error instanceof Gone) return 'removed';
      if (error instanceof Trouble && error.exitCode !== EXIT_WRONG_REQUEST) throw error;
      // The store breaks an answer off when it finds the bytes damaged, and has no such object when it is gone.
      if (attempt === TRIES) return isMissing(error) ? 'missing' : 'damaged';
    }
    await pause(100 * 2 ** attempt, signal);
  }
}

async function readThrough(client: ApiClient, wanted: Planned, outer: AbortSignal) {
  const stall = stallGuard(outer);
  const hash = createHash('sha256');
  let size = 0;
  try {
    const response = await requestBytes(client, wanted, 0, stall.signal);
    for await (const chunk of response.body ?? []) {
      stall.touch();
      hash.update(chunk);
      size += chunk.length;
    }
  } finally {
    stall.end();
  }
  return { size, sha256: hash.digest('hex') };
}

function isMissing(error: unknown): boolean {
  return error instanceof Trouble || (error instanceof Error && /^HTTP 404/.test(error.message));
}
