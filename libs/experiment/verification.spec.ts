import { expect, it } from 'vitest';
import type { BleuCurve, Numerics, RecordedScores } from './records.js';
import { bleuTolerance, compareScores, parseVerificationRequest } from './verification.js';

const NUMERICS: Numerics = { backend: 'tensorflow', library: 'TensorFlow 2.15.1', threads: 2, device: 'cpu' };
const curve = (bleu2: number[]): BleuCurve => ({
  snrDb: [0, 9],
  bleu1: [0.5, 0.9],
  bleu2,
  bleu3: [0, 0],
  bleu4: [0, 0],
});
const recorded = (more: Partial<RecordedScores> = {}): RecordedScores => ({
  scores: curve([0.4, 0.8]),
  sentences: 200,
  channel: 'awgn',
  channelProfile: 'exact',
  numerics: NUMERICS,
  together: 1,
  kept: null,
  ...more,
});

it('asks for the last bit on the same numerics, and names the point furthest away', () => {
  const same = compareScores(recorded(), { scores: curve([0.4, 0.8]), numerics: NUMERICS });
  expect(same).toMatchObject({ holds: true, tolerance: 0 });
  const off = compareScores(recorded(), { scores: curve([0.4 + 1e-12, 0.8 - 1e-9]), numerics: NUMERICS });
  expect(off).toMatchObject({ holds: false, tolerance: 0, largest: { order: 2, snrDb: 9, recorded: 0.8 } });
});

it('allows two sentences of difference, and 0.01 at least, on other numerics or those of another version', () => {
  expect([bleuTolerance(10), bleuTolerance(200), bleuTolerance(5000), bleuTolerance(0)]).toEqual([0.2, 0.01, 0.01, 2]);
  const { numerics: _, ...unknown } = recorded();
  for (const [record, by, holds] of [
    [recorded(), 0.009, true],
    [recorded(), 0.011, false],
    [unknown, 0.009, true],
    [recorded({ sentences: 20 }), 0.09, true],
  ] as const) {
    const measured = { scores: curve([0.4, 0.8 + by]), numerics: { ...NUMERICS, threads: 3 } };
    expect(compareScores(record, measured).holds).toBe(holds);
  }
});

it('takes nothing measured, or nothing recorded, for no proof', () => {
  const none: BleuCurve = { snrDb: [], bleu1: [], bleu2: [], bleu3: [], bleu4: [] };
  expect(compareScores(recorded(), { scores: none, numerics: NUMERICS }).holds).toBe(false);
  expect(compareScores(recorded({ scores: none }), { scores: none, numerics: NUMERICS }).holds).toBe(false);
});

it('takes one model and nothing else', () => {
  expect(parseVerificationRequest({ model: 'demo' })).toEqual({ model: 'demo' });
  expect(() => parseVerificationRequest({})).toThrow(/model: is required/);
  expect(() => parseVerificationRequest({ model: 'x', scores: 1 })).toThrow(/scores: unknown field/);
});
