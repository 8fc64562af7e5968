// PyTorch itself reads what libs/checkpoint writes, and the other way round; so does the Python package safetensors. Needs a
// Python with torch (Debian: python3-torch) and one with safetensors; tests without theirs are skipped and say so.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NamedTensor, readCheckpoint, writePyTorch, writeSafetensors } from '#checkpoint';
import { findPython } from '../support/python.js';

const golden = new URL('../golden/', import.meta.url);
const rewritten = [
  'tiny/student.pth',
  'checkpoints/integers.pth',
  'checkpoints/bfloat16.pth',
  'checkpoints/odd_names.pth',
];

const python = findPython('torch');
const pythonWithSafetensors = findPython('torch, safetensors.torch');
const pythonWithNumpy = findPython('numpy, safetensors.numpy');
const withoutTorch = python ? '' : ' (skipped: no Python with torch was found)';
const withoutSafetensors = pythonWithSafetensors ? '' : ' (skipped: no Python with torch and safetensors was found)';
const withoutNumpy = pythonWithNumpy ? '' : ' (skipped: no Python with numpy and safetensors was found)';

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'semdistill-exchange-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Listing = [name: string, dtype: string, shape: number[], sha256: string][];

const describeState = `
import hashlib, json, sys
import torch
def raw(t):
    return bytes(t.detach().contiguous().view(-1).view(torch.uint8).tolist()) if t.dtype != torch.bool else bytes(t.view(-1).to(torch.uint8).tolist())
def listing(state):
    return [[k, str(v.dtype), list(v.shape), hashlib.sha256(raw(v)).hexdigest()] for k, v in state.items()]
`;

const byName = (a: Listing[number], b: Listing[number]) => (a[0] < b[0] ? -1 : 1);

function runPython(program: string, script: string, ...args: string[]): Listing {
  return JSON.parse(execFileSync(program, ['-c', describeState + script, ...args], { encoding: 'utf8' })) as Listing;
}

