// Reads the record: JSON objects of the store by key. What is immutable once written is kept in memory (bounded), so that
// polling a sweep of thousands of trials does not read thousands of objects each time.
import { Inject, Injectable } from '@nestjs/common';
import {
  type CorpusRecord,
  type HybridRecord,
  hasRules,
  InvalidRequest,
  type PreparationRecord,
  type PreparationResult,
  type SettledRecord,
  type SweepRecord,
  type TeacherRecord,
  type TrialRecord,
  type TrialResult,
  type TrimmedRecord,
} from '#experiment';
import {
  keys,
  listFolders,
  ObjectNotFound,
  type ObjectStore,
  readSweepState,
  readTrialState,
  type SweepState,
  sweepStateOf,
  type TrialState,
} from '#storage';
import { STORE } from '../connections.js';
import type { PageRequest } from '../requests/query.js';
import { mapLimited } from './map-limited.js';
import { PlannedTrials } from './planned-trials.js';

/** Enough for the largest sweep.json (10,000 trials) and for a trial of 10,000 epochs. */
const MAX_RECORD_BYTES = 32 * 1024 ** 2;
const CACHE_BYTES = 64 * 1024 ** 2;
const STORE_PAGE = 1000;

const COMPLETED: TrialState = {
  exists: true,
  retry: 0,
  hasResult: true,
  isCancelled: false,
  isPaused: false,
  prunedIn: [],
};

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export interface Page<T> {
  items: T[];
  nextCursor?: string;
}

interface Position {
  /** Cursor of the store's page to go on in; absent for the first. */
  page?: string;
  /** Last key already given out. */
  after: string;
}

@Injectable()
export class RecordsService {
  private readonly cache = new Map<string, { value: unknown; bytes: number }>();
  private cachedBytes = 0;
  private readonly plans = new PlannedTrials();

  constructor(@Inject(STORE) private readonly store: ObjectStore) {}

  corpus = (corpusId: string) => this.readImmutable<CorpusRecord>(keyOrNone(keys.corpus, corpusId));
  teacher = (teacherId: string) => this.readImmutable<TeacherRecord>(keyOrNone(keys.teacher, teacherId));
  /** Not kept: a trial may be trimmed at any time. */
  trimmed = (trialId: string) => this.read<TrimmedRecord>(keyOrNone(keys.trialTrimmed, trialId));
  hybrid = (hybridId: string) => this.readImmutable<HybridRecord>(keyOrNone(keys.hybrid, hybridId));
  preparation = (preparationId: string) =>
    this.readImmutable<PreparationRecord>(keyOrNone(keys.preparation, preparationId));
  /** Not kept: a failed preparation may be asked for again and then end otherwise. */
  preparationResult = (preparationId: string) =>
    this.read<PreparationResult>(keyOrNone(keys.preparationResult, preparationId));
  corpusIdNamed = (name: string) => this.idNamed(keyOrNone(keys.corpusName, name));
  teacherIdNamed = (name: string) => this.idNamed(keyOrNone(keys.teacherName, name));

  /** The trial's own record, or what its sweep says of it where that is not written yet. */
  async trial(trialId: string): Promise<TrialRecord | undefined> {
    return (await this.readImmutable<TrialRecord>(keyOrNone(keys.trial, trialId))) ?? this.planned(trialId);
  }

  /** Where the trial stands for a sweep (left out: for anybody), with its result; undefined when there is no such trial. */
  async trialStanding(
    trialId: string,
    asking?: SweepRecord,
  ): Promise<{ state: TrialState; result?: TrialResult } | undefined> {
    if (keyOrNone(keys.trial, trialId) === undefined) return undefined;
    const standing = await this.standingOf(trialId, asking);
    return standing.state.exists || (await this.planned(trialId)) ? standing : undefined;
  }

