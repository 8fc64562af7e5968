// What the command line reads from the environment: where its server is, in which language it speaks, and what `up`
// hands on to the processes it starts.

type Environment = Record<string, string | undefined>;

export interface ClientConfig {
  /** SEMDISTILL_URL, without a slash at its end. */
  serverUrl?: string;
  /** SEMDISTILL_API_KEY */
  apiKey?: string;
  /** From LC_ALL, LC_MESSAGES or LANG, in that order. */
  language: 'en' | 'zh';
  /** TERM says that the terminal cannot move its cursor. */
  dumbTerminal: boolean;
}

/** Settings of the command line; a bad variable is named in `problems` and left out. */
export function readClientConfig(env: Environment = process.env): ClientConfig & { problems: string[] } {
  const problems: string[] = [];
  const locale = env.LC_ALL || env.LC_MESSAGES || env.LANG || '';
  const config: ClientConfig = { language: /^zh/i.test(locale) ? 'zh' : 'en', dumbTerminal: env.TERM === 'dumb' };
  const url = env.SEMDISTILL_URL?.trim();
  if (url) {
    if (isHttpUrl(url)) config.serverUrl = url.replace(/\/+$/, '');
    else problems.push(`SEMDISTILL_URL must be an http(s) address, not ${JSON.stringify(url)}`);
  }
  if (env.SEMDISTILL_API_KEY) config.apiKey = env.SEMDISTILL_API_KEY;
  return { ...config, problems };
}

/** Whether the text is an absolute http or https address. */
export function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

/** What `semdistill up` respects of its own environment when it starts a fleet on this machine. */
export interface LocalFleetConfig {
  /** REDIS_URL: this server is used and none is started. */
  redisUrl?: string;
  redisPrefix?: string;
  /** REDIS_SERVER_BIN: the server program to start. */
  redisServerProgram?: string;
  /** Folders of PATH, in order. */
  searchPath: string[];
  /** SEMDISTILL_STORE: the fleet writes there and not into the state folder. */
  store?: string;
  port?: string;
  /** SEMDISTILL_THREADS: CPU threads of each worker. */
  threads?: string;
  /** SEMDISTILL_MEMORY_MB: memory of each worker's trainer. */
  memoryMb?: string;
}

/** Reads what `semdistill up` respects; the values themselves are checked by the processes that use them. */
export function readLocalFleetConfig(env: Environment = process.env): LocalFleetConfig {
  const config: LocalFleetConfig = {
    searchPath: (env.PATH || '').split(':').filter((folder) => folder !== ''),
  };
  if (env.REDIS_URL) config.redisUrl = env.REDIS_URL;
  if (env.SEMDISTILL_REDIS_PREFIX) config.redisPrefix = env.SEMDISTILL_REDIS_PREFIX;
  if (env.REDIS_SERVER_BIN) config.redisServerProgram = env.REDIS_SERVER_BIN;
  if (env.SEMDISTILL_STORE) config.store = env.SEMDISTILL_STORE;
  if (env.SEMDISTILL_PORT) config.port = env.SEMDISTILL_PORT;
  if (env.SEMDISTILL_THREADS) config.threads = env.SEMDISTILL_THREADS;
  if (env.SEMDISTILL_MEMORY_MB) config.memoryMb = env.SEMDISTILL_MEMORY_MB;
  return config;
}

/** This process's environment with some variables set anew (or removed: undefined), for a child process. */
export function childEnvironment(changes: Environment, env: Environment = process.env): Record<string, string> {
  const merged = Object.entries({ ...env, ...changes });
  return Object.fromEntries(merged.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
