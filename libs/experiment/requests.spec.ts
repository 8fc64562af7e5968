// Parsing of request bodies: defaults, and every kind of fault with its path.
import { describe, expect, it } from 'vitest';
import { InvalidRequest } from './errors.js';
import {
  parseCorpusRequest,
  parseCorpusUpload,
  parseDistillationRequest,
  parseSweepRequest,
  parseTeacherRequest,
} from './requests.js';

function faultsOf(parse: () => unknown): Record<string, string> {
  try {
    parse();
  } catch (error) {
    if (error instanceof InvalidRequest) {
      return Object.fromEntries(error.faults.map(({ path, message }) => [path, message]));
    }
    throw error;
  }
  return {};
}

const sweepFaults = (body: unknown) => faultsOf(() => parseSweepRequest(body));

describe('parseSweepRequest', () => {
  it('fills in the defaults', () => {
    const request = parseSweepRequest({ teacher: 'demo', vary: { temperature: [1, 2, 4] } });
    expect(request).toMatchObject({
      name: 'temperature 1, 2, 4',
      teacher: 'demo',
      seeds: [1, 2, 3],
      baseline: true,
      reference: true,
      evaluation: { snrDb: [0, 3, 6, 9, 12, 15, 18], sentences: 500 },
      trialsPerBundle: 8,
    });
    expect(request.corpus).toBeUndefined();
  });

  it('adds baseline and reference only where they mean something', () => {
    expect(parseSweepRequest({ teacher: 'demo', vary: { studentLayers: [1, 2] } })).toMatchObject({
      baseline: false,
      reference: false,
    });
    expect(parseSweepRequest({ teacher: 'demo', trials: [{ distillWeight: 0.5 }, {}] })).toMatchObject({
      baseline: true,
      reference: false,
    });
  });

  it('reports all faults at once, each with its path', () => {
    const faults = sweepFaults({
      base: { temperature: 0, distillWeight: 1.5, distillPart: 'middle', trainSnrDb: [10, 5], epochs: 2.5 },
      vary: { studentLayers: [1, 0, '3'], colour: [1] },
      seeds: 0,
      evaluation: { snrDb: [0, 0], sentences: 0 },
      tempratures: [1],
    });
    expect(faults).toEqual({
      teacher: expect.stringContaining('is required'),
      tempratures: expect.stringContaining('unknown field'),
      seeds: expect.stringMatching(/whole number from 1 to 1000.*got 0/),
      'base.temperature': 'must be a number greater than 0 and at most 100, got 0',
      'base.distillWeight': 'must be a number from 0 to 1, got 1.5',
      'base.distillPart': 'must be one of full, encoder, decoder, got "middle"',
      'base.trainSnrDb': expect.stringContaining('low <= high'),
      'base.epochs': 'must be a whole number from 1 to 10000, got 2.5',
      'vary.colour': expect.stringContaining('unknown field'),
      'vary.studentLayers[1]': expect.stringContaining('got 0'),
      'vary.studentLayers[2]': expect.stringContaining('got "3"'),
      'evaluation.snrDb': expect.stringContaining('different numbers'),
      'evaluation.sentences': expect.stringContaining('got 0'),
    });
  });

  it('suggests the nearest known name', () => {
    expect(sweepFaults({ teacher: 'demo', base: { temprature: 1 } })).toEqual({
      'base.temprature': "unknown field; did you mean 'temperature'?",
    });
    expect(sweepFaults({ teacher: 'demo', seed: 3 }).seed).toContain("'seeds'");
    expect(sweepFaults({ teacher: 'demo', vary: { 'distill-weight': [1] } })['vary.distill-weight']).toContain(
      "'distillWeight'",
    );
  });

  it('refuses NaN, infinities, null and bodies that are no objects', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, null, '4', [4], {}]) {
      expect(sweepFaults({ teacher: 'demo', base: { temperature: value } })).toHaveProperty(['base.temperature']);
    }
    for (const body of [null, [], 'x', 3, undefined]) expect(sweepFaults(body)).toHaveProperty(['']);
    expect(sweepFaults({ teacher: 'demo', base: [] })).toHaveProperty('base');
    expect(sweepFaults({ teacher: 'demo', trials: [3] })).toHaveProperty(['trials[0]']);
    expect(sweepFaults({ teacher: '../etc' })).toHaveProperty('teacher');
  });

  it('treats prototype keys as unknown fields', () => {
    const body = JSON.parse('{"teacher":"demo","__proto__":{"teacher":1},"constructor":1,"vary":{"__proto__":[1]}}');
    expect(Object.keys(sweepFaults(body)).sort()).toEqual(['__proto__', 'constructor', 'vary.__proto__']);
    expect(({} as Record<string, unknown>).teacher).toBeUndefined();
  });

  it('refuses more than 10,000 trials and says how they come about', () => {
    const many = Array.from({ length: 101 }, (_, i) => i + 1);
    const faults = sweepFaults({
      teacher: 'demo',
      vary: { epochs: many, temperature: many.map((t) => t / 2) },
      seeds: 1,
    });
    expect(faults).toEqual({
      vary: '101 temperature x 101 epochs x 1 seeds make 10201 trials; at most 10000 fit one sweep',
    });
  });

  it('refuses contradictions: vary and trials, a field in base and vary, seeds given twice, a value named twice', () => {
    expect(sweepFaults({ teacher: 'demo', vary: { temperature: [1] }, trials: [{}] })).toHaveProperty('trials');
    expect(sweepFaults({ teacher: 'demo', vary: { temperature: [1] }, base: { temperature: 2 } })).toHaveProperty([
      'base.temperature',
    ]);
    expect(sweepFaults({ teacher: 'demo', base: { seed: 1 }, seeds: [1] })).toHaveProperty(['base.seed']);
    expect(sweepFaults({ teacher: 'demo', vary: { temperature: [2, 2] } })).toHaveProperty(['vary.temperature']);
    expect(sweepFaults({ teacher: 'demo', seeds: [1, 1] })).toHaveProperty('seeds');
    expect(sweepFaults({ teacher: 'demo', trials: [] })).toHaveProperty('trials');
  });

  it('takes the seed of base when no seeds are given', () => {
    expect(parseSweepRequest({ teacher: 'demo', base: { seed: 7 } }).seeds).toEqual([7]);
    expect(parseSweepRequest({ teacher: 'demo', vary: { seed: [3, 4] } }).seeds).toEqual([3, 4]);
  });

  it('tells at most a hundred faults and how many more there are', () => {
    const trials = Array.from({ length: 300 }, () => ({ temperature: 0 }));
    const faults = sweepFaults({ teacher: 'demo', trials });
    expect(Object.keys(faults)).toHaveLength(101);
    expect(faults['']).toBe('and 200 more faults');
  });
});

