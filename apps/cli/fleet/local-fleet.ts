// A whole fleet on this machine: Redis, API, workers, aggregator as child processes under one state folder. Starts them,
// waits until they can take a sweep, starts again what dies, and stops everything in order.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childEnvironment, type LocalFleetConfig } from '#config';
import { ApiClient } from '../api-client.js';
import type { Texts } from '../texts.js';
import { Interrupted, Trouble } from '../trouble.js';
import {
  answersPing,
  chooseRedisAddress,
  findRedisServer,
  portProblem,
  type RedisAddress,
  redisSettings,
  redisUrl,
} from './redis-server.js';
import { Service, type ServiceExit, type ServiceSettings } from './service.js';
import {
  type ConnectionFile,
  forgetProcesses,
  lockStateFolder,
  openStateFolder,
  recordProcesses,
  type StateFolder,
  stateFolderTrouble,
  writeWhole,
} from './state-folder.js';

export interface LocalFleetOptions {
  statePath: string;
  port: number;
  workers: number;
  config: LocalFleetConfig;
  texts: Texts;
  /** News for the user: what is starting, what died and is started again. */
  tell: (sentence: string) => void;
  /** Ctrl-C while starting. */
  signal: AbortSignal;
  /** Called before the first process starts. */
  onStarted?: (fleet: LocalFleet) => void;
  /** Where dist/ and node_modules/ lie; this package by default. */
  root?: string;
}

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
/** Longest waits of an orderly stop, in its order: workers write a checkpoint and give their jobs back. */
const STOP_GRACE_MS = { workers: 10_000, others: 2_000, redis: 2_000 };
const RESTART_DELAYS_MS = [500, 1_000, 2_000, 4_000];
/** Running this long counts as a success: the next death is the first one again. */
const STEADY_SECONDS = 60;

