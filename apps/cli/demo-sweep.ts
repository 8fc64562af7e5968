// The numbers of `semdistill demo`: small enough for three minutes on two CPU cores, large enough that the comparison
// says something.
export const DEMO = {
  corpus: 'sotu-small',
  teacher: 'demo',
  workers: 2,
  sweep: {
    name: 'demo',
    teacher: 'demo',
    base: {
      distillWeight: 0.7,
      distillPart: 'decoder',
      studentLayers: 2,
      freezeKeptSide: true,
      createHybrid: true,
      batchSize: 64,
      epochs: 10,
      sentencesPerEpoch: 1024,
      learningRate: 1e-3,
    },
    vary: { temperature: [1, 2, 4, 8] },
    seeds: 3,
    baseline: true,
    evaluation: { snrDb: [0, 6, 12, 18], sentences: 100 },
    trialsPerBundle: 3,
  },
} as const;
