// Every file of test/golden/checkpoints does what its index says: honest ones give exactly these tensors, broken and
// malicious ones end in one clear error, fast and without a side effect.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Checkpoint, readCheckpoint } from './checkpoint.js';
import { CheckpointError } from './checkpoint-error.js';
import { type Dtype, type NamedTensor, toFloat32 } from './named-tensor.js';

interface ExpectedTensor {
  dtype: string;
  shape: number[];
  sum: number | string;
  first: (number | string)[];
  sha256: string;
}

interface ExpectedFile {
  file: string;
  bytes: number;
  expect: 'load' | 'refuse' | 'loadOrRefuse';
  format?: 'zip' | 'legacy' | 'safetensors';
  reason?: string;
  stateDictAt?: string[];
  prefix?: string;
  tensors?: Record<string, ExpectedTensor>;
  otherTensors?: Record<string, ExpectedTensor>;
  values?: Record<string, unknown>;
  mustNotCreate?: string;
}

const folder = new URL('../../test/golden/checkpoints/', import.meta.url);
const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')) as { files: ExpectedFile[] };

const dtypeNames: Partial<Record<Dtype, string>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};

function attempt(wanted: ExpectedFile): Checkpoint | CheckpointError {
  try {
    return readCheckpoint(readFileSync(new URL(wanted.file, folder)), wanted.file);
  } catch (error) {
    if (error instanceof CheckpointError) return error;
    throw error;
  }
}

function compareTensors(found: Map<string, NamedTensor>, wanted: Record<string, ExpectedTensor>): void {
  expect(new Set(found.keys())).toEqual(new Set(Object.keys(wanted)));
  for (const [name, tensor] of found) {
    const entry = wanted[name] as ExpectedTensor;
    expect(dtypeNames[tensor.dtype]).toBe(entry.dtype);
    expect(tensor.shape).toEqual(entry.shape);
    expect(createHash('sha256').update(tensor.bytes).digest('hex')).toBe(entry.sha256);
    const numbers = values(tensor);
    for (const [i, first] of entry.first.entries()) expect(isNear(numbers[i], first), `${name}[${i}]`).toBe(true);
    expect(
      isNear(
        numbers.reduce((sum, value) => sum + value, 0),
        entry.sum,
      ),
      `sum of ${name}`,
    ).toBe(true);
  }
}

/** The values as doubles, 64-bit integers as the nearest. */
function values(tensor: NamedTensor): number[] {
  const { buffer } = new Uint8Array(tensor.bytes);
  if (tensor.dtype === 'F64') return [...new Float64Array(buffer)];
  if (tensor.dtype === 'I64') return [...new BigInt64Array(buffer)].map(Number);
  if (tensor.dtype === 'I32') return [...new Int32Array(buffer)];
  return [...toFloat32(tensor)];
}

/** Equal to the 9 digits of the index, whose strings are NaN, infinities and integers beyond 2^53. */
function isNear(found: number | undefined, wanted: number | string): boolean {
  const target = Number(wanted);
  if (found === undefined || Object.is(found, target) || found === target) return found !== undefined;
  return Math.abs(found - target) <= 1e-8 * Math.max(1e-6, Math.abs(target));
}

test.each(index.files.map((wanted) => [wanted.file, wanted.expect, wanted] as const))(
  '%s: %s',
  (_file, _expect, wanted) => {
    const startedAt = performance.now();
    const outcome = attempt(wanted);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    if (outcome instanceof CheckpointError) {
      expect(wanted.expect, outcome.message).not.toBe('load');
      expect(outcome.message).toMatch(/^[^\n]{20,600}\.$/);
    } else {
      expect(wanted.expect).not.toBe('refuse');
      if (wanted.tensors) compareTensors(outcome.tensors, wanted.tensors);
      if (wanted.otherTensors) compareTensors(outcome.otherTensors, wanted.otherTensors);
      if (wanted.format) expect(outcome.format.endsWith(wanted.format)).toBe(true);
      if (wanted.stateDictAt) expect(outcome.stateDictAt).toEqual(wanted.stateDictAt);
      expect(outcome.prefix).toBe(wanted.prefix ?? '');
      for (const [path, value] of Object.entries(wanted.values ?? {})) expect(outcome.values.get(path)).toEqual(value);
    }
    if (wanted.mustNotCreate) expect(existsSync(wanted.mustNotCreate)).toBe(false);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  },
);

test('the index lists the files that are there', () => {
  expect(index.files.length).toBeGreaterThan(200);
  for (const { file, bytes } of index.files) expect(readFileSync(new URL(file, folder)).length).toBe(bytes);
});
