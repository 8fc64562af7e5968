// What a random search may draw from, and that its draws are a function of seed, name and place in the sequence.
import { describe, expect, it } from 'vitest';
import { InvalidRequest } from './errors.js';
import { extendRequest, parseExtension } from './extension.js';
import { planTrials } from './plan.js';
import { parseSweepRequest } from './requests.js';
import { drawSettings } from './space.js';
import { syntheticCorpus, syntheticTeacher } from './synthetic-sweep.js';

const space = {
  learningRate: { logUniform: [1e-5, 1e-2] },
  temperature: { uniform: [1, 16] },
  studentLayers: { int: [1, 4] },
  channel: ['awgn', 'rayleigh'],
} as const;
const body = (more: object = {}) => ({ teacher: 'demo', trials: 20, space, ...more });
const draw = (count: number, seed = 0) => drawSettings(structuredClone(space) as never, count, seed);

function faultsOf(sent: object): Record<string, string> {
  try {
    parseSweepRequest(sent);
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    return Object.fromEntries(error.faults.map(({ path, message }) => [path, message]));
  }
  return {};
}

describe('draws', () => {
  it('are the same for the same seed, others for another, and a longer sequence begins with the shorter one', () => {
    expect(draw(20)).toEqual(draw(20));
    expect(draw(40).slice(0, 20)).toEqual(draw(20));
    expect(draw(20, 1)).not.toEqual(draw(20));
  });

  it('stay inside, are typed again easily, and spread as they are meant to', () => {
    const drawn = draw(2000);
    const rates = drawn.map(({ learningRate }) => learningRate as number);
    for (const rate of rates) expect(Number(rate.toPrecision(3))).toBe(rate);
    expect(Math.min(...rates)).toBeGreaterThanOrEqual(1e-5);
    expect(Math.max(...rates)).toBeLessThanOrEqual(1e-2);
    // A third of a log-uniform range of three decades lies in each; 2,000 draws leave 0.011 of standard error.
    for (const low of [1e-5, 1e-4, 1e-3])
      expect(rates.filter((rate) => rate >= low && rate < 10 * low).length / 2000).toBeCloseTo(1 / 3, 1);
    const temperatures = drawn.map(({ temperature }) => temperature as number);
    expect(temperatures.reduce((sum, t) => sum + t, 0) / 2000).toBeCloseTo(8.5, 0);
    expect(new Set(drawn.map(({ studentLayers }) => studentLayers))).toEqual(new Set([1, 2, 3, 4]));
    expect(new Set(drawn.map(({ channel }) => channel))).toEqual(new Set(['awgn', 'rayleigh']));
  });

  it('of one hyperparameter do not depend on what else is drawn', () => {
    const alone = drawSettings({ learningRate: { logUniform: [1e-5, 1e-2] } }, 20, 0);
    expect(alone.map(({ learningRate }) => learningRate)).toEqual(draw(20).map(({ learningRate }) => learningRate));
  });

  it('tell a narrow range apart', () => {
    const narrow = drawSettings({ temperature: { uniform: [10, 10.01] } }, 50, 3).map(({ temperature }) => temperature);
    expect(new Set(narrow).size).toBe(50);
  });

  it('never repeat a setting, and empty a small space', () => {
    const small = drawSettings({ studentLayers: { int: [1, 3] }, channel: ['awgn', 'rician'] }, 6, 5);
    expect(new Set(small.map((setting) => JSON.stringify(setting))).size).toBe(6);
  });
});