  /** As trialStanding, for a trial that there is or is about to be. */
  async standingOf(trialId: string, asking?: SweepRecord): Promise<{ state: TrialState; result?: TrialResult }> {
    // What has once completed is never tried again: then one look at memory says it all.
    const kept = this.cache.get(keys.trialResult(trialId))?.value as TrialResult | undefined;
    const mayBePruned = asking !== undefined && hasRules(asking);
    if (kept?.status === 'completed' && !mayBePruned) return { state: COMPLETED, result: kept };
    const state = await readTrialState(this.store, trialId);
    const pruning = asking ? state.prunedIn.find((sweepId) => sweepId === asking.sweepId) : state.prunedIn[0];
    if (pruning !== undefined && (asking || !state.hasResult)) {
      // Not kept: a further budget takes it away again.
      const pruned = await this.read<TrialResult>(keys.trialPruned(trialId, pruning));
      return { state, ...(pruned ? { result: pruned } : {}) };
    }
    const key = keys.trialResult(trialId, state.retry);
    const result = state.hasResult ? await this.readImmutable<TrialResult>(key) : undefined;
    return { state, ...(result ? { result } : {}) };
  }

  /** The result that counts: of the last retry, when the trial was tried again. */
  async trialResult(trialId: string): Promise<TrialResult | undefined> {
    return (await this.trialStanding(trialId))?.result;
  }

  /** The sweep in its newest version, and where that stands; undefined when there is no such sweep. */
  async sweepStanding(sweepId: string): Promise<{ sweep: SweepRecord; state: SweepState } | undefined> {
    if (keyOrNone(keys.sweep, sweepId) === undefined) return undefined;
    const state = await readSweepState(this.store, sweepId);
    const sweep = state.exists ? await this.readImmutable<SweepRecord>(keys.sweep(sweepId, state.version)) : undefined;
    if (sweep && !state.isSettled) this.plans.note(sweep);
    return sweep && { sweep, state };
  }

  /** Those that are not settled, each in its newest version. One listing tells which; of the others nothing is read. */
  async unsettledSweeps(): Promise<{ sweep: SweepRecord; state: SweepState }[]> {
    const states: { id: string; state: SweepState }[] = [];
    for await (const { id, sizes } of listFolders(this.store, keys.sweeps())) {
      const state = sweepStateOf(new Set(sizes.keys()));
      if (state.exists && !state.isSettled) states.push({ id, state });
    }
    const found = await mapLimited(states, async ({ id, state }) => {
      const sweep = await this.readImmutable<SweepRecord>(keys.sweep(id, state.version));
      if (sweep) this.plans.note(sweep);
      return sweep && { sweep, state };
    });
    return found.filter((standing) => standing !== undefined);
  }

  /** The trial as an open sweep has planned it. */
  private async planned(trialId: string): Promise<TrialRecord | undefined> {
    const known = this.plans.find(trialId);
    if (known || !this.plans.mayLookAgain()) return known;
    await this.unsettledSweeps();
    return this.plans.find(trialId);
  }

  async sweep(sweepId: string): Promise<SweepRecord | undefined> {
    return (await this.sweepStanding(sweepId))?.sweep;
  }

  settled(sweepId: string, version: number): Promise<SettledRecord | undefined> {
    return this.readImmutable<SettledRecord>(keys.sweepSettled(sweepId, version));
  }

