// The models of a sweep whose trials have ended, joined every transmitter with every receiver: a preparation that a worker makes. What it is
// lies in the record before it is asked for, so that it is the same after any loss.
import {
  type CorpusRecord,
  type CrossDecoding,
  type CrossDecodingPointer,
  type PreparationRecord,
  type PreparationResult,
  planCrossDecoding,
  preparationIdOf,
  type StoredFile,
  type SweepRecord,
  type SweepResult,
  type TeacherRecord,
} from '#experiment';
import { findJson, getJson, keys, type ObjectStore, putJsonIfAbsent } from '#storage';
import { inParallel } from './in-parallel.js';

const READS_AT_ONCE = 16;

/** What a report is made of. */
export interface SweepParts {
  sweep: SweepRecord;
  teacher: TeacherRecord;
  corpus: CorpusRecord;
  trials: SweepResult[];
}

/** How a sweep's cross-decoding stands: not made yet, or ended, with or without a result. */
export type Joined =
  | { state: 'open'; preparationId: string; isNew: boolean }
  | { state: 'ended'; crossDecoding: CrossDecoding | { failure: string } };

/** Undefined where the sweep has no models to join. Whoever comes first decides which; all others find it. */
export async function crossDecodingOf(store: ObjectStore, parts: SweepParts): Promise<Joined | undefined> {
  const key = keys.sweepCrossDecoding(parts.sweep.sweepId, parts.sweep.version);
  const standing = await findJson<CrossDecodingPointer>(store, key);
  if (standing) return look(store, standing.preparationId, false);
  const stored = await storedFiles(store, parts);
  const request = planCrossDecoding(parts.sweep, parts.teacher, parts.corpus, parts.trials, (file) => stored.has(file));
  if (!request) return undefined;
  const preparationId = preparationIdOf(request);
  const { owner, placement } = parts.sweep;
  // Where its models were trained there is a worker; in the default pool there may be none.
  const { pool, requires } = placement ?? {};
  const where = { ...(pool ? { pool } : {}), ...(requires ? { requires } : {}) };
  const createdAt = new Date().toISOString();
  const record: PreparationRecord = { preparationId, request, owner, placement: where, createdAt };
  const isNew = await putJsonIfAbsent(store, keys.preparation(preparationId), record);
  const pointer: CrossDecodingPointer = { preparationId };
  await putJsonIfAbsent(store, key, pointer);
  const decided = await getJson<CrossDecodingPointer>(store, key);
  return look(store, decided.preparationId, isNew);
}

/** The preparation that a sweep waits for, known without reading its results; undefined where there is none, or it has ended. */
export async function openJoin(
  store: ObjectStore,
  { sweepId, version }: Pick<SweepRecord, 'sweepId' | 'version'>,
): Promise<string | undefined> {
  const pointer = await findJson<CrossDecodingPointer>(store, keys.sweepCrossDecoding(sweepId, version));
  if (!pointer) return undefined;
  const hasEnded = await store.head(keys.preparationResult(pointer.preparationId));
  return hasEnded ? undefined : pointer.preparationId;
}

async function look(store: ObjectStore, preparationId: string, isNew: boolean): Promise<Joined> {
  const result = await findJson<PreparationResult>(store, keys.preparationResult(preparationId));
  if (!result) return { state: 'open', preparationId, isNew };
  const { crossDecoding, failure } = result;
  return { state: 'ended', crossDecoding: crossDecoding ?? { failure: failure?.reason ?? 'no reason was recorded' } };
}

/** Model files that the retention policy has not removed. */
async function storedFiles(store: ObjectStore, { teacher, trials }: SweepParts): Promise<Set<StoredFile>> {
  const files = [...teacher.files, ...trials.flatMap(({ result }) => result.artifacts)].filter(({ name }) =>
    ['model.safetensors', 'final_student_model.safetensors'].includes(name),
  );
  const there = await inParallel(files, READS_AT_ONCE, (file) => store.head(file.key));
  return new Set(files.filter((_, index) => there[index]));
}
