import { expect, test } from 'vitest';
import { CheckpointError } from './checkpoint-error.js';
import { countNonFinite, type Dtype, fromFloat32, type NamedTensor, toFloat32 } from './named-tensor.js';

const of = (dtype: Dtype, bytes: ArrayLike<number>, shape: number[]): NamedTensor => ({
  name: 'w',
  dtype,
  shape,
  bytes: Uint8Array.from(bytes),
});

test('float16 widens exactly: smallest and largest subnormal, one, largest, both infinities, both zeros', () => {
  const bits = Uint16Array.from([0x0001, 0x03ff, 0x3c00, 0x7bff, 0x7c00, 0xfc00, 0x8000, 0x0000, 0x3555]);
  const widened = toFloat32(of('F16', new Uint8Array(bits.buffer), [9]));
  expect([...widened]).toEqual([2 ** -24, 1023 * 2 ** -24, 1, 65504, Infinity, -Infinity, -0, 0, 0.333251953125]);
});

test('every finite float16 has the value of its sign, exponent and fraction', () => {
  const bits = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
  const widened = toFloat32(of('F16', new Uint8Array(bits.buffer), [2 ** 16]));
  for (let i = 0; i < 2 ** 16; i++) {
    const exponent = (i >> 10) & 31;
    const fraction = i & 1023;
    if (exponent === 31) {
      expect(Number.isNaN(widened[i])).toBe(fraction !== 0);
      continue;
    }
    const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    if (widened[i] !== (i >> 15 ? -size : size)) expect.fail(`float16 bits ${i} became ${widened[i]}`);
  }
});

test('bfloat16 is the upper half of a float32', () => {
  const bits = Uint16Array.from([0x3f80, 0xc040, 0x7f80, 0x0001]);
  const widened = toFloat32(of('BF16', new Uint8Array(bits.buffer), [4]));
  expect([...widened]).toEqual([1, -3, Infinity, 2 ** -133]);
});

test('integers, booleans and float64 become the nearest float32', () => {
  expect([...toFloat32(of('I8', [0xff, 0x7f], [2]))]).toEqual([-1, 127]);
  expect([...toFloat32(of('BOOL', [0, 1], [2]))]).toEqual([0, 1]);
  expect([...toFloat32(of('U16', [0xff, 0xff], [1]))]).toEqual([65535]);
  expect([...toFloat32(of('I64', new Uint8Array(BigInt64Array.from([-(2n ** 62n)]).buffer), [1]))]).toEqual([
    -(2 ** 62),
  ]);
  expect([...toFloat32(of('F64', new Uint8Array(Float64Array.from([0.1]).buffer), [1]))]).toEqual([Math.fround(0.1)]);
});

test('a tensor that begins at an odd byte of its file widens like any other', () => {
  const file = new Uint8Array(9);
  file.set(new Uint8Array(Float32Array.from([1.5, -2]).buffer), 1);
  expect([...toFloat32({ name: 'w', dtype: 'F32', shape: [2], bytes: file.subarray(1) })]).toEqual([1.5, -2]);
});

test('toFloat32 and fromFloat32 copy: changing one side leaves the other as it was', () => {
  const data = Float32Array.from([1, 2]);
  const tensor = fromFloat32('w', [2], data);
  data[0] = 9;
  const back = toFloat32(tensor);
  back[1] = 9;
  expect([...toFloat32(tensor)]).toEqual([1, 2]);
});

test('fromFloat32 of a part of an array takes that part only', () => {
  expect([...toFloat32(fromFloat32('w', [2], Float32Array.from([1, 2, 3, 4]).subarray(1, 3)))]).toEqual([2, 3]);
});

test('a shape that disagrees with the data, and 8-bit floats, are refused by name', () => {
  expect(() => fromFloat32('dense.bias', [3], new Float32Array(2))).toThrow(CheckpointError);
  expect(() => fromFloat32('dense.bias', [3], new Float32Array(2))).toThrow('"dense.bias" of shape [3]');
  expect(() => toFloat32(of('F8_E4M3', [1], [1]))).toThrow('8-bit type F8_E4M3');
});

test('NaN and infinity are counted in every float type, and nothing else is', () => {
  const f32 = fromFloat32('f32', [4], Float32Array.from([NaN, Infinity, 3.4e38, -0]));
  const f16 = { ...of('F16', [0x00, 0x7c, 0xff, 0x7b, 0x01, 0xfe], [3]), name: 'f16' };
  const bf16 = { ...of('BF16', [0x80, 0x7f, 0x7f, 0x7f], [2]), name: 'bf16' };
  const f64 = { ...of('F64', new Uint8Array(Float64Array.from([-Infinity, 1e308]).buffer), [2]), name: 'f64' };
  const fine = fromFloat32('fine', [1], Float32Array.from([1]));
  const integers = { ...of('I16', [0x80, 0x7f], [1]), name: 'i16' };
  const counts = countNonFinite([f32, f16, bf16, f64, fine, integers]);
  expect([...counts]).toEqual([
    ['f32', 2],
    ['f16', 2],
    ['bf16', 1],
    ['f64', 1],
  ]);
});