/** The folder of package.json: this file runs from apps/cli/fleet or from dist/apps/cli/fleet. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

export class LocalFleet {
  readonly url: string;
  readonly client: ApiClient;
  /** Rejects with a Trouble when the fleet cannot go on (a process dies again and again, the disk is full). */
  readonly failed: Promise<never>;
  #fail: (trouble: Trouble) => void = () => undefined;
  #services = new Map<string, Service>();
  #isStopping = false;
  #isReady = false;
  #redis?: { address: RedisAddress; password: string; program: string };
  #root: string;

  /** Starts a fleet and waits until it is ready. Throws Trouble or Interrupted; then nothing is left running. */
  static async start(options: LocalFleetOptions): Promise<LocalFleet> {
    const unlock = await lockStateFolder(options.statePath, options.texts);
    let fleet: LocalFleet | undefined;
    try {
      const state = openStateFolder(options.statePath, options.texts);
      fleet = new LocalFleet(options, state, unlock);
      options.onStarted?.(fleet);
      await Promise.race([fleet.#startAll(), fleet.failed, aborted(options.signal)]);
      return fleet;
    } catch (error) {
      if (fleet) await fleet.stop();
      else unlock();
      throw stateFolderTrouble(error, options.statePath, options.texts);
    }
  }

  private constructor(
    private readonly options: LocalFleetOptions,
    readonly state: StateFolder,
    private readonly unlock: () => void,
  ) {
    this.#root = options.root ?? packageRoot();
    this.url = `http://127.0.0.1:${options.port}`;
    this.client = new ApiClient({ url: this.url, apiKey: state.apiKey, texts: options.texts });
    this.failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    // Whoever waits for it hears of it; nobody need be waiting.
    this.failed.catch(() => undefined);
  }

  get workerNames(): string[] {
    return Array.from({ length: this.options.workers }, (_, i) => `worker-${i + 1}`);
  }

  async #startAll(): Promise<void> {
    const { options, state } = this;
    this.#checkBuilt();
    const problem = await portProblem(options.port);
    if (problem !== undefined) {
      throw new Trouble(
        problem === 'EACCES' ? options.texts.portForbidden(options.port) : options.texts.portInUse(options.port),
      );
    }
    rmSync(state.work, { recursive: true, force: true });
    mkdirSync(state.work, { recursive: true, mode: 0o700 });
    if (options.config.redisUrl === undefined) await this.#startRedis();
    options.tell(options.texts.startingServices(options.workers));
    for (const name of ['api', 'aggregator', ...this.workerNames]) this.#launch(name);
    await this.#untilReady();
    this.#isReady = true;
    const connection: ConnectionFile = { url: this.url, apiKey: state.apiKey };
    writeWhole(state.connectionFile, `${JSON.stringify(connection, null, 2)}\n`);
  }

  #checkBuilt(): void {
    const missing = ['api', 'worker', 'aggregator'].map((app) => this.#entry(app)).find((file) => !existsSync(file));
    if (missing !== undefined || !existsSync(join(this.#root, 'node_modules'))) {
      throw new Trouble(
        this.options.texts.notSetUp(
          missing ?? join(this.#root, 'node_modules'),
          join(this.#root, 'scripts', 'setup.mjs'),
        ),
      );
    }
  }

  #entry(app: string): string {
    return join(this.#root, 'dist', 'apps', app, 'main.js');
  }

  async #startRedis(): Promise<void> {
    const { options, state } = this;
    const recordFile = join(this.#root, 'node_modules', '.semdistill', 'redis.json');
    const program = findRedisServer({ config: options.config, recordFile }, options.texts);
    options.tell(options.texts.startingRedis);
    const address = await chooseRedisAddress(state.redis);
    this.#redis = { address, password: state.apiKey, program };
    if (address.kind === 'socket') rmSync(address.path, { force: true });
    const service = this.#launch('redis');
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (!(await answersPing(address, state.apiKey))) {
      if (this.#isStopping) throw new Interrupted();
      if (!service.isRunning || Date.now() > deadline) {
        throw new Trouble(
          options.texts.serviceDidNotStart(
            'redis',
            service.lastWords || lastLine(service.settings.logFile),
            service.settings.logFile,
          ),
        );
      }
      await pause(POLL_MS);
    }
  }

  /** Starts a service now and again whenever it dies, later and later. */
  #launch(name: string, deaths = 0): Service {
    if (this.#isStopping) throw new Interrupted();
    const service = new Service(this.#settings(name));
    this.#services.set(name, service);
    recordProcesses(this.state.path, this.#identities());
    void service.exited.then(async (exit) => {
      if (this.#isStopping) return;
      try {
        await this.#died(service, exit, exit.seconds > STEADY_SECONDS ? 0 : deaths);
      } catch (error) {
        const trouble = stateFolderTrouble(error, this.state.path, this.options.texts);
        this.#fail(trouble instanceof Trouble ? trouble : new Trouble(String(trouble)));
      }
    });
    return service;
  }

  async #died(service: Service, exit: ServiceExit, deaths: number): Promise<void> {
    const { texts, tell } = this.options;
    const words = service.lastWords || lastLine(service.settings.logFile);
    const delayMs = RESTART_DELAYS_MS[deaths];
    if (this.#isReady && exit.code === 0 && service.name.startsWith('worker-')) {
      tell(texts.workerDrained(service.name));
      return;
    }
    if (!this.#isReady) {
      this.#fail(new Trouble(texts.serviceDidNotStart(service.name, words, service.settings.logFile)));
      return;
    }
    if (delayMs === undefined) {
      this.#fail(new Trouble(texts.serviceKeepsDying(service.name, words, service.settings.logFile)));
      return;
    }
    tell(texts.serviceDied(service.name, exit.signal ?? `exit code ${exit.code}`, delayMs / 1000));
    await pause(delayMs);
    if (!this.#isStopping) this.#launch(service.name, deaths + 1);
  }

  #identities() {
    return [...this.#services.values()].flatMap((service) =>
      service.isRunning && service.identity ? [service.identity] : [],
    );
  }

  #settings(name: string): ServiceSettings {
    const { state, options } = this;
    const shared = {
      name,
      logFile: join(state.logs, `${name}.log`),
      workingFolder: process.cwd(),
      onDiskFull: () => this.#fail(new Trouble(options.texts.diskFull(state.path))),
    };
    if (name === 'redis' && this.#redis) {
      const { address, password, program } = this.#redis;
      return {
        ...shared,
        arguments: [join(this.#root, 'dist', 'apps', 'cli', 'fleet', 'redis-guardian.js'), program, '-'],
        environment: childEnvironment({}),
        input: redisSettings({ folder: state.redis, address, password }),
      };
    }
    const app = name.startsWith('worker-') ? 'worker' : name;
    const followParent = new URL(`file://${join(this.#root, 'dist', 'apps', 'cli', 'fleet', 'follow-parent.js')}`).href;
    return { ...shared, arguments: ['--import', followParent, this.#entry(app)], environment: this.#environment(name) };
  }

  #environment(name: string): Record<string, string> {
    const { state, options } = this;
    const { config } = options;
    const share = Math.max(1, Math.floor(availableParallelism() / options.workers));
    return childEnvironment({
      REDIS_URL: config.redisUrl ?? (this.#redis && redisUrl(this.#redis.address, this.#redis.password)),
      // In a Redis shared with others this folder's jobs must not reach workers that write elsewhere.
      SEMDISTILL_REDIS_PREFIX:
        config.redisPrefix ?? (config.redisUrl ? `{semdistill-${state.fingerprint}}` : undefined),
      SEMDISTILL_STORE: config.store ?? state.store,
      SEMDISTILL_HOST: '127.0.0.1',
      SEMDISTILL_PORT: String(options.port),
      SEMDISTILL_PUBLIC_URL: this.url,
      SEMDISTILL_API_KEY: state.apiKey,
      SEMDISTILL_THREADS: config.threads ?? String(share),
      SEMDISTILL_MEMORY_MB: config.memoryMb ?? String(memoryShareMb(options.workers)),
      SEMDISTILL_WORKER_NAME: name.startsWith('worker-') ? name : undefined,
      TMPDIR: state.work,
    });
  }

  /** Ready: the API says so, and every worker has reported itself. */
  async #untilReady(): Promise<void> {
    const { texts, workers } = this.options;
    const deadline = Date.now() + READY_TIMEOUT_MS;
    let missing = '';
    while (Date.now() < deadline && !this.#isStopping) {
      const readiness = await this.client.readiness();
      missing = readiness.missing;
      if (readiness.ready) {
        const there = await this.client.workers();
        if (there.length >= workers) return;
        missing = texts.workersMissing(there.length, workers);
      }
      await pause(POLL_MS);
    }
    throw new Trouble(texts.notReadyInTime(READY_TIMEOUT_MS / 1000, missing, this.state.logs));
  }

  /** Workers first, so that they can hand their jobs back; then API and aggregator; Redis last. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    rmSync(this.state.connectionFile, { force: true });
    const services = [...this.#services.values()];
    const isWorker = (service: Service) => service.name.startsWith('worker-');
    const stopAll = (chosen: Service[], graceMs: number) =>
      Promise.all(chosen.map((service) => service.terminate(graceMs)));
    await stopAll(services.filter(isWorker), STOP_GRACE_MS.workers);
    await stopAll(
      services.filter((service) => !isWorker(service) && service.name !== 'redis'),
      STOP_GRACE_MS.others,
    );
    await stopAll(
      services.filter((service) => service.name === 'redis'),
      STOP_GRACE_MS.redis,
    );
    rmSync(this.state.work, { recursive: true, force: true });
    forgetProcesses(this.state.path);
    this.unlock();
  }

  /** At once, without asking. */
  killNow(): void {
    for (const service of this.#services.values()) service.kill();
  }
}

/** What each of so many workers may take of the machine's memory, a tenth of which is left to the rest. */
function memoryShareMb(workers: number): number {
  const limit = process.constrainedMemory();
  const bytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return Math.max(512, Math.floor((0.9 * bytes) / workers / 1024 ** 2));
}

/** Rejects with Interrupted when the signal is aborted. */
export async function aborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    if (signal.aborted) reject(new Interrupted());
    signal.addEventListener('abort', () => reject(new Interrupted()), { once: true });
  });
}

/** Waits; an aborted signal ends the wait early. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
  });
}

/** Redis logs to standard output; its reason for not starting is the last line there. */
function lastLine(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').trim().split('\n').at(-1) ?? '';
  } catch {
    return '';
  }
}
