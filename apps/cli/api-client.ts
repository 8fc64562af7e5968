// The API over HTTP as the commands use it. Answers are trusted to have the agreed shapes; problems become Troubles with
// the API's own sentence and faults.
import type {
  AnalysisConditions,
  AnalysisReport,
  CorpusRecord,
  CostEstimate,
  EpochMetrics,
  Fault,
  HybridRecord,
  Hyperparameters,
  LiveTrial,
  LiveWorker,
  SweepStatus,
  TeacherRecord,
  TrialRole,
  TrialStatus,
  TrialSummary,
  Verification,
  Warning,
} from '#experiment';
import type { Texts } from './texts.js';
import { EXIT_FAILED, EXIT_WRONG_REQUEST, Gone, Interrupted, systemCode, Trouble } from './trouble.js';

export interface ArtifactView {
  name: string;
  size: number;
  sha256: string;
  contentType: string;
}

export interface TrialView {
  trialId: string;
  status: TrialStatus;
  role?: TrialRole;
  hyperparameters: Hyperparameters;
  teacherId: string;
  corpusId: string;
  progress?: LiveTrial;
  /** Without the epochs, which are at /metrics. */
  summary?: Omit<TrialSummary, 'epochs'>;
  failure?: { reason: string; step?: number };
  pruned?: { reason: string };
  worker?: string;
  startedAt?: string;
  finishedAt?: string;
  artifacts: ArtifactView[];
}

export interface SweepView {
  sweepId: string;
  name: string;
  owner: string;
  kind: 'sweep' | 'distillation';
  status: SweepStatus;
  counts: Partial<Record<TrialStatus, number>>;
  teacherId: string;
  corpusId: string;
  warnings: Warning[];
  createdAt: string;
  settledAt?: string;
  /** What the workers of now lack for it. */
  waitsFor?: string[];
  trials: TrialView[];
}

export interface AcceptedSweep {
  sweepId: string;
  name: string;
  status: SweepStatus;
  trials: { trialId: string; role: TrialRole; hyperparameters: Hyperparameters }[];
  bundles: number;
  reused: number;
  estimate?: CostEstimate;
  warnings: Warning[];
  waitsFor?: string[];
}

export interface AcceptedDistillation {
  trialId: string;
  sweepId: string;
  status: TrialStatus;
  warnings: Warning[];
  waitsFor?: string[];
}

export interface PreparationView {
  preparationId: string;
  kind: 'corpus' | 'teacher' | 'hybrid' | 'verification' | 'cross-decoding' | 'analysis';
  name: string;
  status: 'queued' | 'running' | 'completed' | 'failed' | 'cancelled';
  progress?: { fraction: number; message: string };
  failure?: { reason: string };
  corpusId?: string;
  teacherId?: string;
  hybridId?: string;
  verification?: Verification;
}

/** What `state` and `result` say is all that the commands look at. */
export interface AnalysisView {
  analysisId: string;
  state: PreparationView['status'];
  reference: { label: string; sha256: string };
  other: { label: string; sha256: string };
  conditions: AnalysisConditions;
  warnings: Warning[];
  progress?: { fraction: number; message: string };
  failure?: { reason: string };
  createdAt: string;
  result?: AnalysisReport;
  links: { self: string; report: string };
}

/** A corpus or teacher in a list: stored, being made, or a built-in that could be made. */
export type CorpusView = Partial<CorpusRecord> & { name: string; state?: string; status?: string };
export type TeacherView = Partial<TeacherRecord> & { name: string; state?: string; status?: string };

interface Page<T> {
  items: T[];
  nextCursor?: string;
}

interface Problem {
  title?: string;
  detail?: string;
  errors?: Fault[];
}

export interface RequestOptions {
  method?: 'GET' | 'POST';
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  /** Sent as it is, with this content type, instead of `body`. */
  raw?: { body: ReadableStream; contentType: string };
  headers?: Record<string, string>;
  accept?: string;
  signal?: AbortSignal;
}

/** The server has no such thing. */
export class NotThere extends Trouble {}

/** How long a GET is tried again while the server cannot be reached for a moment (it is restarting). */
const PATIENCE_MS = 20_000;

export class ApiClient {
  readonly url: string;
  readonly #apiKey: string | undefined;
  readonly #texts: Texts;
  readonly #startHint: string;
  #hasNeverAnswered = true;

  constructor(options: { url: string; apiKey?: string | undefined; texts: Texts; startHint?: string }) {
    this.url = options.url;
    this.#apiKey = options.apiKey;
    this.#texts = options.texts;
    this.#startHint = options.startHint ?? '';
  }

  sweep = (sweepId: string, signal?: AbortSignal) =>
    this.#get<SweepView>(`/v1/sweeps/${encodeURIComponent(sweepId)}`, signal);
  trial = (trialId: string, signal?: AbortSignal) =>
    this.#get<TrialView>(`/v1/trials/${encodeURIComponent(trialId)}`, signal);
  metrics = (trialId: string, signal?: AbortSignal) =>
    this.#get<{ trialId: string; epochs: EpochMetrics[] }>(`/v1/trials/${encodeURIComponent(trialId)}/metrics`, signal);
  teacher = (idOrName: string, signal?: AbortSignal) =>
    this.#get<Partial<TeacherRecord>>(`/v1/teachers/${encodeURIComponent(idOrName)}`, signal);
  sweeps = (limit: number) => this.#get<Page<Omit<SweepView, 'trials'>>>(`/v1/sweeps?limit=${limit}`);
  preparation = (preparationId: string, signal?: AbortSignal) =>
    this.#get<PreparationView>(`/v1/preparations/${encodeURIComponent(preparationId)}`, signal);
  corpora = () => this.#all<CorpusView>('/v1/corpora');
  analysis = (analysisId: string, signal?: AbortSignal) =>
    this.#get<AnalysisView>(`/v1/analyses/${encodeURIComponent(analysisId)}`, signal);
  analyses = () => this.#all<AnalysisView>('/v1/analyses');
  hybrids = () => this.#all<HybridRecord>('/v1/hybrids');
  teachers = () => this.#all<TeacherView>('/v1/teachers');
  workers = () => this.#all<LiveWorker>('/v1/workers');
  /** Cancels, pauses, resumes or tries again. Throws NotThere when there is no such sweep or trial. */
  control = (kind: 'sweep' | 'trial' | 'analysis', id: string, action: string) =>
    this.json<{ status?: string; state?: string }>(
      `/v1/${kind === 'analysis' ? 'analyses' : `${kind}s`}/${encodeURIComponent(id)}/${action}`,
      { method: 'POST' },
    );
  drain = (workerId: string) =>
    this.json<LiveWorker>(`/v1/workers/${encodeURIComponent(workerId)}/drain`, { method: 'POST' });

