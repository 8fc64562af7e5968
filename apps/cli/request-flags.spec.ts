import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { HYPERPARAMETER_FIELDS, parseDistillationRequest, parseSweepRequest } from '#experiment';
import {
  addHyperparameterFlags,
  addSweepFlags,
  checked,
  distillationBody,
  type Flags,
  inFlags,
  sweepBody,
} from './request-flags.js';
import { textsIn } from './texts.js';
import { Trouble } from './trouble.js';

const texts = textsIn('en');

function flagsOf(...typed: string[]): Flags {
  const command = new Command().exitOverride();
  addSweepFlags(command, texts);
  addHyperparameterFlags(command, texts, true);
  return command.parse(typed, { from: 'user' }).opts();
}

describe('flags of a sweep', () => {
  it('with one value are shared by all trials, with a list vary', () => {
    const body = sweepBody(flagsOf('--temperature', '1,2,4,8', '--distill-weight', '0.7', '--distill-part', 'decoder'));
    expect(body).toEqual({
      base: { distillWeight: 0.7, distillPart: 'decoder' },
      vary: { temperature: [1, 2, 4, 8] },
    });
  });

  it('go by the names users know', () => {
    const typed =
      '--student-layers 2 --student-d-model 64 --student-dff 256 --batch-size 32 --epochs 5 --lr 1e-3 --channel rayleigh';
    const more = '--init random --no-freeze-kept-side --create-hybrid --seed 7 --train-snr-db=-5:10';
    expect(sweepBody(flagsOf(...typed.split(' '), ...more.split(' '))).base).toEqual({
      studentLayers: 2,
      studentDModel: 64,
      studentDff: 256,
      batchSize: 32,
      epochs: 5,
      learningRate: 0.001,
      channel: 'rayleigh',
      init: 'random',
      freezeKeptSide: false,
      createHybrid: true,
      seed: 7,
      trainSnrDb: [-5, 10],
    });
  });

  it('turn the dials of loss, weight and data', () => {
    const typed =
      '--distill-loss kl,jsd --label-smoothing 0,0.1 --weight-schedule linear --final-weight 0.2 --hard-weight 1';
    const more = '--train-share 0.25,0.5,1 --train-top-words 500 --train-words 4:12';
    expect(sweepBody(flagsOf(...typed.split(' '), ...more.split(' ')))).toEqual({
      base: {
        weightSchedule: 'linear',
        finalWeight: 0.2,
        hardWeight: 1,
        trainTopWords: 500,
        trainWords: [4, 12],
      },
      vary: { distillLoss: ['kl', 'jsd'], labelSmoothing: [0, 0.1], trainShare: [0.25, 0.5, 1] },
    });
  });

  it('are explained in Chinese, each of them', () => {
    const chinese = textsIn('zh');
    for (const [name, { meaning }] of Object.entries(HYPERPARAMETER_FIELDS))
      expect(chinese.fieldMeaning(name, meaning), name).toMatch(/[\u4e00-\u9fff]/);
  });

  it('say what a random search draws from, and how often', () => {
    const typed = '--trials 20 --search-seed 7 --lr log-uniform:1e-5..1e-2 --temperature uniform:1..16';
    const more = '--student-layers int:1..4 --channel awgn,rayleigh --epochs 5 --no-cross-decoding';
    expect(sweepBody(flagsOf(...typed.split(' '), ...more.split(' ')))).toEqual({
      trials: 20,
      searchSeed: 7,
      crossDecoding: false,
      base: { epochs: 5 },
      space: {
        learningRate: { logUniform: [1e-5, 1e-2] },
        temperature: { uniform: [1, 16] },
        studentLayers: { int: [1, 4] },
        channel: ['awgn', 'rayleigh'],
      },
    });
    expect(sweepBody(flagsOf('--search', 'random', '--temperature', '1,2'))).toEqual({
      search: 'random',
      space: { temperature: [1, 2] },
    });
    expect(inFlags({ path: 'space.learningRate', message: 'm' }, { lr: 'uniform:0..1' }).path).toBe('--lr');
  });

  it('say seeds as a number or a list, and how students are measured', () => {
    expect(sweepBody(flagsOf('--seeds', '3')).seeds).toBe(3);
    const body = sweepBody(flagsOf('--seeds', '4,9', '--snr', '-6,0,6', '--test-sentences', '50', '--no-baseline'));
    expect(body).toMatchObject({ seeds: [4, 9], baseline: false, evaluation: { snrDb: [-6, 0, 6], sentences: 50 } });
  });

  it('go over the file: what they name is no longer varied there, the rest stays', () => {
    const file = { teacher: 'mine', base: { epochs: 3 }, vary: { temperature: [1, 2], studentLayers: [1, 2] } };
    expect(sweepBody(flagsOf('--temperature', '4', '--epochs', '5,6'), file)).toEqual({
      teacher: 'mine',
      base: { temperature: 4 },
      vary: { studentLayers: [1, 2], epochs: [5, 6] },
    });
    expect(file.vary.temperature).toEqual([1, 2]);
  });

  it('leave a file that is not right as it is, for the parser to judge', () => {
    expect(sweepBody(flagsOf('--temperature', '4'), { base: 7, vary: [] })).toMatchObject({ base: 7, vary: [] });
  });
});

describe('wrong values', () => {
  it('are all named at once, by their flags, before anything is sent', () => {
    const flags = flagsOf(
      '--temperature',
      '0,abc',
      '--distill-weight',
      '1.5',
      '--distill-part',
      'middle',
      '--seeds',
      '0',
    );
    const body = { ...sweepBody(flags), teacher: 'demo' };
    try {
      checked(() => parseSweepRequest(body), texts, flags);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(Trouble);
      if (!(error instanceof Trouble)) return;
      expect(error.exitCode).toBe(2);
      const paths = error.faults.map((fault) => fault.path).sort();
      expect(paths).toEqual(['--distill-part', '--distill-weight', '--seeds', '--temperature', '--temperature']);
      expect(error.faults.find((fault) => fault.path === '--distill-part')?.message).toContain(
        'full, encoder, decoder',
      );
    }
  });

  it('of one distillation may not be lists', () => {
    const flags = { temperature: '1,2' };
    expect(() =>
      checked(() => parseDistillationRequest({ ...distillationBody(flags), teacher: 'demo' }), texts, flags),
    ).toThrow(Trouble);
  });

  it('in the file keep their path in the file', () => {
    expect(inFlags({ path: 'vary.temperature[0]', message: 'm' }, {})).toEqual({
      path: 'vary.temperature[0]',
      message: 'm',
    });
    expect(inFlags({ path: 'vary.temperature[0]', message: 'm' }, { temperature: '1,2' }).path).toBe('--temperature');
    expect(inFlags({ path: 'learningRate', message: 'm' }, { lr: '9' }).path).toBe('--lr');
  });
});
