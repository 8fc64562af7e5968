// Each warning has a request that causes it, and a sound sweep causes none.
import { describe, expect, it } from 'vitest';
import { planBundles, planTrials } from './plan.js';
import { parseSweepRequest } from './requests.js';
import { syntheticCorpus, syntheticTeacher } from './synthetic-sweep.js';
import { warningsFor } from './warnings.js';

function warningsOf(body: object, teacher = syntheticTeacher, corpus = syntheticCorpus): Map<string, string> {
  const request = parseSweepRequest({ teacher: 'demo', evaluation: { sentences: 400 }, ...body });
  const trials = planTrials(request, teacher, corpus);
  const context = {
    teacher,
    corpus,
    trials,
    evaluationSentences: request.evaluation.sentences,
    earlyStopping: request.earlyStopping,
    isDrawn: request.search === 'random',
    bundles: planBundles(trials, request.trialsPerBundle),
  };
  return new Map(warningsFor(context).map(({ code, message }) => [code, message]));
}

const codesOf = (body: object) => [...warningsOf(body).keys()];
const quiet = { studentLayers: 4 };

describe('warningsFor', () => {
  it('says nothing about a sound temperature sweep', () => {
    expect(codesOf({ base: quiet, vary: { temperature: [1, 2, 4, 8] } })).toEqual([]);
  });

  it.each([
    ['temperature-below-1', { base: quiet, vary: { temperature: [0.5, 2] } }],
    ['temperature-above-15', { base: quiet, vary: { temperature: [2, 16] } }],
    ['weight-above-0.95', { base: { ...quiet, distillWeight: 0.96 } }],
    ['few-student-layers', { base: { studentLayers: 1 } }],
    ['more-layers-than-teacher', { base: { studentLayers: 5 } }],
    ['student-larger', { base: { studentLayers: 5 } }],
    [
      'temperature-and-weight-varied',
      { base: quiet, trials: [{ temperature: 2, distillWeight: 0.5 }, { temperature: 8 }] },
    ],
    ['losses-at-one-weight', { base: quiet, vary: { distillLoss: ['kl', 'jsd'] } }],
    [
      'dials-varied-together',
      { base: quiet, trials: [{ temperature: 2 }, { temperature: 8, distillLoss: 'jsd' }], baseline: true },
    ],
    ['smoothing-above-0.3', { base: { ...quiet, labelSmoothing: 0.5 } }],
    ['no-hard-loss', { base: { ...quiet, hardWeight: 0 } }],
    ['feature-weight-above-10', { base: { ...quiet, featureWeight: 20 } }],
    ['slices-of-other-budgets', { base: quiet, vary: { trainShare: [0.5, 1] } }],
    ['small-slice', { base: { ...quiet, trainShare: 0.1 } }],
    ['one-seed', { base: quiet, vary: { temperature: [1, 2] }, seeds: 1 }],
    ['no-baseline', { base: quiet, vary: { temperature: [1, 2] }, baseline: false }],
    ['temperature-without-effect', { base: quiet, vary: { distillWeight: [0, 0.7] } }],
    ['hybrid-not-frozen', { base: { ...quiet, distillPart: 'decoder', freezeKeptSide: false } }],
    ['hybrid-of-full-student', { base: { ...quiet, createHybrid: true } }],
    ['hardly-compresses', { base: { studentLayers: 2 } }],
    ['batch-larger-than-epoch', { base: { ...quiet, batchSize: 64, sentencesPerEpoch: 50, epochs: 200 } }],
    ['few-steps', { base: { ...quiet, epochs: 1 } }],
    ['snr-outside-training', { base: { ...quiet, trainSnrDb: [4, 5] } }],
    ['ideal-channel-ignores-snr', { base: { ...quiet, channel: 'ideal' } }],
    ['channel-differs-from-teacher', { base: { ...quiet, channel: 'rayleigh' } }],
    ['no-rung', { base: { ...quiet, epochs: 20 }, earlyStopping: { graceEpochs: 20 } }],
    ['stopped-in-bundles', { base: quiet, vary: { temperature: [2, 4, 8] }, earlyStopping: {} }],
    ['few-test-sentences', { base: quiet, evaluation: { sentences: 20 } }],
  ])('%s', (code, body) => {
    const message = warningsOf(body).get(code);
    expect(message).toMatch(/^.{60,}[.]$/);
  });

  it('computes what fewer layers save', () => {
    expect(warningsOf({ base: { studentLayers: 2 } }).get('hardly-compresses')).toContain('1.096 times smaller (1.84');
    expect(codesOf({ base: { studentLayers: 2, studentDModel: 64, init: 'random' } })).not.toContain(
      'hardly-compresses',
    );
  });

  it('tells a full grid of temperature and weight from a confounded list', () => {
    const grid = warningsOf({ base: quiet, vary: { temperature: [2, 8], distillWeight: [0.5, 0.7] } });
    expect(grid.get('temperature-and-weight-varied')).toContain('one weight at a time');
    const list = warningsOf({ base: quiet, trials: [{ temperature: 2, distillWeight: 0.5 }, { temperature: 8 }] });
    expect(list.get('temperature-and-weight-varied')).toContain('confounded');
    const space = { temperature: { uniform: [2, 8] }, distillWeight: { uniform: [0.5, 0.9] } };
    expect(codesOf({ base: quiet, trials: 5, space })).toEqual([]);
  });

  it('says nothing of early stopping one by one, with rungs on the way', () => {
    const body = { base: quiet, vary: { temperature: [1, 2, 4] }, earlyStopping: {}, trialsPerBundle: 1 };
    expect(codesOf(body)).toEqual([]);
  });

  it('finds dials that hide each other, and none where each is seen alone', () => {
    const of = (body: object) => warningsOf({ base: quiet, ...body }).get('dials-varied-together');
    expect(of({ vary: { distillLoss: ['kl', 'mse'], temperature: [1, 4], labelSmoothing: [0, 0.1] } })).toBeUndefined();
    expect(of({ vary: { weightSchedule: ['constant', 'linear'], finalWeight: [0.1, 0.3] } })).toBeUndefined();
    const trials = [{ temperature: 2 }, { temperature: 4 }, { temperature: 8, labelSmoothing: 0.1 }];
    expect(of({ trials })).toMatch(/^labelSmoothing never change alone/);
    expect(of({ trials: [{ distillWeight: 0 }, { distillWeight: 0.5 }, { temperature: 2 }] })).toBeUndefined();
  });

  it('says that mse knows no temperature', () => {
    const warned = warningsOf({ base: { ...quiet, distillLoss: 'mse' } });
    expect(warned.get('temperature-without-effect')).toMatch(/^With distillLoss mse/);
  });

  it('counts the steps of a slice', () => {
    const base = { ...quiet, batchSize: 64, epochs: 3 };
    expect(warningsOf({ base: { ...base, trainShare: 0.2 } }).get('few-steps')).toMatch(/^Only 39 training steps/);
    expect(codesOf({ base })).not.toContain('few-steps');
  });

  it('warns of a teacher that has little to teach and of sentences there are not', () => {
    const weak = { ...syntheticTeacher, scores: { ...syntheticTeacher.scores, bleu1: [0.1, 0.2] } };
    expect(warningsOf({ base: quiet }, weak).get('weak-teacher')).toContain('0.20');
    const imported = { ...weak, warnings: [{ code: 'teacher-untrained', message: 'BLEU-1 0.001 at 18 dB: no.' }] };
    const warned = warningsOf({ base: quiet }, imported);
    expect(warned.get('teacher-untrained')).toMatch(/^Teacher .*: BLEU-1 0\.001 at 18 dB: no\. .* import it again/);
    expect(warned.has('weak-teacher')).toBe(false);
    expect(warningsOf({ base: quiet, evaluation: { sentences: 1000 } }).get('few-test-sentences')).toContain('450');
  });
});
