// Ids: the first 128 bits of SHA-256 over what a thing is, in canonical JSON, so that equal things have equal ids on every
// machine. Only sweeps may be random.
import { createHash, randomBytes } from 'node:crypto';
import type {
  Architecture,
  BundleRate,
  CorpusOptions,
  HybridSide,
  PreparationRequest,
  StoredFile,
  TrialSpec,
} from './records.js';

/**
 * JSON with sorted keys and no white space; the same value gives the same bytes whatever order it was built in.
 * Throws TypeError on what JSON cannot hold (undefined in lists, functions, NaN, infinities); absent and undefined
 * properties are the same.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`canonical JSON holds finite numbers only, got ${value}`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${Array.from(value, (item) => canonicalJson(item)).join(',')}]`;
  if (typeof value === 'object') {
    const properties = value as Record<string, unknown>;
    const names = Object.keys(properties).filter((name) => properties[name] !== undefined);
    const pairs = names.sort(byCodeUnit).map((name) => `${JSON.stringify(name)}:${canonicalJson(properties[name])}`);
    return `{${pairs.join(',')}}`;
  }
  throw new TypeError(`canonical JSON cannot hold ${typeof value}`);
}

/** The id of a trial: equal specs are one trial, trained once, whoever asks. */
export function trialIdOf(spec: TrialSpec): string {
  return idOf('trial', spec);
}

/** The id of a preparation; an uploaded file counts by its content, not by where it lies. */
export function preparationIdOf(request: PreparationRequest): string {
  if ('text' in request) return idOf('preparation', { ...request, text: request.text.sha256 });
  if ('model' in request) return idOf('preparation', { ...request, model: request.model.sha256 });
  if (request.kind === 'cross-decoding') {
    // Whatever the sweep is called: the same models are joined once.
    const { name: _name, ...asked } = request;
    const models = request.models.map(({ file, ...model }) => ({ ...model, file: file.sha256 }));
    return idOf('preparation', { ...asked, models });
  }
  const content = ({ file, ...side }: HybridSide) => ({ ...side, file: file.sha256 });
  if (request.kind === 'analysis') {
    const { reference, other } = request;
    return idOf('preparation', { ...request, reference: content(reference), other: content(other) });
  }
  if (request.kind === 'hybrid') {
    const { transmitter, receiver } = request;
    return idOf('preparation', {
      ...request,
      transmitter: content(transmitter),
      receiver: content(receiver),
    });
  }
  if ('tokens' in request) {
    const { train, test, vocabulary } = request.tokens;
    const content = { train: train.sha256, test: test.sha256, vocabulary: vocabulary.sha256 };
    return idOf('preparation', { ...request, tokens: content });
  }
  return idOf('preparation', request);
}

/** The id of trials trained together, in this order. */
export function bundleIdOf(trialIds: readonly string[]): string {
  return idOf('bundle', trialIds);
}

/** What trainings that take equally long a step have in common: all but what is a number a student, and how many epochs. */
export function shapeIdOf(spec: TrialSpec): string {
  const { temperature, distillWeight, learningRate, weightDecay, trainSnrDb, init, seed, epochs, ...shape } =
    spec.hyperparameters;
  return idOf('shape', { ...spec, hyperparameters: shape });
}

/** Devices that compute alike. */
export function deviceIdOf(device: BundleRate['device']): string {
  return idOf('device', device);
}

/** The id of a teacher: its sizes, its corpus and the content of its files; not its name. */
export function teacherIdOf(teacher: { architecture: Architecture; corpusId: string; files: ContentHash[] }): string {
  const { architecture, corpusId, files } = teacher;
  return idOf('teacher', { architecture, corpusId, files: contentOf(files) });
}

/** The id of a corpus: its options and the content of its files; not its name. */
export function corpusIdOf(corpus: { options?: CorpusOptions | undefined; files: ContentHash[] }): string {
  return idOf('corpus', { options: corpus.options, files: contentOf(corpus.files) });
}

/** A fresh random sweep id. */
export function randomSweepId(): string {
  return randomBytes(16).toString('hex');
}

/** The sweep id that an owner's idempotency key stands for: sent again, it names the same sweep. */
export function sweepIdFromKey(owner: string, idempotencyKey: string): string {
  return idOf('sweep', { owner, idempotencyKey });
}

type ContentHash = Pick<StoredFile, 'name' | 'sha256'>;

function contentOf(files: ContentHash[]): ContentHash[] {
  return files.map(({ name, sha256 }) => ({ name, sha256 })).sort((a, b) => byCodeUnit(a.name, b.name));
}

function idOf(kind: string, value: unknown): string {
  return createHash('sha256').update(`semdistill ${kind}\n`).update(canonicalJson(value)).digest('hex').slice(0, 32);
}

/** Not localeCompare: that depends on the machine. */
function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
