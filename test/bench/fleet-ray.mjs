// Ray Tune's bookkeeping of a trial whose training does nothing, by the peers' own script, where a Python with Ray is at hand.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ChildFailure, runJson } from './child.mjs';

const BESIDE_CHECKOUT = fileURLToPath(new URL('../../../shared/peers', import.meta.url));
const SCRIPT = 'ray_overhead.py';
const LIMIT_MS = 300_000;

/** Each a run of Ray by itself; its start is not counted. */
const WAYS = [
  { of: 'Ray Tune, a fresh process a trial', trials: 20, quick: 4, args: ['--trainable', 'function'] },
  { of: 'Ray Tune, actors used again', trials: 300, quick: 40, args: ['--trainable', 'class', '--reuse-actors'] },
];

/** {python, script}, or {missing: one sentence}. */
export async function findRay(python = process.env.PEER_RAY_PYTHON, env = process.env) {
  if (!python) return { missing: 'Ray Tune is left out: --ray or PEER_RAY_PYTHON names a Python that can load it.' };
  const script = join(resolve(env.SEMDISTILL_PEERS ?? BESIDE_CHECKOUT), SCRIPT);
  if (!existsSync(script))
    return { missing: `Ray Tune is left out: there is no ${script} (SEMDISTILL_PEERS names its folder).` };
  try {
    const args = ['-c', 'import json, ray.tune; print(json.dumps({"ray": ray.__version__}))'];
    await runJson({ command: python, args, env }, { timeoutMs: 120_000, signal: new AbortController().signal });
    return { python, script };
  } catch (error) {
    if (!(error instanceof ChildFailure)) throw error;
    return { missing: `Ray Tune is left out: ${python} cannot load it (${error.message}).` };
  }
}

export async function measureRay({ python, script }, isQuick) {
  const measured = [];
  for (const { of, trials, quick, args } of WAYS) {
    const command = { command: python, args: [script, '--trials', String(isQuick ? quick : trials), ...args] };
    const limits = { timeoutMs: LIMIT_MS, signal: new AbortController().signal };
    const result = await runJson({ ...command, env: process.env }, limits).then(
      (run) => run.result,
      (error) => {
        if (!(error instanceof ChildFailure)) throw error;
        console.error(`${of} is left out: ${error.message}`);
      },
    );
    if (!result) continue;
    if (result.finished !== result.trials || result.errors > 0) throw new Error(`${of}: not all trials have ended`);
    measured.push({ of: `${of} (${result.ray})`, value: result.per_trial_ms, unit: 'ms a trial' });
  }
  return measured;
}