describe('other requests', () => {
  it('parses a distillation with hyperparameters inline', () => {
    const request = parseDistillationRequest({ teacher: 'demo', temperature: 8, evaluation: { snrDb: [12, 0] } });
    expect(request.hyperparameters).toEqual({ temperature: 8 });
    expect(request.evaluation).toEqual({ snrDb: [0, 12], sentences: 500 });
    expect(Object.keys(faultsOf(() => parseDistillationRequest({ temperature: 0, foo: 1 }))).sort()).toEqual([
      'foo',
      'teacher',
      'temperature',
    ]);
  });

  it('parses both kinds of teacher', () => {
    expect(parseTeacherRequest({ builtin: 'demo' })).toEqual({ kind: 'builtin', builtin: 'demo' });
    expect(parseTeacherRequest({ builtin: 'demo', pool: 'a100' })).toMatchObject({ builtin: 'demo', pool: 'a100' });
    const placed = parseTeacherRequest({ name: 'mine', corpus: 'sotu', pool: 'default', requires: ['b', 'a'] });
    expect(placed).toMatchObject({ requires: ['a', 'b'] });
    expect(placed).not.toHaveProperty('pool');
    const request = parseTeacherRequest({ name: 'mine', corpus: 'sotu', layers: 2 });
    expect(request).toMatchObject({ kind: 'training', name: 'mine', corpus: 'sotu' });
    expect(request.kind === 'training' && request.training).toEqual({
      layers: 2,
      dModel: 128,
      dff: 512,
      heads: 8,
      batchSize: 128,
      epochs: 80,
      learningRate: 1e-4,
      weightDecay: 5e-4,
      dropout: 0.1,
      channel: 'awgn',
      channelProfile: 'exact',
      trainSnrDb: [5, 10],
      seed: 1,
    });
  });

  it('refuses teachers that cannot be made', () => {
    expect(faultsOf(() => parseTeacherRequest({}))).toEqual({
      name: expect.stringContaining('required'),
      corpus: expect.stringContaining('required'),
    });
    expect(faultsOf(() => parseTeacherRequest({ builtin: 'demo', layers: 2 })).builtin).toContain('layers');
    expect(faultsOf(() => parseTeacherRequest({ name: 'a', corpus: 'b', dModel: 100 })).dModel).toContain('104');
    expect(faultsOf(() => parseTeacherRequest({ builtin: 'best' })).builtin).toContain('demo');
  });

  it('parses corpora: built-in by body, text by query', () => {
    expect(parseCorpusRequest({ builtin: 'sotu' })).toEqual({ builtin: 'sotu' });
    expect(faultsOf(() => parseCorpusRequest({ builtin: 'europarl' })).builtin).toContain('sotu-small');
    expect(parseCorpusUpload({ name: 'mine', maxWords: '12' })).toEqual({
      name: 'mine',
      options: { minWords: 5, maxWords: 12, minCount: 1, trainShare: 0.9, split: 'hash' },
    });
    expect(parseCorpusUpload({ name: 'mine', split: 'order' }).options.split).toBe('order');
    expect(faultsOf(() => parseCorpusUpload({ name: 'mine', split: 'random' })).split).toContain('hash, order');
    expect(faultsOf(() => parseCorpusUpload({ name: 'mine', minWords: '9', maxWords: '8' })).minWords).toContain('9');
    expect(faultsOf(() => parseCorpusUpload({ minCount: 'two' }))).toEqual({
      name: expect.stringContaining('required'),
      minCount: expect.stringContaining('"two"'),
    });
  });
});
