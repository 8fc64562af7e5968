import { expect, test } from 'vitest';
import { CheckpointError } from './checkpoint-error.js';
import { fromFloat32, type NamedTensor } from './named-tensor.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';

const weight = fromFloat32('dense.weight', [2, 3], Float32Array.from([1, 2, 3, 4, 5, 6]));
const bias = fromFloat32('dense.bias', [], Float32Array.from([0.5]));
const empty = fromFloat32('none', [0, 4], new Float32Array(0));
const flags: NamedTensor = { name: 'flags', dtype: 'BOOL', shape: [3], bytes: Uint8Array.from([1, 0, 1]) };

/** A file with a header written by hand and `length` zero bytes of data. */
function file(header: string, length = 0): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

test('what is written is read back: names, order, types, shapes, bytes and metadata', () => {
  const { tensors, metadata } = readSafetensors(
    writeSafetensors([weight, bias, empty, flags], { teacher: 'déjà "vu"\n', corpus: 'x' }),
  );
  expect([...tensors.values()]).toEqual([weight, bias, empty, flags]);
  expect([...metadata]).toEqual([
    ['corpus', 'x'],
    ['teacher', 'déjà "vu"\n'],
  ]);
});

test('the same tensors give the same bytes, whatever the order of the metadata keys', () => {
  const one = writeSafetensors([weight, bias], { a: '1', b: '2' });
  expect(writeSafetensors([weight, bias], { b: '2', a: '1' })).toEqual(one);
});

test('every tensor begins at a multiple of its element size, and the data at a multiple of 8', () => {
  const bytes = writeSafetensors([flags, weight, bias]);
  const { tensors } = readSafetensors(bytes);
  expect([...tensors.keys()]).toEqual(['dense.weight', 'dense.bias', 'flags']);
  expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
  for (const { bytes: view, dtype } of tensors.values()) if (dtype === 'F32') expect(view.byteOffset % 4).toBe(0);
});

test('a name such as __proto__ is a name like any other', () => {
  const odd = ['__proto__', 'constructor', '', 'wéird/name "x"'].map((name) => ({ ...bias, name }));
  expect([...readSafetensors(writeSafetensors(odd)).tensors.keys()]).toEqual(odd.map(({ name }) => name));
});

test('a repeated name, the name __metadata__ and bytes that do not fit the shape are not written', () => {
  expect(() => writeSafetensors([bias, bias])).toThrow(CheckpointError);
  expect(() => writeSafetensors([{ ...bias, name: '__metadata__' }])).toThrow('is taken already');
  expect(() => writeSafetensors([{ ...bias, shape: [2] }])).toThrow('cannot have 4 bytes');
});

test('escapes in names are understood, and spaces around the header are allowed', () => {
  const header = ' { "a\\u00e9\\"" : {"dtype":"U8", "shape":[1] ,"data_offsets":[0,1]} } ';
  expect([...readSafetensors(file(header, 1)).tensors.keys()]).toEqual(['aé"']);
});

test.each([
  ['an unknown field', '{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}', 'unknown or repeated field "x"'],
  ['a repeated field', '{"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 'repeated field "dtype"'],
  ['three offsets', '{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}', 'two data_offsets'],
  ['a number beyond 2^53', '{"w":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}', 'whole number'],
  ['a number with a leading zero', '{"w":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}', 'whole number'],
  ['text after the header', '{}x', 'text follows'],
  ['a string that does not end', '{"w', 'a string does not end'],
  ['a control character in a name', '{"w\n":{}}', 'control character'],
  ['metadata given twice', '{"__metadata__":{},"__metadata__":{}}', '"__metadata__" is given twice'],
])('%s is refused', (_what, header, message) => {
  expect(() => readSafetensors(file(header, 1))).toThrow(CheckpointError);
  expect(() => readSafetensors(file(header, 1))).toThrow(message);
});

test('a file with more tensors than the limit is refused', () => {
  const bytes = writeSafetensors([weight, bias]);
  expect(() => readSafetensors(bytes, { tensors: 1 })).toThrow('more than 1 tensors');
});
