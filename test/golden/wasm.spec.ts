// The golden numbers on the WebAssembly backend with the plain operations: what every machine can run.
import { describe } from 'vitest';
import { plainAdam, plainLossKernel } from '#distillation';
import { startEngine } from '#engine';
import { describeDials } from './dials-suite.js';
import { describeGoldenModel } from './model-suite.js';

describe('DeepSC on WebAssembly equals PyTorch', () => {
  describeGoldenModel({
    start: async () => {
      await startEngine({ backend: 'wasm' });
      return { lossKernel: plainLossKernel, optimizer: plainAdam };
    },
  });
  describeDials(() => startEngine({ backend: 'wasm' }));
});
