// A fleet as a user starts it, each process by itself with all settings at their defaults: API, aggregator, workers; and a small
// teacher and text to train on, made over REST.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const APPS = resolve(import.meta.dirname, '../../dist/apps');
const TICKS_PER_SECOND = 100;
const READY_MS = 30_000;

export class FleetProcesses {
  #children = new Map();
  url = '';

  constructor(environment, key) {
    this.environment = environment;
    this.key = key;
  }

  async start(app, name, more = {}) {
    const env = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      ...this.environment,
      SEMDISTILL_LOG: 'info',
      ...more,
    };
    const child = spawn(process.execPath, [resolve(APPS, app, 'main.js')], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.set(name, child);
    let said = '';
    const isUp = new Promise((done, fail) => {
      const hear = (chunk) => {
        said += chunk;
        const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
        if (app === 'api' && url) this.url = url;
        if (app === 'api' ? url : /takes jobs|settles sweeps/.test(said)) done();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', () => fail(new Error(`the ${app} ended: ${said.trim().split('\n').at(-1)}`)));
      setTimeout(() => fail(new Error(`the ${app} is not up: ${said}`)), READY_MS).unref();
    });
    await isUp;
    return child.pid;
  }

  startWorker(name) {
    return this.start('worker', name, { SEMDISTILL_WORKER_NAME: name, SEMDISTILL_THREADS: '1' });
  }

  async kill(name) {
    const child = this.#children.get(name);
    this.#children.delete(name);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Process ids by name. */
  get pids() {
    return new Map([...this.#children].map(([name, { pid }]) => [name, pid]));
  }

  async close() {
    const children = [...this.#children.values()];
    this.#children.clear();
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }),
    );
  }

  async request(method, path, body, contentType = 'application/json') {
    const headers = { authorization: `Bearer ${this.key}`, 'content-type': contentType };
    const response = await fetch(`${this.url}${path}`, { method, headers, ...(body ? { body } : {}) });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** A text of words by chance and a teacher of one epoch on it. */
  async prepare(name) {
    const text = textOf(1_200);
    await this.#made(await this.request('POST', `/v1/corpora?name=${name}&minWords=4&minCount=1`, text, 'text/plain'));
    const asked = { name, corpus: name, layers: 2, dModel: 64, dff: 128, heads: 4, batchSize: 32, epochs: 1 };
    await this.#made(await this.request('POST', '/v1/teachers', JSON.stringify(asked)));
  }

  async #made({ preparationId }) {
    for (;;) {
      const { status, failure } = await this.request('GET', `/v1/preparations/${preparationId}`);
      if (status === 'completed') return;
      if (status === 'failed') throw new Error(failure?.reason ?? 'the preparation failed');
      await sleep(250);
    }
  }
}

/** CPU seconds that a process has used so far. */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Lines of 5 to 20 words out of 400, the same each time. */
function textOf(lines) {
  let state = 12_345;
  const next = (below) => {
    state = (1_103_515_245 * state + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
  const word = () => `w${String.fromCharCode(97 + next(20))}${String.fromCharCode(97 + next(20))}`;
  return Array.from({ length: lines }, () => `${Array.from({ length: 5 + next(15) }, word).join(' ')} .`).join('\n');
}
