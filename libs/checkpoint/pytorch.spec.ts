import { expect, test } from 'vitest';
import { readCheckpoint, withoutPrefix } from './checkpoint.js';
import { CheckpointError } from './checkpoint-error.js';
import { defaultLimits } from './limits.js';
import { fromFloat32, type NamedTensor, toFloat32 } from './named-tensor.js';
import { readPyTorch } from './pytorch.js';
import { writePyTorch } from './pytorch-writer.js';
import { writeZip } from './zip-writer.js';

const weight = fromFloat32('dense.weight', [2, 3], Float32Array.from([1, 2, 3, 4, 5, 6]));
const bias = fromFloat32('dense.bias', [], Float32Array.from([0.5]));

// Pickles by hand, as latin1 text: one character is one byte.
const little = (value: number, bytes: number) =>
  Array.from({ length: bytes }, (_, i) => String.fromCharCode(Math.floor(value / 256 ** i) % 256)).join('');
const text = (value: string) => `X${little(value.length, 4)}${value}`;
const int = (value: number) => `J${little(value, 4)}`;
const global = (module: string, name: string) => `c${module}\n${name}\n`;
const ordered = `${global('collections', 'OrderedDict')})R`;
const storage = (length: number) =>
  `(${text('storage')}${global('torch', 'FloatStorage')}${text('0')}${text('cpu')}${int(length)}tQ`;
const tensor = (length: number, sizes = `${int(length)}\x85`, strides = `${int(1)}\x85`) =>
  `${global('torch._utils', '_rebuild_tensor_v2')}(${storage(length)}${int(0)}${sizes}${strides}\x89${ordered}tR`;
const dict = (...entries: [string, string][]) => `}(${entries.map(([key, value]) => text(key) + value).join('')}u`;

function file(pickle: string, floats = new Float32Array(4)): Uint8Array {
  return writeZip([
    { name: 'm/data.pkl', bytes: Buffer.from(`\x80\x02${pickle}.`, 'latin1') },
    { name: 'm/data/0', bytes: new Uint8Array(floats.buffer) },
  ]);
}

function refusal(bytes: Uint8Array): string {
  try {
    readPyTorch(bytes);
  } catch (error) {
    if (error instanceof CheckpointError) return error.message;
    throw error;
  }
  return 'not refused';
}

test('what is written is read back: names in order, types, shapes and bytes', () => {
  const all: NamedTensor[] = [
    weight,
    bias,
    fromFloat32('__proto__', [0, 4], new Float32Array(0)),
    { name: 'steps', dtype: 'I64', shape: [1], bytes: Uint8Array.from([7, 0, 0, 0, 0, 0, 0, 0x40]) },
    { name: 'half', dtype: 'BF16', shape: [2], bytes: Uint8Array.from([0, 1, 2, 3]) },
    { name: 'flag', dtype: 'BOOL', shape: [1], bytes: Uint8Array.from([1]) },
  ];
  const read = readPyTorch(writePyTorch(all));
  expect([...read.tensors.values()]).toEqual(all);
  expect(read).toMatchObject({ format: 'zip', stateDictAt: [], prefix: '', notes: [] });
});

test('the same tensors give the same bytes', () => {
  expect(writePyTorch([weight, bias])).toEqual(writePyTorch([weight, bias]));
});

test('a repeated name, and a type torch has no storage for, are not written', () => {
  expect(() => writePyTorch([bias, bias])).toThrow(CheckpointError);
  expect(() => writePyTorch([{ name: 'w', dtype: 'U16', shape: [1], bytes: new Uint8Array(2) }])).toThrow(
    'write safetensors instead',
  );
});

test('tensors that lie row by row are views into the file, not copies', () => {
  const bytes = writePyTorch([weight]);
  expect(readPyTorch(bytes).tensors.get('dense.weight')?.bytes.buffer).toBe(bytes.buffer);
});

test('a transposed view comes out row by row', () => {
  const transposed = tensor(6, `${int(3)}${int(2)}\x86`, `${int(1)}${int(3)}\x86`);
  const read = readPyTorch(file(dict(['w', transposed]), Float32Array.from([1, 2, 3, 4, 5, 6])));
  expect([...toFloat32(read.tensors.get('w') as NamedTensor)]).toEqual([1, 4, 2, 5, 3, 6]);
});

test('a generator state beside the model does not hide the model', () => {
  const read = readPyTorch(file(dict(['rng', tensor(4)], ['net', dict(['a', tensor(4)], ['b', tensor(4)])])));
  expect(read.stateDictAt).toEqual(['net']);
  expect([...read.otherTensors.keys()]).toEqual(['rng']);
});

test('an averaged copy and an optimizer are told from the model', () => {
  const model = dict(['a', tensor(4)]);
  const read = readPyTorch(
    file(dict(['ema_model', model], ['optimizer', dict(['exp_avg', tensor(4)])], ['weights', model])),
  );
  expect(read.stateDictAt).toEqual(['weights']);
  expect([...read.otherTensors.keys()]).toEqual(['ema_model/a', 'optimizer/exp_avg']);
});

test('two models of equal standing are refused with their places', () => {
  const bytes = file(dict(['sender', dict(['a', tensor(4)])], ['receiver', dict(['a', tensor(4)])]));
  expect(refusal(bytes)).toContain('2 state_dicts (sender, receiver)');
});