const dtypeNames: Record<string, string> = {
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

function listing(tensors: Iterable<NamedTensor>): Listing {
  return [...tensors].map(({ name, dtype, shape, bytes }) => [
    name,
    `torch.${dtypeNames[dtype]}`,
    shape,
    createHash('sha256').update(bytes).digest('hex'),
  ]);
}

function readGolden(file: string): NamedTensor[] {
  return [...readCheckpoint(readFileSync(new URL(file, golden)), file).tensors.values()];
}

test.skipIf(!python).each(rewritten)(`torch.load(weights_only=True) reads our copy of %s${withoutTorch}`, (file) => {
  const tensors = readGolden(file);
  const copy = join(folder, 'copy.pt');
  writeFileSync(copy, writePyTorch(tensors));
  const script = `print(json.dumps(listing(torch.load(sys.argv[1], weights_only=True))))`;
  expect(runPython(python as string, script, copy)).toEqual(listing(tensors));
});

test.skipIf(!python)(`load_state_dict(strict=True) takes our copy of the tiny student${withoutTorch}`, () => {
  const tensors = readGolden('tiny/student.pth');
  const copy = join(folder, 'student.pt');
  writeFileSync(copy, writePyTorch(tensors));
  const script = `
from torch import nn
original = torch.load(sys.argv[2], weights_only=True, map_location='cpu')
model = nn.Module()
for name, value in original.items():
    at = model
    *path, leaf = name.split('.')
    for part in path:
        if part not in dict(at.named_children()): at.add_module(part, nn.Module())
        at = getattr(at, part)
    if leaf == 'pe': at.register_buffer(leaf, torch.zeros_like(value))
    else: at.register_parameter(leaf, nn.Parameter(torch.zeros_like(value)))
model.load_state_dict(torch.load(sys.argv[1], weights_only=True), strict=True)
print(json.dumps(listing({k: model.state_dict()[k] for k in original})))
`;
  const original = new URL('tiny/student.pth', golden).pathname;
  expect(runPython(python as string, script, copy, original)).toEqual(listing(tensors));
});

test.skipIf(!python).each(['zip', 'legacy'])(
  `what torch.save writes now in the %s format is read here${withoutTorch}`,
  (format) => {
    const saved = join(folder, `saved-${format}.pth`);
    const script = `
from collections import OrderedDict
g = torch.Generator().manual_seed(7)
state = OrderedDict()
base = torch.randn(6, 8, generator=g)
state['plain'] = base
state['transposed'] = base.t()
state['strided'] = base[1:5:2, ::3]
state['parameter'] = torch.nn.Parameter(torch.randn(3, generator=g))
for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
    state[str(dtype)] = (torch.randn(5, generator=g) * 3).to(dtype)
state['scalar'] = torch.tensor(2.5)
state['empty'] = torch.zeros(0, 3)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
model(torch.ones(1, 4)).sum().backward()
optimizer.step()
torch.save({'state_dict': state, 'optimizer': optimizer.state_dict(), 'epoch': 3, 'device': torch.device('cpu'), 'rng': torch.get_rng_state()},
           sys.argv[1], _use_new_zipfile_serialization=sys.argv[2] == 'zip')
print(json.dumps(listing(state)))
`;
    const wanted = runPython(python as string, script, saved, format);
    const read = readCheckpoint(readFileSync(saved), saved);
    expect(listing(read.tensors.values())).toEqual(wanted);
    expect(read).toMatchObject({ format: `pytorch-${format}`, stateDictAt: ['state_dict'] });
    expect(read.values.get('epoch')).toBe(3);
    expect(read.otherTensors.has('optimizer/state/0/exp_avg')).toBe(true);
  },
);

test.skipIf(!pythonWithSafetensors)(`the Python package safetensors reads what we write${withoutSafetensors}`, () => {
  const tensors = readGolden('checkpoints/dtypes.safetensors');
  const copy = join(folder, 'copy.safetensors');
  writeFileSync(copy, writeSafetensors(tensors, { teacher: 'déjà "vu"' }));
  const script = `
from safetensors import safe_open
with safe_open(sys.argv[1], 'pt') as f:
    assert f.metadata() == {'teacher': 'déjà "vu"'}
    print(json.dumps(listing({k: f.get_tensor(k) for k in f.keys()})))
`;
  const found = runPython(pythonWithSafetensors as string, script, copy);
  expect(found.sort(byName)).toEqual(listing(tensors).sort(byName));
});

/** As `listing`, of numpy arrays, which have every dtype but bfloat16. */
const describeArrays = `
import hashlib, json, sys
import numpy
from safetensors import safe_open
from safetensors.numpy import save_file
def listing(arrays):
    return [[k, f'torch.{v.dtype}', list(v.shape), hashlib.sha256(numpy.ascontiguousarray(v).tobytes()).hexdigest()] for k, v in arrays.items()]
`;

function runNumpy(script: string, ...args: string[]): Listing {
  const out = execFileSync(pythonWithNumpy as string, ['-c', describeArrays + script, ...args], { encoding: 'utf8' });
  return JSON.parse(out) as Listing;
}

test.skipIf(!pythonWithNumpy)(`safetensors without torch: the package reads what we write${withoutNumpy}`, () => {
  const files = ['dtypes.safetensors', 'integers.pth', 'float64.pth'];
  const tensors = files
    .flatMap((file) => readGolden(`checkpoints/${file}`).map((one) => ({ ...one, name: `${file}/${one.name}` })))
    .filter(({ dtype }) => dtype in dtypeNames && dtype !== 'BF16');
  expect(new Set(tensors.map(({ dtype }) => dtype)).size).toBe(Object.keys(dtypeNames).length - 1);
  const copy = join(folder, 'numpy.safetensors');
  writeFileSync(copy, writeSafetensors(tensors, { teacher: 'déjà "vu"', config: '{"heads":8}' }));
  const script = `
with safe_open(sys.argv[1], 'numpy') as f:
    assert f.metadata() == {'teacher': 'déjà "vu"', 'config': '{"heads":8}'}
    print(json.dumps(listing({k: f.get_tensor(k) for k in f.keys()})))
`;
  expect(runNumpy(script, copy).sort(byName)).toEqual(listing(tensors).sort(byName));
});

test.skipIf(!pythonWithNumpy)(`safetensors without torch: what the package writes is read here${withoutNumpy}`, () => {
  const saved = join(folder, 'saved.safetensors');
  const script = `
draw = numpy.random.default_rng(7)
arrays = {name: (draw.normal(size=(3, 5)) * 3).astype(name) for name in
          ('float64', 'float32', 'float16', 'int64', 'int32', 'int16', 'int8', 'bool')}
arrays['uint8'] = draw.integers(0, 256, 7).astype('uint8')
arrays['scalar'], arrays['empty'] = numpy.array(2.5, 'float32'), numpy.zeros((0, 3), 'float32')
save_file(arrays, sys.argv[1], {'architecture': '{"heads":8}', 'é': '✓'})
print(json.dumps(listing(arrays)))
`;
  const wanted = runNumpy(script, saved);
  const { tensors, metadata, format } = readCheckpoint(readFileSync(saved), saved);
  expect(listing(tensors.values()).sort(byName)).toEqual(wanted.sort(byName));
  expect([...metadata].sort()).toEqual([
    ['architecture', '{"heads":8}'],
    ['é', '✓'],
  ]);
  expect(format).toBe('safetensors');
});