  /** Ids of all objects `<prefix><id>/<file>`, in code-point order. */
  async *ids(prefix: string, file: string): AsyncGenerator<string> {
    let cursor: string | undefined;
    do {
      const page = await this.store.list(prefix, { limit: STORE_PAGE, ...(cursor ? { cursor } : {}) });
      for (const { key } of page.objects) {
        const id = idIn(key, prefix, file);
        if (id !== undefined) yield id;
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  /**
   * One page of the records `<prefix><id>/<file>` in the order of their ids; `view` gives what is shown of each id, or
   * undefined to leave it out.
   */
  async page<T>(
    prefix: string,
    file: string,
    request: PageRequest,
    view: (ids: string[]) => Promise<(T | undefined)[]>,
  ): Promise<Page<T>> {
    const from = request.cursor === undefined ? undefined : decodeCursor(request.cursor, prefix);
    const items: T[] = [];
    let last = '';
    let cursor = from?.page;
    for (;;) {
      const current = cursor;
      const page = await this.store.list(prefix, { limit: STORE_PAGE, ...(cursor ? { cursor } : {}) });
      const fresh = page.objects.filter(
        ({ key }) => key > (from?.after ?? '') && idIn(key, prefix, file) !== undefined,
      );
      // One more than the limit tells whether there is a next page.
      for (let at = 0; at < fresh.length; at += request.limit + 1) {
        const step = fresh.slice(at, at + request.limit + 1);
        const views = await view(step.map(({ key }) => idIn(key, prefix, file) ?? ''));
        for (const [index, item] of views.entries()) {
          if (item === undefined) continue;
          if (items.length === request.limit)
            return {
              items,
              nextCursor: encodeCursor({ ...(current === undefined ? {} : { page: current }), after: last }),
            };
          items.push(item);
          last = step[index]?.key ?? last;
        }
      }
      cursor = page.cursor;
      if (cursor === undefined) return { items };
    }
  }

  private async idNamed(key: string | undefined): Promise<string | undefined> {
    return (await this.read<{ id: string }>(key))?.id;
  }

  private async read<T>(key: string | undefined): Promise<T | undefined> {
    return (await this.load(key))?.value as T | undefined;
  }

  private async readImmutable<T>(key: string | undefined): Promise<T | undefined> {
    if (key === undefined) return undefined;
    const cached = this.cache.get(key);
    if (cached !== undefined) {
      this.cache.delete(key);
      this.cache.set(key, cached);
      return cached.value as T;
    }
    const loaded = await this.load(key);
    if (loaded === undefined) return undefined;
    this.remember(key, loaded);
    return loaded.value as T;
  }

  private async load(key: string | undefined): Promise<{ value: unknown; bytes: number } | undefined> {
    if (key === undefined) return undefined;
    try {
      const bytes = await this.store.get(key, { maxBytes: MAX_RECORD_BYTES });
      return { value: JSON.parse(bytes.toString('utf8')), bytes: bytes.length };
    } catch (error) {
      if (error instanceof ObjectNotFound) return undefined;
      throw error;
    }
  }

  private remember(key: string, entry: { value: unknown; bytes: number }): void {
    const before = this.cache.get(key);
    if (before !== undefined) this.cachedBytes -= before.bytes;
    this.cache.set(key, entry);
    this.cachedBytes += entry.bytes;
    for (const [oldest, { bytes }] of this.cache) {
      if (this.cachedBytes <= CACHE_BYTES) break;
      this.cache.delete(oldest);
      this.cachedBytes -= bytes;
    }
  }
}

/** An id that cannot be one names nothing: the reader says "not found" instead of failing on the key. */
function keyOrNone(key: (id: string) => string, id: string): string | undefined {
  return ID.test(id) && !id.includes('..') ? key(id) : undefined;
}

function idIn(key: string, prefix: string, file: string): string | undefined {
  if (!key.startsWith(prefix) || !key.endsWith(`/${file}`)) return undefined;
  const id = key.slice(prefix.length, -file.length - 1);
  return id.includes('/') ? undefined : id;
}

function encodeCursor(position: Position): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

function decodeCursor(cursor: string, prefix: string): Position {
  try {
    const position: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (typeof position === 'object' && position !== null && 'after' in position) {
      const page = 'page' in position ? position.page : undefined;
      const { after } = position;
      if (typeof after === 'string' && after.startsWith(prefix) && (page === undefined || typeof page === 'string')) {
        return page === undefined ? { after } : { after, page };
      }
    }
  } catch {
    // Said below, as for any other text that is no cursor of ours.
  }
  throw new InvalidRequest([{ path: 'cursor', message: 'not a cursor of this list; use nextCursor of the last page' }]);
}
