// Which trials a request plans, in which order, what it refuses, and how trials are bundled.
import { describe, expect, it } from 'vitest';
import { InvalidRequest } from './errors.js';
import { type PlannedTrial, planBundles, planTrials } from './plan.js';
import { parseDistillationRequest, parseSweepRequest, sweepOfDistillation } from './requests.js';
import { syntheticCorpus as corpus, syntheticTeacher as teacher } from './synthetic-sweep.js';

const plan = (body: object) => planTrials(parseSweepRequest({ teacher: 'demo', ...body }), teacher, corpus);

function faultsOf(make: () => unknown): string[] {
  try {
    make();
  } catch (error) {
    if (error instanceof InvalidRequest) return error.faults.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

function shown({ role, spec: { hyperparameters: h } }: PlannedTrial): string {
  return `${role} T${h.temperature} w${h.distillWeight} L${h.studentLayers} s${h.seed}`;
}

describe('planTrials', () => {
  it('plans a temperature sweep: settings, seeds innermost, T = 1 and the baseline put in', () => {
    expect(plan({ vary: { temperature: [2, 4] }, seeds: 2 }).map(shown)).toEqual([
      'requested T2 w0.7 L2 s1',
      'requested T2 w0.7 L2 s2',
      'requested T4 w0.7 L2 s1',
      'requested T4 w0.7 L2 s2',
      'reference T1 w0.7 L2 s1',
      'reference T1 w0.7 L2 s2',
      'baseline T1 w0 L2 s1',
      'baseline T1 w0 L2 s2',
    ]);
  });

  it('does not put in what is asked for anyway', () => {
    const roles = plan({ vary: { temperature: [1, 4], distillWeight: [0, 0.7] }, seeds: 1 }).map(shown);
    expect(roles).toEqual(['requested T1 w0 L2 s1', 'requested T1 w0.7 L2 s1', 'requested T4 w0.7 L2 s1']);
  });

  it('gives every budget its own baseline', () => {
    const trials = plan({ vary: { temperature: [4, 8], studentLayers: [1, 2] }, reference: false, seeds: 1 });
    expect(trials.filter(({ role }) => role === 'baseline').map(shown)).toEqual([
      'baseline T1 w0 L1 s1',
      'baseline T1 w0 L2 s1',
    ]);
  });

  it('plans the same whatever order the keys of vary came in', () => {
    const forward = plan({ vary: { temperature: [1, 2], studentLayers: [1, 2] } });
    const backward = plan({ vary: { studentLayers: [1, 2], temperature: [1, 2] } });
    expect(backward).toEqual(forward);
  });

  it('makes one trial of settings that differ only in what cannot matter', () => {
    expect(plan({ vary: { freezeKeptSide: [true, false] }, seeds: 1 })).toHaveLength(1);
    expect(plan({ base: { distillWeight: 0 }, vary: { temperature: [2, 4, 8] }, seeds: 1 })).toHaveLength(1);
    expect(plan({ base: { channel: 'ideal' }, trials: [{}, { trainSnrDb: [0, 3] }], seeds: 1 })).toHaveLength(1);
    expect(plan({ trials: [{}, { studentDModel: 128 }, { studentDff: 512 }], seeds: 1 })).toHaveLength(1);
    expect(plan({ trials: [{}, { sentencesPerEpoch: 4000 }, { sentencesPerEpoch: 9999 }], seeds: 1 })).toHaveLength(1);
    expect(plan({ base: { distillPart: 'decoder' }, vary: { freezeKeptSide: [true, false] }, seeds: 1 })).toHaveLength(
      2,
    );
  });

  it('makes hybrids by default where only one part learns', () => {
    const made = plan({ vary: { distillPart: ['full', 'decoder'] }, seeds: 1 });
    expect(made.map(({ spec }) => spec.hyperparameters.createHybrid)).toEqual([false, true]);
  });

  it('lets a listed trial name its own seed', () => {
    expect(
      plan({ trials: [{ temperature: 2, seed: 7 }, { temperature: 4 }], seeds: [1, 2] })
        .map(shown)
        .slice(0, 3),
    ).toEqual(['requested T2 w0.7 L2 s7', 'requested T4 w0.7 L2 s1', 'requested T4 w0.7 L2 s2']);
  });

  it('measures on at most the sentences held out', () => {
    expect(plan({ seeds: 1 })[0]?.spec.evaluation.sentences).toBe(450);
  });

  it('makes one trial of a distillation', () => {
    const request = sweepOfDistillation(parseDistillationRequest({ teacher: 'demo', temperature: 8, seed: 5 }));
    expect(planTrials(request, teacher, corpus).map(shown)).toEqual(['requested T8 w0.7 L2 s5']);
  });

  it('refuses another vocabulary, of another size or of other words', () => {
    const request = parseSweepRequest({ teacher: 'demo' });
    expect(faultsOf(() => planTrials(request, teacher, { ...corpus, vocabularySize: 2000 }))).toEqual([
      expect.stringMatching(/^corpus: vocabulary mismatch.*22234.*2000/),
    ]);
    expect(faultsOf(() => planTrials(request, teacher, { ...corpus, corpusId: 'other' }))).toEqual([
      expect.stringMatching(/^corpus: vocabulary mismatch/),
    ]);
  });

  it('refuses widths that heads, initial weights or a frozen side rule out, once each', () => {
    expect(faultsOf(() => plan({ base: { studentDModel: 100, init: 'random' } }))).toEqual([
      expect.stringMatching(/^studentDModel: width 100 is not a multiple of the 8 attention heads; 104/),
    ]);
    expect(faultsOf(() => plan({ base: { studentDModel: 64 } }))).toEqual([expect.stringMatching(/^init: .*random/)]);
    expect(
      faultsOf(() => plan({ base: { init: 'random', distillPart: 'decoder' }, trials: [{}, { studentDff: 256 }] })),
    ).toEqual([expect.stringMatching(/^trials\[1\]\.freezeKeptSide: /)]);
    expect(faultsOf(() => plan({ base: { init: 'random', studentDModel: 64 } }))).toEqual([]);
  });

  it('refuses sweeps that baselines make too large', () => {
    const temperature = Array.from({ length: 900 }, (_, index) => 1 + index / 10);
    expect(faultsOf(() => plan({ vary: { temperature }, seeds: 11 }))).toEqual([]);
    const vary = { temperature: [1, 2], epochs: Array.from({ length: 900 }, (_, index) => index + 1) };
    expect(faultsOf(() => plan({ vary, seeds: 5 }))).toEqual([expect.stringMatching(/makes 13500 trials/)]);
  });
});

describe('planBundles', () => {
  it('gives each seed its own bundles, balanced, in order', () => {
    const trials = plan({ vary: { temperature: [1, 2, 4, 8] }, seeds: 3 });
    const seedOf = new Map(trials.map(({ trialId, spec }) => [trialId, spec.hyperparameters.seed]));
    for (const [most, sizes] of [
      [8, [5, 5, 5]],
      [4, [3, 2, 3, 2, 3, 2]],
      [1, new Array(15).fill(1)],
    ] as const) {
      const bundles = planBundles(trials, most);
      expect(bundles.map((bundle) => bundle.length)).toEqual(sizes);
      for (const bundle of bundles) expect(new Set(bundle.map((trialId) => seedOf.get(trialId))).size).toBe(1);
      expect(bundles.flat().sort()).toEqual(trials.map(({ trialId }) => trialId).sort());
    }
    expect(planBundles([], 8)).toEqual([]);
  });

  it('puts together only trials of equal shape and data; rates and decays may differ', () => {
    const vary = { studentLayers: [1, 2], learningRate: [1e-4, 1e-3], temperature: [2, 4, 8] };
    const bundles = planBundles(plan({ vary, seeds: 1, baseline: false, reference: false }), 64);
    expect(bundles.map((bundle) => bundle.length)).toEqual([6, 6]);
    const decays = plan({ vary: { weightDecay: [0, 0.01] }, seeds: 1, baseline: false, reference: false });
    expect(planBundles(decays, 64)).toHaveLength(1);
    const grid = plan({ vary: { channel: ['awgn', 'rayleigh'], epochs: [1, 2] }, seeds: 2 });
    expect(planBundles(grid, 64)).toHaveLength(8);
  });
});
