// Dials in plans: absent where they are as usual, so that trials keep their ids; alike where nothing depends on them; apart in bundles
// where the loss is another.
import { describe, expect, it } from 'vitest';
import { DIALS, isTaught } from './dials.js';
import { InvalidRequest } from './errors.js';
import { HYPERPARAMETER_FIELDS } from './fields.js';
import { planBundles, planTrials } from './plan.js';
import { parseDistillationRequest, parseSweepRequest, sweepOfDistillation } from './requests.js';
import { syntheticCorpus as corpus, syntheticTeacher as teacher } from './synthetic-sweep.js';

const plan = (body: object) => planTrials(parseSweepRequest({ teacher: 'demo', seeds: 1, ...body }), teacher, corpus);
const one = (base: object) => plan({ base })[0]?.spec.hyperparameters;

/** Each dial where it is as usual; trainTopWords is only where it is left out, for it always leaves out unknown words. */
const USUAL = {
  distillLoss: 'kl',
  labelSmoothing: 0,
  weightSchedule: 'constant',
  finalWeight: 0.3,
  hardWeight: 0.3,
  featureWeight: 0,
  featureTaps: 'decoder',
  featureKind: 'attention',
  trainShare: 1,
  trainWords: [1, 1000],
};

describe('trials without dials', () => {
  it('have the ids they had before there were any', () => {
    const ids = (body: object) =>
      planTrials(parseSweepRequest({ teacher: 'demo', ...body }), teacher, corpus).map((t) => t.trialId);
    expect(ids({ vary: { temperature: [1, 2, 4, 8] } }).slice(0, 3)).toEqual([
      '009e0008248ad47bce1ed6e1ecc3ffe0',
      'f32c0bd3951ab0d907dd32dcf5c1220b',
      'ce6a2c260fc9d1506559910bcc6eab59',
    ]);
    expect(ids({ base: { studentDModel: 64, init: 'random', weightDecay: 0.1, dropout: 0, batchSize: 32 } })[0]).toBe(
      'e5b3b31bbfafc53483e23d753ac78d5a',
    );
  });

  it('are the same as those that say of each dial what is usual', () => {
    expect([...Object.keys(USUAL), 'trainTopWords'].sort()).toEqual([...DIALS].sort());
    const bare = plan({ vary: { temperature: [1, 4] } });
    for (const [name, value] of Object.entries(USUAL)) {
      expect(plan({ base: { [name]: value }, vary: { temperature: [1, 4] } }), name).toEqual(bare);
      expect(Object.keys(one({ [name]: value }) ?? {})).not.toContain(name);
    }
    expect(plan({ base: USUAL, vary: { temperature: [1, 4] } })).toEqual(bare);
  });

  it('are told from those that turn one', () => {
    const turned = [
      { distillLoss: 'jsd' },
      { distillLoss: 'reverse-kl' },
      { distillLoss: 'mse' },
      { labelSmoothing: 0.1 },
      { weightSchedule: 'linear' },
      { weightSchedule: 'cosine' },
      { weightSchedule: 'linear', finalWeight: 0.1 },
      { hardWeight: 1 },
      { featureWeight: 1 },
      { featureWeight: 1, featureTaps: 'decoder' },
      { trainShare: 0.5 },
      { trainTopWords: 500 },
      { trainWords: [4, 10] },
    ];
    const ids = [{}, ...turned].map((base) => plan({ base })[0]?.trialId);
    expect(new Set(ids).size).toBe(turned.length + 1);
  });
});

describe('dials that nothing depends on', () => {
  it('are left out: the distance without a teacher, the temperature of mse, the end of a constant weight', () => {
    const untaught = { distillWeight: 0, temperature: 1 };
    expect(one({ ...untaught, distillLoss: 'jsd' })).toEqual(one(untaught));
    expect(one({ distillLoss: 'mse', temperature: 8 })).toEqual(one({ distillLoss: 'mse', temperature: 1 }));
    expect(one({ weightSchedule: 'linear', finalWeight: 0.7 })).toEqual(one({}));
    expect(one({ distillWeight: 1, labelSmoothing: 0.1 })).toEqual(one({ distillWeight: 1 }));
    expect(one({ distillWeight: 1, labelSmoothing: 0.1, weightSchedule: 'linear' })).toMatchObject({
      labelSmoothing: 0.1,
      finalWeight: 0,
    });
  });

  it('features alone are taught by, at any temperature alike', () => {
    const features = one({ distillWeight: 0, featureWeight: 1, temperature: 8, distillLoss: 'jsd' });
    expect(features).toEqual(one({ distillWeight: 0, featureWeight: 1, temperature: 1 }));
    expect(features && isTaught(features)).toBe(true);
  });

  it('a weight that rises from 0 is taught, and one that stays there is not', () => {
    const rising = one({ distillWeight: 0, weightSchedule: 'linear', finalWeight: 0.5, temperature: 3 });
    expect(rising).toMatchObject({ temperature: 3, finalWeight: 0.5 });
    expect(rising && isTaught(rising)).toBe(true);
    const staying = one({ distillWeight: 0, weightSchedule: 'linear', finalWeight: 0, temperature: 3 });
    expect(staying).toEqual(one({ distillWeight: 0 }));
    expect(staying && isTaught(staying)).toBe(false);
  });
});