  /** Whether the API can take requests, and what is missing if not. */
  async readiness(): Promise<{ ready: boolean; missing: string }> {
    try {
      const response = await fetch(`${this.url}/v1/health/ready`, { signal: AbortSignal.timeout(5_000) });
      const text = await response.text();
      return { ready: response.ok, missing: response.ok ? '' : (problemOf(text).detail ?? text.slice(0, 300)) };
    } catch {
      return { ready: false, missing: this.#texts.apiNotListening };
    }
  }

  /** Sends a request and parses the JSON answer. Throws Trouble for anything but a 2xx. */
  async json<T>(path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.send(path, options);
    const text = await response.text();
    try {
      return JSON.parse(text || 'null') as T;
    } catch (error) {
      throw new Trouble(this.#texts.notOurServer(this.url), EXIT_FAILED, [], { cause: error });
    }
  }

  /** Sends a request; a redirect is returned, not followed. Throws Trouble for an answer of 400 and above. */
  async send(path: string, options: RequestOptions = {}): Promise<Response> {
    const url = new URL(`${this.url}${path}`);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = { accept: options.accept ?? 'application/json', ...options.headers };
    if (this.#apiKey !== undefined) headers.authorization = `Bearer ${this.#apiKey}`;
    const init: RequestInit & { duplex?: 'half' } = { method: options.method ?? 'GET', headers, redirect: 'manual' };
    if (options.signal) init.signal = options.signal;
    if (options.raw) {
      headers['content-type'] = options.raw.contentType;
      init.body = options.raw.body;
      init.duplex = 'half';
      // By the standard, fetch keeps a copy of the whole body for a redirect, all 2 GiB of it, unless none can come and there is
      // no window.
      init.redirect = 'error';
      init.window = null;
    } else if (options.body !== undefined) {
      headers['content-type'] = 'application/json';
      init.body = JSON.stringify(options.body);
    }
    const response = await this.#fetchPatiently(url, init);
    if (response.status >= 400) throw await this.#troubleOf(response);
    return response;
  }

  async #fetchPatiently(url: URL, init: RequestInit): Promise<Response> {
    const deadline = Date.now() + (init.method === 'GET' ? PATIENCE_MS : 0);
    for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 3_000)) {
      try {
        const response = await fetch(url, init);
        this.#hasNeverAnswered = false;
        if (response.status !== 503 || Date.now() + waitMs > deadline) return response;
        await response.body?.cancel();
      } catch (error) {
        if (init.signal?.aborted) throw new Interrupted();
        const reason = reasonOf(error);
        // A server that was never there is said at once; one that drops a connection gets a moment.
        if (reason === 'ENOTFOUND' || Date.now() + waitMs > deadline || this.#hasNeverAnswered) {
          throw new Trouble(this.#texts.serverUnreachable(this.url, reason, this.#startHint), EXIT_FAILED, [], {
            cause: error,
          });
        }
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        continue;
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  async #troubleOf(response: Response): Promise<Trouble> {
    const text = await response.text();
    if (response.status === 401 || response.status === 403)
      return new Trouble(this.#texts.keyRefused(this.url, this.#apiKey !== undefined), EXIT_FAILED);
    const isProblem = response.headers.get('content-type')?.includes('json') === true;
    const problem = isProblem ? problemOf(text) : {};
    const sentence = problem.detail ?? problem.title ?? this.#texts.strangeAnswer(this.url, response.status);
    if (response.status === 404) return new NotThere(sentence, EXIT_WRONG_REQUEST, problem.errors ?? []);
    if (response.status === 410) return new Gone(sentence, EXIT_WRONG_REQUEST);
    const isWrong = response.status < 500 && response.status !== 429;
    return new Trouble(sentence, isWrong ? EXIT_WRONG_REQUEST : EXIT_FAILED, problem.errors ?? []);
  }

  async #get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return await this.json<T>(path, signal ? { signal } : {});
  }

  /** All pages of a list (a plain array is a list of one page). */
  async #all<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const page: Page<T> | T[] = await this.json(path, { query: { cursor } });
      items.push(...(Array.isArray(page) ? page : page.items));
      cursor = Array.isArray(page) ? undefined : page.nextCursor;
    } while (cursor !== undefined);
    return items;
  }
}

function problemOf(text: string): Problem {
  try {
    const problem: unknown = JSON.parse(text);
    return typeof problem === 'object' && problem !== null ? problem : {};
  } catch {
    return {};
  }
}

/** fetch says only "fetch failed"; the reason is in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return (
    systemCode(cause) ??
    (cause instanceof AggregateError ? systemCode(cause.errors[0]) : undefined) ??
    systemCode(error) ??
    (error instanceof Error ? error.message : String(error))
  );
}
