// What users ask of the fleet while it is disturbed, over REST: sent until it is answered, as a user would.
import { setTimeout as delay } from 'node:timers/promises';
import type { TrialStatus } from '#experiment';

export interface ShownSweep {
  sweepId: string;
  version?: number;
  status: string;
  settledAt?: string;
  counts: Record<string, number>;
  trials: { trialId: string; status: TrialStatus; finishedAt?: string; failure?: { reason: string } }[];
}

export interface Answer {
  status: number;
  body: unknown;
}

const PATIENCE_MS = 180_000;

export class Client {
  constructor(
    private readonly url: string,
    private readonly apiKey: string,
  ) {}

  /** One try; undefined when there is no answer. */
  async once(method: string, path: string, body?: unknown, key?: string): Promise<Answer | undefined> {
    try {
      const answer = await fetch(`${this.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.apiKey}`,
          ...(body ? { 'content-type': 'application/json' } : {}),
          ...(key ? { 'idempotency-key': key } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: AbortSignal.timeout(20_000),
      });
      return { status: answer.status, body: await answer.json() };
    } catch {
      return undefined;
    }
  }

  /** Until it is answered otherwise than with "not now". */
  async patiently(method: string, path: string, body?: unknown, key?: string): Promise<Answer> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await this.once(method, path, body, key);
      if (answer && answer.status < 500) return answer;
      if (performance.now() > until)
        throw new Error(`${method} ${path}: no answer in time, the last: ${JSON.stringify(answer)}`);
      await delay(250);
    }
  }
}

const EPOCHS = 30;

/** Sweeps share a trial (temperature 4, seed 2), in bundles of other company. */
export const SWEEPS = {
  left: sweep('left', [1, 4], [1, 2]),
  right: sweep('right', [4, 8], [2, 3]),
  doomed: sweep('doomed', [2, 16], [1]),
};
export type SweepName = keyof typeof SWEEPS;

function sweep(name: string, temperature: number[], seeds: number[]) {
  return {
    name,
    teacher: 'tiny',
    base: {
      distillPart: 'full',
      studentLayers: 2,
      batchSize: 16,
      epochs: EPOCHS,
      sentencesPerEpoch: 48,
      learningRate: 1e-3,
      trainSnrDb: [2, 12],
      init: 'random',
      freezeKeptSide: false,
    },
    vary: { temperature },
    seeds,
    baseline: false,
    reference: false,
    evaluation: { snrDb: [3, 12], sentences: 20 },
    trialsPerBundle: 2,
  };
}