test('several wrappers leave one prefix', () => {
  const read = readPyTorch(file(dict(['module._orig_mod.a', tensor(4)], ['module._orig_mod.b', tensor(4)])));
  expect(read.prefix).toBe('module._orig_mod.');
  expect([...withoutPrefix(read)].map(([key, { name }]) => [key, name])).toEqual([
    ['a', 'a'],
    ['b', 'b'],
  ]);
});

test('an OrderedDict written by Python 2 as a list of pairs is read', () => {
  const pairs = `${global('collections', 'OrderedDict')}](](${text('w')}${tensor(4)}ee\x85R`;
  expect([...readPyTorch(file(pairs)).tensors.keys()]).toEqual(['w']);
});

test('a tensor with attributes of its own is read without them', () => {
  const inner = `(${storage(4)}${int(0)}${int(4)}\x85${int(1)}\x85\x89${ordered}t`;
  const subclass = `${global('torch._tensor', '_rebuild_from_type_v2')}(${global('torch._utils', '_rebuild_tensor_v2')}${global('torch', 'Tensor')}${inner}${dict(['tag', text('x')])}tR`;
  expect([...readPyTorch(file(dict(['w', subclass]))).tensors.keys()]).toEqual(['w']);
});

test('a legacy file from a big-endian machine is refused', () => {
  const legacy = `\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02${dict(['little_endian', '\x89'])}.`;
  expect(refusal(Buffer.from(legacy, 'latin1'))).toContain('big-endian');
});

test('values that are not finite are noted by name', () => {
  const read = readCheckpoint(writePyTorch([fromFloat32('w', [2], Float32Array.from([NaN, 1]))]), 'x.pt');
  expect(read.notes).toEqual([
    {
      code: 'non-finite',
      message: 'NaN or infinite values stand in "w" (1): such a model cannot be used.',
      values: { where: '"w" (1)' },
    },
  ]);
});

// Small opcodes that would cost much: each has to end at a limit, not in an exhausted machine.
const memoize = 'q\x01';
const recall = 'h\x01';
const names = (count: number) => Array.from({ length: count }, (_, i) => text(`n${i}`));

test.each<[string, string, string]>([
  ['a million dicts at once', `](${'}'.repeat(1_000_000)}e`, 'values pending'],
  ['a million dicts one by one', `]${'}a'.repeat(1_000_000)}`, 'more than 300000 objects'],
  ['a million dict entries', `}${'NNs'.repeat(400_000)}`, 'more than 300000 objects'],
  ['a million marks', '('.repeat(1_000_000), 'values pending'],
  ['many memo slots', `N${Array.from({ length: 400_000 }, (_, i) => `r${little(i, 4)}`).join('')}`, 'memo slots'],
  [
    'a long list walked by a hundred thousand calls',
    `](${'N'.repeat(1000)}e${memoize}${`${global('collections', 'OrderedDict')}${recall}\x85R`.repeat(100_000)}`,
    'from something else than pairs',
  ],
  [
    'a long list of pairs walked by a hundred thousand calls',
    `](${text('k')}N\x86${memoize}${recall.repeat(1000)}eq\x02${`${global('collections', 'OrderedDict')}h\x02\x85R`.repeat(100_000)}`,
    'more than 300000 objects',
  ],
  [
    'one list met by a hundred thousand paths',
    dict(['w', tensor(250_000)], ['x', `](](${'N'.repeat(900)}e${memoize}${recall.repeat(100_000)}e`]),
    'values beside its tensors',
  ],
  [
    'one tensor under a thousand names',
    `}(${text('w')}${tensor(250_000)}${memoize}${names(1000)
      .map((name) => name + recall)
      .join('')}u`,
    'far more than it holds',
  ],
  [
    'a hundred transposed copies of one storage',
    dict(
      ...names(100).map((_, i): [string, string] => [
        `n${i}`,
        tensor(250_000, `${int(500)}${int(500)}\x86`, `${int(1)}${int(500)}\x86`),
      ]),
    ),
    'far more than it holds',
  ],
  ['nesting a hundred deep', `${`}${text('k')}`.repeat(100)}N${'s'.repeat(100)}`, 'nests its values more than 64 deep'],
  ['a pickle above the limit', 'N'.repeat(defaultLimits.pickleBytes + 1), 'more than the 8388608 allowed'],
])('%s: refused within 200 MB', (_what, pickle, message) => {
  const bytes = file(pickle, new Float32Array(250_000));
  const before = process.memoryUsage();
  expect(refusal(bytes)).toContain(message);
  const after = process.memoryUsage();
  expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(200 * 2 ** 20);
});

test('a model of the size for Europarl, 65 MB, is read in under 2 s, its tensors being views of the file', () => {
  const data = new Float32Array(128 * 1024);
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i);
  const tensors = Array.from({ length: 124 }, (_, i) => fromFloat32(`layer.${i}.weight`, [1024, 128], data));
  const file = writePyTorch(tensors);
  expect(file.length).toBeGreaterThan(65_000_000);
  const before = process.memoryUsage().arrayBuffers;
  const startedAt = performance.now();
  const read = readCheckpoint(file, 'large.pth');
  expect(performance.now() - startedAt).toBeLessThan(2000);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 2 ** 20);
  expect(read.tensors.size).toBe(124);
  expect([...read.tensors.values()].every(({ bytes }) => bytes.buffer === file.buffer)).toBe(true);
});