describe('a random search', () => {
  it('parses to itself, with what varies as reference and baseline', () => {
    const parsed = parseSweepRequest(body());
    expect(parsed).toMatchObject({ search: 'random', trials: 20, searchSeed: 0, baseline: true, reference: true });
    expect(parseSweepRequest(structuredClone(parsed))).toEqual(parsed);
  });

  it('plans as many settings as asked, each with every seed, and is extended by more of the same sequence', () => {
    const request = parseSweepRequest(body({ baseline: false, reference: false, seeds: 2 }));
    const plan = (asked: typeof request) => planTrials(asked, syntheticTeacher, syntheticCorpus);
    expect(plan(request)).toHaveLength(40);
    const longer = plan(extendRequest(request, parseExtension({ trials: 5 })));
    expect(longer).toHaveLength(50);
    expect(longer.slice(0, 40)).toEqual(plan(request));
  });

  it.each([
    [{ learningRate: { logUniform: [0, 1] } }, 'space.learningRate'],
    [{ learningRate: { logUniform: [0.1, 0.01] } }, 'space.learningRate'],
    [{ temperature: { uniform: [1, 1000] } }, 'space.temperature'],
    [{ temperature: { int: [1, 4] } }, 'space.temperature'],
    [{ temperature: { uniform: [1, 4], logUniform: [1, 4] } }, 'space.temperature'],
    [{ temperature: [2, 2] }, 'space.temperature'],
    [{ channel: { uniform: [1, 2] } }, 'space.channel'],
    [{ studentLayers: { int: [1, 2.5] } }, 'space.studentLayers'],
    [{ seed: { int: [1, 2] } }, 'space.seed'],
    [{ temprature: [1] }, 'space.temprature'],
    [{}, 'space'],
  ])('of %j is refused', (wrong, path) => {
    expect(Object.keys(faultsOf({ teacher: 'demo', trials: 3, space: wrong }))).toEqual([path]);
  });

  it('says in one sentence all that may be', () => {
    expect(faultsOf({ teacher: 'demo', trials: 3, space: { learningRate: { logUniform: [0, 1] } } })).toEqual({
      'space.learningRate':
        'must be {"uniform": [low, high]} or {"logUniform": [low, high]} with low < high (logUniform: low > 0), or a list of 1 to 1000 different values to choose from, every number a number greater than 0 and at most 1, got {"logUniform":[0,1]}',
    });
  });

  it('and a grid or a list are not mixed', () => {
    expect(faultsOf(body({ vary: { temperature: [1] } }))).toHaveProperty('vary');
    expect(faultsOf(body({ search: 'grid' }))).toHaveProperty('search');
    expect(faultsOf(body({ trials: [{}] }))).toHaveProperty('trials');
    expect(faultsOf(body({ trials: undefined }))).toHaveProperty('trials');
    expect(faultsOf(body({ base: { temperature: 2 } }))).toHaveProperty(['base.temperature']);
    expect(faultsOf({ teacher: 'demo', trials: 3 })).toHaveProperty('trials');
    expect(faultsOf({ teacher: 'demo', search: 'random', trials: 3 })).toHaveProperty('space');
    expect(faultsOf({ teacher: 'demo', searchSeed: 3 })).toHaveProperty('searchSeed');
    expect(faultsOf({ teacher: 'demo', search: 'list' })).toHaveProperty('trials');
    expect(faultsOf(body({ trials: 9000, seeds: 2 }))).toHaveProperty('trials');
    expect(faultsOf({ teacher: 'demo', trials: 7, space: { studentLayers: { int: [1, 6] } } })).toEqual({
      trials: 'the space holds 6 different settings, 7 cannot be drawn from it',
    });
    expect(() => extendRequest(parseSweepRequest({ teacher: 'demo' }), parseExtension({ trials: 2 }))).toThrow(
      /this sweep is none/,
    );
  });

  it('what was stored before there were spaces parses as before', () => {
    const list = parseSweepRequest({ teacher: 'demo', trials: [{ temperature: 2 }] });
    expect(parseSweepRequest({ teacher: 'demo', search: 'list', trials: [{ temperature: 2 }] })).toEqual(list);
    expect(list).not.toHaveProperty('search');
    expect(parseSweepRequest({ teacher: 'demo', crossDecoding: true })).not.toHaveProperty('crossDecoding');
    expect(parseSweepRequest({ teacher: 'demo', crossDecoding: false })).toHaveProperty('crossDecoding', false);
  });
});
