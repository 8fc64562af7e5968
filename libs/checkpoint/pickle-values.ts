// What a pickle may make here: plain values, containers, and inert records that only name a class or a storage.
import type { Dtype } from './named-tensor.js';

/** A Python float; ints are plain numbers, so that a size of 2.0 is not taken for 2. */
export class PickledFloat {
  constructor(readonly value: number) {}
}

export class PickledTuple {
  constructor(readonly items: readonly PickledValue[]) {}
}

/** A name from the allow-list; calling it means one of our own functions, never Python's. */
export class PickledGlobal {
  constructor(readonly path: string) {}
}

/** A dtype, device or similar that stands beside the tensors and is only shown. */
export class PickledLabel {
  constructor(readonly text: string) {}
}

/** One storage record, by its key; its bytes are read later. */
export class PickledStorage {
  constructor(
    readonly key: string,
    /** Undefined for an untyped storage, whose length counts bytes. */
    readonly dtype: Dtype | undefined,
    readonly length: number,
  ) {}
}

/** A view into a storage: element i lies at offset + Σ index·stride. */
export class PickledTensor {
  constructor(
    readonly storage: PickledStorage,
    readonly dtype: Dtype,
    readonly offset: number,
    readonly shape: number[],
    readonly strides: number[],
  ) {}
}

/** The only dict that may carry attributes (`_metadata`). */
export class PickledOrderedDict extends Map<PickledKey, PickledValue> {}

export type PickledKey = string | number | bigint | boolean | null;

export type PickledDict = Map<PickledKey, PickledValue>;

export type PickledValue =
  | PickledKey
  | PickledFloat
  | PickledTuple
  | PickledGlobal
  | PickledLabel
  | PickledStorage
  | PickledTensor
  | PickledDict
  | PickledValue[];

/** What a value is, in Python's words, for messages. */
export function describe(value: PickledValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (value instanceof Map) return 'a dict';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof PickledTuple) return 'a tuple';
  if (value instanceof PickledGlobal) return `the class ${value.path}`;
  if (value instanceof PickledLabel) return value.text;
  if (value instanceof PickledStorage) return 'a storage';
  if (value instanceof PickledTensor) return 'a tensor';
  if (value instanceof PickledFloat) return 'a float';
  if (typeof value === 'string') return 'a string';
  return typeof value === 'boolean' ? 'a bool' : 'an int';
}

/** An opened file of torch.save: the object it was given, and the bytes of the storages it names. */
export interface OpenedPyTorch {
  value: PickledValue;
  /** As many as the storage claims, little-endian. */
  storageBytes: (storage: PickledStorage) => Uint8Array;
}
