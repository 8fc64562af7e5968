import { expect, test } from 'vitest';
import { trialIdOf } from './identity.js';
import { planTrials } from './plan.js';
import type { CorpusRecord, TeacherRecord } from './records.js';
import { parseSweepRequest } from './requests.js';
import { foldTrials, unfoldTrial } from './sweep-trials.js';

const architecture = { vocabularySize: 100, dModel: 16, dff: 32, heads: 4, encoderLayers: 2, decoderLayers: 2 };
const teacher = { teacherId: 't', name: 't', corpusId: 'c', architecture } as TeacherRecord;
const corpus = {
  corpusId: 'c',
  name: 'c',
  vocabularySize: 100,
  sentences: { train: 50, test: 5 },
} as CorpusRecord;

test('every trial comes out of its sweep’s record as it was planned', () => {
  const request = parseSweepRequest({
    teacher: 't',
    trials: [{ temperature: 2 }, { temperature: 8, studentDModel: 8, init: 'random', seed: 9 }, { trainSnrDb: [0, 5] }],
    seeds: 3,
  });
  const planned = planTrials(request, teacher, corpus);
  const folded = foldTrials(planned);
  // As it is read back from the store.
  const { common, trials } = JSON.parse(JSON.stringify(folded)) as typeof folded;
  const createdAt = '2026-01-02T03:04:05.000Z';
  for (const [index, { trialId, spec }] of planned.entries()) {
    const record = unfoldTrial({ common, createdAt }, trials[index] as (typeof trials)[number]);
    expect(record).toEqual({ trialId, spec, createdAt });
    expect(trialIdOf(record?.spec as typeof spec)).toBe(trialId);
  }
});

test('what all trials have in common stands once', () => {
  const request = parseSweepRequest({ teacher: 't', vary: { temperature: [1, 2] }, seeds: 2, baseline: false });
  const { common, trials } = foldTrials(planTrials(request, teacher, corpus));
  expect(common.hyperparameters).toMatchObject({ batchSize: 128 });
  expect(trials.map(({ own }) => own)).toEqual([
    { temperature: 1, seed: 1 },
    { temperature: 1, seed: 2 },
    { temperature: 2, seed: 1 },
    { temperature: 2, seed: 2 },
  ]);
});

test('records of earlier versions hold no trials', () => {
  expect(unfoldTrial({ createdAt: '' }, { trialId: 'x', role: 'requested' })).toBeUndefined();
});
