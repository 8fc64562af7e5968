// Parameter counts against the published sizes of DeepSC, and the shapes students get.
import { describe, expect, it } from 'vitest';
import { compressionOf, countParameters, studentArchitecture } from './parameters.js';
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
