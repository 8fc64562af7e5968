// The PyTorch peers: where their scripts and a Python with PyTorch are, and the commands they are run by. The scripts are not part
// of this repository; what is missing is one sentence, never an error.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ChildFailure, runJson } from './child.mjs';
import { DISTILL_WEIGHT, DROPOUT, LEARNING_RATE, STUDENT_LAYERS, TEACHER_LAYERS, TRAIN_SNR_DB } from './workload.mjs';

const BESIDE_CHECKOUT = fileURLToPath(new URL('../../../shared/peers', import.meta.url));
const SCRIPTS = ['prepare.py', 'torch_sweep.py', 'limit.py'];
const PROBE = 'import json, numpy, torch; print(json.dumps({"torch": torch.__version__, "numpy": numpy.__version__}))';

/** {folder, python, torch, numpy}, or {missing: one sentence}. */
export async function findPeers({ peersFolder, signal }, env = process.env) {
  const folder = resolve(peersFolder ?? env.SEMDISTILL_PEERS ?? BESIDE_CHECKOUT);
  const absent = SCRIPTS.find((script) => !existsSync(join(folder, script)));
  if (absent)
    return {
      missing: `The PyTorch peers are left out: ${folder} has no ${absent} (--peers-folder or SEMDISTILL_PEERS names it).`,
    };
  const python = env.PEER_PYTHON || 'python3';
  try {
    const { result } = await runJson({ command: python, args: ['-c', PROBE], env }, { timeoutMs: 120_000, signal });
    return { folder, python, ...result };
  } catch (error) {
    if (!(error instanceof ChildFailure) || signal.aborted) throw error;
    return {
      missing: `The PyTorch peers are left out: ${python} cannot load torch and numpy (${error.message}); PEER_PYTHON names a Python that can.`,
    };
  }
}

export const PEER_ROLES = {
  plain: { label: 'PyTorch plain', students: 1, args: ['--temperatures', '4'] },
  tuned: { label: 'PyTorch tuned', students: 1, args: ['--temperatures', '4', '--impl', 'tuned', '--chunk', '256'] },
  gang: {
    label: 'PyTorch gang of 4',
    students: 4,
    args: ['--temperatures', '1,2,4,8', '--impl', 'tuned', '--chunk', '256', '--gang'],
  },
};

/** The command of a peer's training; torch_sweep.py counts the warm-up among its steps. */
export function peerCommand(peers, role, { data, batch, steps, warmup, threads, seed }) {
  const args = [
    ['--data', data],
    ['--random-teacher', '1'],
    ['--batch-size', batch],
    ['--steps', steps + warmup],
    ['--warmup', warmup],
    ['--seed', seed],
    ['--threads', threads ?? 0],
    ['--layers', STUDENT_LAYERS],
    ['--teacher-layers', TEACHER_LAYERS],
    ['--dropout', DROPOUT],
    ['--alpha', DISTILL_WEIGHT],
    ['--lr', LEARNING_RATE],
    ['--snr', ...TRAIN_SNR_DB],
  ];
  return pythonCommand(peers, 'torch_sweep.py', [...args.flat(), ...PEER_ROLES[role].args].map(String));
}

export function pythonCommand(peers, script, args) {
  return { command: peers.python, args: [join(peers.folder, script), ...args], env: process.env };
}