describe('the baseline', () => {
  it('is put in where any dial of the teacher varies, and is the same for all of them', () => {
    const vary = {
      distillLoss: ['kl', 'reverse-kl', 'jsd', 'mse'],
      weightSchedule: ['constant', 'linear'],
      featureWeight: [0, 1],
    };
    const baselines = plan({ vary }).filter(({ role }) => role === 'baseline');
    const [usual] = plan({ vary: { temperature: [2, 4] } }).filter(({ role }) => role === 'baseline');
    expect(baselines).toEqual([usual]);
    expect(plan({ vary: { labelSmoothing: [0, 0.1] } }).map(({ role }) => role)).toEqual(['requested', 'requested']);
  });

  it('has the targets and the data of what it is compared with', () => {
    const base = { labelSmoothing: 0.1, trainShare: 0.5, hardWeight: 2 };
    const baseline = plan({ base, vary: { temperature: [2, 4] } }).find(({ role }) => role === 'baseline');
    const { hardWeight, labelSmoothing, trainShare, distillWeight } = baseline?.spec.hyperparameters ?? {};
    expect({ hardWeight, labelSmoothing, trainShare, distillWeight }).toEqual({
      hardWeight: undefined,
      labelSmoothing: 0.1,
      trainShare: 0.5,
      distillWeight: 0,
    });
  });
});

describe('bundles', () => {
  it('keep apart those whose loss the engine does not know, and put together whatever else differs', () => {
    const trials = [
      {},
      { weightSchedule: 'linear' },
      { hardWeight: 1 },
      { distillLoss: 'jsd' },
      { labelSmoothing: 0.1 },
      { distillLoss: 'mse', labelSmoothing: 0.2 },
      { trainShare: 0.5 },
      { trainShare: 0.5, distillLoss: 'jsd' },
      { featureWeight: 1 },
      { featureWeight: 2, distillWeight: 0.5 },
      { featureWeight: 1, featureTaps: 'encoder' },
      { featureWeight: 1, featureKind: 'attention' },
    ];
    const planned = plan({ trials, baseline: false });
    const bundles = planBundles(planned, 64).map((bundle) =>
      bundle.map((id) => planned.findIndex(({ trialId }) => trialId === id)),
    );
    expect(bundles).toEqual([[0, 1, 2], [3, 4, 5], [6], [7], [8, 9], [10], [11]]);
  });
});

describe('wrong dials', () => {
  const faultsOf = (make: () => unknown) => {
    try {
      make();
    } catch (error) {
      if (error instanceof InvalidRequest) return error.faults.map(({ path, message }) => `${path}: ${message}`);
      throw error;
    }
    return [];
  };

  it('are refused with what is allowed, all at once', () => {
    const wrong = {
      distillLoss: 'l1',
      labelSmoothing: 1,
      finalWeight: 1.5,
      hardWeight: -1,
      trainShare: 0,
      trainWords: [9, 4],
    };
    const faults = faultsOf(() => parseDistillationRequest({ teacher: 'demo', ...wrong }));
    expect(faults.map((fault) => fault.split(':')[0]).sort()).toEqual(Object.keys(wrong).sort());
    expect(faults).toContain('distillLoss: must be one of kl, reverse-kl, jsd, mse, got "l1"');
    expect(faults).toContain('labelSmoothing: must be a number at least 0 and less than 1, got 1');
  });

  it('are refused where nothing is left to learn from', () => {
    const request = sweepOfDistillation(parseDistillationRequest({ teacher: 'demo', distillWeight: 0, hardWeight: 0 }));
    expect(faultsOf(() => planTrials(request, teacher, corpus))).toEqual([expect.stringMatching(/^hardWeight: is 0/)]);
  });

  it('are refused where the matched encoder would be the one of the teacher', () => {
    const frozen = { distillPart: 'decoder', featureWeight: 1 };
    expect(faultsOf(() => plan({ base: { ...frozen, featureTaps: 'encoder' } }))).toEqual([
      expect.stringMatching(/^featureTaps: 'encoder' matches the semantic encoder/),
    ]);
    expect(one(frozen)).toEqual(one({ ...frozen, featureTaps: 'decoder' }));
    expect(one({ ...frozen, freezeKeptSide: false })?.featureTaps).toBeUndefined();
  });

  it('each dial has its line in the table', () => {
    for (const name of DIALS) expect(HYPERPARAMETER_FIELDS[name].meaning.length).toBeGreaterThan(20);
  });
});
