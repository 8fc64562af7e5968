// The golden numbers on TensorFlow's own library with the fused operations. Skipped, and said, where set-up placed none.
import { describe } from 'vitest';
import { ADAM_ARITHMETIC, plainLossKernel } from '#distillation';
import { startEngine } from '#engine';
import { describeDials } from './dials-suite.js';
import { describeGoldenModel } from './model-suite.js';

const engine = await startEngine({ backend: 'auto' });
const isThere = engine.numerics.backend === 'tensorflow';
if (!isThere) console.warn(`TensorFlow golden tests skipped: ${engine.notice}`);

describe.skipIf(!isThere)('DeepSC on TensorFlow equals PyTorch', () => {
  describeGoldenModel({
    start: async () => ({
      lossKernel: engine.lossKernel ?? plainLossKernel,
      optimizer: (start, options) =>
        (engine.adam as NonNullable<typeof engine.adam>)(start, options, ADAM_ARITHMETIC),
    }),
  });
  describeDials(async () => engine);
});
