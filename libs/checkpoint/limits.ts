// Ceilings that are checked before work is done, so that a small hostile file cannot cost much time or memory.

/** Ceilings of the readers; the defaults hold a DeepSC of any size and keep hostile files under 200 MB of memory. */
export interface CheckpointLimits {
  /** Bytes of the pickle that describes the tensors. */
  pickleBytes: number;
  /** Containers, strings and tensors a pickle may create. */
  objects: number;
  /** Values on the stack of the pickle machine, and slots of its memo. */
  stackDepth: number;
  memoSlots: number;
  /** Nesting of containers below the top object. */
  nesting: number;
  /** Bytes of one name or other string. */
  stringBytes: number;
  tensors: number;
  rank: number;
  /** Records (members) of a zip archive. */
  records: number;
  /** Bytes of the JSON header of a safetensors file. */
  headerBytes: number;
  /** Names that share a storage may claim this many times the file's size together, plus the slack. */
  expansion: number;
  /** Allowed for small files, whatever their size. */
  expansionSlackBytes: number;
}

export const defaultLimits: Readonly<CheckpointLimits> = {
  pickleBytes: 8 * 2 ** 20,
  objects: 300_000,
  stackDepth: 200_000,
  memoSlots: 300_000,
  nesting: 64,
  stringBytes: 2 ** 16,
  tensors: 20_000,
  rank: 64,
  records: 25_000,
  headerBytes: 16 * 2 ** 20,
  expansion: 4,
  expansionSlackBytes: 16 * 2 ** 20,
};

/** Fills in the defaults. */
export function withDefaults(limits: Partial<CheckpointLimits> = {}): CheckpointLimits {
  return { ...defaultLimits, ...limits };
}

/** Bytes that one tensor, or all together, may claim for a file of this size. */
export function tensorCeiling(fileBytes: number, limits: CheckpointLimits): number {
  return limits.expansion * fileBytes + limits.expansionSlackBytes;
}
