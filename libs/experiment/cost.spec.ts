// Costs from rates: of the same shape, of the device, or stated; and how bundles fill workers.
import { describe, expect, it } from 'vitest';
import { bundleWork, estimateCost, type KnownRates, rateOf, STATED_RATE } from './cost.js';
import { shapeIdOf } from './identity.js';
import { planTrials } from './plan.js';
import type { BundleRate } from './records.js';
import { parseSweepRequest } from './requests.js';
import { syntheticCorpus as corpus, syntheticTeacher as teacher } from './synthetic-sweep.js';

const context = { teacher, corpus };
const specOf = ({ seed = 1, ...base }: { seed?: number; [name: string]: unknown }) => {
  const [trial] = planTrials(parseSweepRequest({ teacher: 'demo', base, seeds: [seed] }), teacher, corpus);
  return (trial as NonNullable<typeof trial>).spec;
};
const device = { cpu: 'a', threads: 1, library: 'TensorFlow', device: 'cpu' };
const measured = { trainingSeconds: 100, evaluationSeconds: 20, overheadSeconds: 5, device, measuredAt: '2026' };
const none: KnownRates = { ofShape: () => [], any: [] };
const knowing = (...rates: BundleRate[]): KnownRates => ({
  ofShape: (shape) => rates.filter((rate) => rate.shape === shape),
  any: rates,
});

describe('the shape of a training', () => {
  it('is the same whatever is a number a student, and however long it lasts', () => {
    const shape = shapeIdOf(specOf({}));
    for (const other of [{ temperature: 9 }, { distillWeight: 0.1 }, { learningRate: 0.1 }, { seed: 3 }, { epochs: 2 }])
      expect(shapeIdOf(specOf(other))).toBe(shape);
    for (const other of [{ studentLayers: 1 }, { batchSize: 7 }, { channel: 'rayleigh' }, { distillPart: 'decoder' }])
      expect(shapeIdOf(specOf(other))).not.toBe(shape);
  });
});

describe('work', () => {
  it('grows with epochs, students and sizes, and is less behind a frozen side', () => {
    const work = (base: Record<string, unknown>, students = 1) => bundleWork({ spec: specOf(base), students }, context);
    expect(work({ epochs: 4 }).training / work({ epochs: 2 }).training).toBeCloseTo(2, 5);
    expect(work({ epochs: 4 }).evaluation).toBe(work({ epochs: 2 }).evaluation);
    expect(work({}, 4).training).toBeGreaterThan(2 * work({}).training);
    expect(work({ studentLayers: 4 }).training).toBeGreaterThan(work({ studentLayers: 1 }).training);
    expect(work({ distillPart: 'decoder' }).training).toBeLessThan(work({}).training);
    expect(work({ epochs: 3, sentencesPerEpoch: 100, batchSize: 64 }).steps).toBe(6);
  });
});

describe('an estimate', () => {
  const spec = specOf({ epochs: 10 });

  it('of what was measured is what was measured, scaled by epochs', () => {
    const rate = rateOf({ spec, students: 4 }, context, measured);
    const again = estimateCost([{ spec, students: 4 }], context, knowing(rate), { workers: 1, threads: 1 });
    expect(again).toEqual({ deviceSeconds: 120, wallSeconds: 125, workers: 1, source: 'same-shape' });
    const longer = [{ spec: specOf({ epochs: 20 }), students: 4 }];
    expect(estimateCost(longer, context, knowing(rate), { workers: 1, threads: 1 }).deviceSeconds).toBe(220);
  });

  it('takes the rate of the nearest size of bundle, and of another shape only without one', () => {
    const four = rateOf({ spec, students: 4 }, context, measured);
    const one = rateOf({ spec, students: 1 }, context, { ...measured, trainingSeconds: 60, evaluationSeconds: 10 });
    const of = (students: number) =>
      estimateCost([{ spec, students }], context, knowing(four, one), { workers: 1, threads: 1 });
    expect([of(1).deviceSeconds, of(4).deviceSeconds]).toEqual([70, 120]);
    const other = [{ spec: specOf({ studentLayers: 1 }), students: 4 }];
    expect(estimateCost(other, context, knowing(four), { workers: 1, threads: 1 })).toMatchObject({
      source: 'same-device',
    });
  });

  it('without anything measured says that it is a stated rate', () => {
    const { training, evaluation } = bundleWork({ spec, students: 1 }, context);
    const estimate = estimateCost([{ spec, students: 1 }], context, none, { workers: 0, threads: 2 });
    const seconds = training / (2 * STATED_RATE.training) + evaluation / (2 * STATED_RATE.evaluation);
    expect(estimate).toMatchObject({
      source: 'stated-rate',
      workers: 0,
      deviceSeconds: Number(seconds.toPrecision(3)),
    });
  });

  it('fills workers one bundle after another, and is as good as its weakest part', () => {
    const rate = rateOf({ spec, students: 1 }, context, measured);
    const three = new Array(3).fill({ spec, students: 1 });
    const on = (workers: number) => estimateCost(three, context, knowing(rate), { workers, threads: 1 }).wallSeconds;
    expect([on(1), on(2), on(3), on(9)]).toEqual([375, 250, 125, 125]);
    const mixed = [...three, { spec: specOf({ studentLayers: 1 }), students: 1 }];
    expect(estimateCost(mixed, context, knowing(rate), { workers: 1, threads: 1 }).source).toBe('same-device');
    expect(estimateCost([], context, none, { workers: 2, threads: 1 })).toMatchObject({
      deviceSeconds: 0,
      wallSeconds: 0,
    });
  });
});
