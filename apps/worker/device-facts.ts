// What this machine is, as the registry shows it: processor, cores, memory, and the GPUs that the driver names.
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import type { WorkerDevice } from '#experiment';
import { machineMemoryBytes } from './process-memory.js';

/** One folder a GPU, with its model in a file; there since the driver is. */
const NVIDIA_GPUS = '/proc/driver/nvidia/gpus';

export function deviceFacts(folder = NVIDIA_GPUS): WorkerDevice {
  const gpus = gpuModels(folder);
  return {
    cpu: cpus()[0]?.model.trim() || process.arch,
    cores: availableParallelism(),
    memoryBytes: machineMemoryBytes(),
    ...(gpus.length > 0 ? { gpus } : {}),
  };
}

function gpuModels(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((gpu) => {
      const model = /^Model:\s*(.+)$/m.exec(readFileSync(join(folder, gpu, 'information'), 'utf8'))?.[1]?.trim();
      return model ? [model] : [];
    });
  } catch {
    return []; // no such driver
  }
}
