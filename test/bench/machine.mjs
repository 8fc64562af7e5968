// What the figures depend on: processor, memory, kernel, versions, and the GEMM peak as PyTorch and as our engine reach it.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { ChildFailure, runJson } from './child.mjs';
import { ourCommand } from './our-commands.mjs';
import { pythonCommand } from './peers.mjs';
import { loadBetween, readTimes, waitUntilQuiet } from './quiet.mjs';

const ROOT = new URL('../../', import.meta.url);
const INTERESTING_FLAGS = /^(avx|avx2|fma|avx512f|avx512_bf16|avx512_vnni|avxvnni|amx_tile|asimd|sve)$/;

/** Facts that cost nothing to find out. */
export function machineFacts(peers) {
  const cpuinfo = read('/proc/cpuinfo');
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(' ') ?? [];
  return {
    cpu: cpus()[0]?.model.trim(),
    cpuFamily: /^cpu family\s*:\s*(.*)$/m.exec(cpuinfo)?.[1],
    cpuModel: /^model\s*:\s*(.*)$/m.exec(cpuinfo)?.[1],
    vectorUnits: flags.filter((flag) => INTERESTING_FLAGS.test(flag)),
    cores: availableParallelism(),
    memoryGb: Number((totalmem() / 2 ** 30).toFixed(1)),
    kernel: release(),
    hugePages: /\[(\w+)\]/.exec(read('/sys/kernel/mm/transparent_hugepage/enabled'))?.[1],
    node: process.version,
    tensorflow: placedTensorflow(),
    ...(peers.missing ? {} : { torch: peers.torch, numpy: peers.numpy }),
    commit: commit(),
  };
}

function placedTensorflow() {
  const file = new URL('node_modules/.semdistill/engine.json', ROOT);
  if (!existsSync(file)) return null;
  return JSON.parse(readFileSync(file, 'utf8')).tensorflow?.version ?? null;
}

/**
 * GFLOP/s of a 2048 cubed product by who measured it: {ours, torch}, each {median, best}. What a program reaches at its best is
 * the peak; a disturbed moment can only lower it.
 */
export async function measureGemm({ peers, data, threads, quietWaitMs, maxForeign, signal, say }) {
  const commands = { ours: ourCommand('gemm-run.mjs', [], threads) };
  if (!peers.missing && data.folder) {
    const wanted = ['--data', data.folder, ...(threads ? ['--threads', String(threads)] : [])];
    commands.torch = pythonCommand(peers, 'limit.py', wanted);
  }
  const found = {};
  for (const [name, command] of Object.entries(commands)) {
    await waitUntilQuiet({ share: 0.05, limitMs: quietWaitMs, signal });
    try {
      const before = readTimes();
      const { result } = await runJson(command, { timeoutMs: 300_000, signal });
      const foreign = before ? loadBetween(before, readTimes()).foreign : 0;
      found[name] = name === 'ours' ? result.gflops : result.gflops.square_2048;
      if (foreign > maxForeign)
        say(
          `The GEMM peak by ${name} was measured while others used ${(100 * foreign).toFixed(0)} % of the machine: shares of it come out too high.`,
        );
    } catch (error) {
      if (!(error instanceof ChildFailure) || signal.aborted) throw error;
      say(`The GEMM peak by ${name} is missing: ${error.message}`);
    }
  }
  return found;
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function commit() {
  try {
    const git = (...args) =>
      execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const changed = git('status', '--porcelain', '--untracked-files=no').trim() !== '';
    return `${git('rev-parse', '--short', 'HEAD').trim()}${changed ? ' with changes' : ''}`;
  } catch {
    return null;
  }
}
