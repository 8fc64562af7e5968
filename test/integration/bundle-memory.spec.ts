// The estimate that a bundle's job carries is the trainer's own prediction, for every kind of student.
import { expect, test } from 'vitest';
import { predictMemory } from '#distillation';
import {
  bundleMemoryBytes,
  completeHyperparameters,
  HyperparametersRequest,
  hasComposedLoss,
  matchedTaps,
  parseTeacherRequest,
  studentArchitecture,
  teacherMemoryBytes,
} from '#experiment';

const teacher = { vocabularySize: 22_234, dModel: 128, dff: 512, heads: 8, encoderLayers: 4, decoderLayers: 4 };
const KINDS = [
  {},
  { distillPart: 'decoder' },
  { distillPart: 'encoder' },
  { distillPart: 'decoder', freezeKeptSide: false },
  { studentLayers: 2, studentDModel: 64, studentDff: 256, init: 'random', freezeKeptSide: false },
  { batchSize: 1024 },
  { distillLoss: 'jsd' },
  { featureWeight: 1 },
  { featureWeight: 1, featureKind: 'attention', featureTaps: 'encoder' },
  {
    featureWeight: 1,
    featureTaps: 'decoder',
    studentDModel: 64,
    init: 'random',
    freezeKeptSide: false,
    batchSize: 1024,
  },
  { labelSmoothing: 0.1, batchSize: 1024 },
] as const;

test.each(KINDS.flatMap((kind) => [1, 8, 64].map((students) => ({ kind, students }))))(
  '$students of $kind',
  ({ kind, students }) => {
    const hyperparameters = completeHyperparameters(Object.assign(new HyperparametersRequest(), kind));
    const tokens = 31;
    const { total } = predictMemory({
      kind: { part: hyperparameters.distillPart, freezeKeptSide: hyperparameters.freezeKeptSide },
      student: studentArchitecture(teacher, hyperparameters),
      teacher,
      students,
      batchSize: hyperparameters.batchSize,
      tokens,
      fusedLayers: true,
      composedLoss: hasComposedLoss(hyperparameters),
      featureTaps: matchedTaps(hyperparameters),
      ...(hyperparameters.featureKind ? { featureKind: hyperparameters.featureKind } : {}),
    });
    const estimate = bundleMemoryBytes(hyperparameters, students, { architecture: teacher }, { maxTokens: tokens });
    expect(estimate / total).toBeCloseTo(1, 2);
  },
);

test.each([{}, { layers: 12, dModel: 512, dff: 2048 }, { batchSize: 1024 }])('a teacher of %j', (sizes) => {
  const request = parseTeacherRequest({ name: 'mine', corpus: 'sotu', ...sizes });
  if (request.kind !== 'training') throw new Error('a training is what was asked for');
  const { layers, dModel, dff, heads, batchSize } = request.training;
  const student = { ...teacher, dModel, dff, heads, encoderLayers: layers, decoderLayers: layers };
  const { total } = predictMemory({
    kind: { part: 'full', freezeKeptSide: false },
    student,
    teacher: null,
    students: 1,
    batchSize,
    tokens: 31,
    fusedLayers: true,
  });
  const corpus = { maxTokens: 31, vocabularySize: teacher.vocabularySize };
  expect(teacherMemoryBytes(request.training, corpus) / total).toBeCloseTo(1, 2);
});
