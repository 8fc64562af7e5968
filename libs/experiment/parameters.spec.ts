// Parameter counts against the published sizes of DeepSC, and the shapes students get.
import { describe, expect, it } from 'vitest';
import { compressionOf, countMacs, countParameters, parameterBytes, studentArchitecture } from './parameters.js';
import { completeHyperparameters } from './requests.js';
import { syntheticTeacher } from './synthetic-sweep.js';

const teacher = syntheticTeacher.architecture;

describe('countParameters', () => {
  it('counts the default DeepSC', () => {
    expect(countParameters(teacher)).toEqual({ total: 10_582_762, core: 2_022_672 });
  });

  it('counts smaller ones: half the layers is 1.096 times smaller, half the widths 2.29 times', () => {
    const halved = countParameters({ ...teacher, encoderLayers: 2, decoderLayers: 2 });
    expect(halved).toEqual({ total: 9_657_066, core: 1_096_976 });
    const ratio = compressionOf(countParameters(teacher), halved);
    expect(ratio.total).toBeCloseTo(1.096, 3);
    expect(ratio.core).toBeCloseTo(1.84, 2);
    const narrow = { ...teacher, dModel: 64, dff: 256, encoderLayers: 2, decoderLayers: 2 };
    expect(countParameters(narrow).total).toBe(4_612_714);
  });
});

describe('countMacs', () => {
  it('is worked out by hand for one layer of width 2 with feed-forward 3, 5 words, 4 tokens', () => {
    const tiny = { vocabularySize: 5, dModel: 2, dff: 3, heads: 1, encoderLayers: 1, decoderLayers: 1 };
    // Encoder: four projections of 4 x 2 x 2, scores and sum of 4 x 4 x 2 each, feed-forward of 4 x 2 x 3 twice.
    const encoder = 4 * 16 + 2 * 32 + 2 * 24;
    const channel = 4 * (2 * 256 + 256 * 16) + 4 * (16 * 2 + 2 * 512 + 512 * 2);
    // Three decoded tokens: four own projections, query and output across, keys and values of the memory of 4, a past of
    // 1 + 2 + 3 tokens twice, 3 x 4 across twice, feed-forward.
    const decoder = 4 * 12 + 2 * 12 + 2 * 16 + 2 * 6 * 2 + 2 * 12 * 2 + 2 * 18;
    expect(countMacs(tiny, 4)).toBe(encoder + channel + decoder + 3 * 2 * 5);
  });

  it('grows with the vocabulary by one output column a decoded token, and bytes are four a parameter', () => {
    const wider = { ...teacher, vocabularySize: teacher.vocabularySize + 1 };
    expect(countMacs(wider, 12) - countMacs(teacher, 12)).toBe(11 * 128);
    expect(parameterBytes({ total: 10, core: 3 })).toBe(40);
  });
});

describe('studentArchitecture', () => {
  const student = (request: object) => studentArchitecture(teacher, completeHyperparameters(request));

  it('gives every learning part the layers asked for', () => {
    expect(student({ studentLayers: 3 })).toEqual({ ...teacher, encoderLayers: 3, decoderLayers: 3 });
    expect(student({ studentDModel: 64, studentDff: 100 })).toMatchObject({ dModel: 64, dff: 100, heads: 8 });
  });

  it("keeps the teacher's layers on a frozen side only", () => {
    expect(student({ distillPart: 'decoder' })).toMatchObject({ encoderLayers: 4, decoderLayers: 2 });
    expect(student({ distillPart: 'encoder' })).toMatchObject({ encoderLayers: 2, decoderLayers: 4 });
    expect(student({ distillPart: 'encoder', freezeKeptSide: false })).toMatchObject({
      encoderLayers: 2,
      decoderLayers: 2,
    });
  });
});
