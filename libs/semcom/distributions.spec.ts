import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { divergences, meanDivergences, originalDifferenceScore, topClasses } from './distributions.js';

const golden = JSON.parse(readFileSync(new URL('../../test/golden/metrics.json', import.meta.url), 'utf8')) as {
  distributions: {
    teacherLogits: number[][];
    studentLogits: number[][];
    keepRow: number[];
    kl: number[];
    reverseKl: number[];
    jsd: number[];
    jsdOverLn2: number[];
    teacherEntropy: number[];
    studentEntropy: number[];
    top1Agree: number[];
    top5Overlap: number[];
    teacherTop1InStudentTop5: number[];
    teacherTop5: number[][];
    studentTop5: number[][];
    meanOverKeptRows: Record<string, number>;
  };
  probabilitiesWithZeros: { p: number[]; q: number[]; kl: number | 'Infinity'; jsd: number; jsdOverLn2: number }[];
};

const expected = golden.distributions;
const rows = {
  teacher: Float64Array.from(expected.teacherLogits.flat()),
  student: Float64Array.from(expected.studentLogits.flat()),
  classes: 9,
  kind: 'logits',
} as const;

function expectNear(actual: ArrayLike<number>, wanted: ArrayLike<number>, what: string): void {
  expect(actual.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++)
    expect(Math.abs((actual[i] as number) - (wanted[i] as number)), `${what} [${i}]`).toBeLessThanOrEqual(1e-9);
}

describe('divergences', () => {
  it('equals the golden rows of logits', () => {
    const measured = divergences(rows);
    expectNear(measured.kl, expected.kl, 'kl');
    expectNear(measured.reverseKl, expected.reverseKl, 'reverseKl');
    expectNear(measured.jsd, expected.jsd, 'jsd');
    expectNear(
      measured.jsd.map((value) => value / Math.LN2),
      expected.jsdOverLn2,
      'jsd / ln 2',
    );
    expectNear(measured.teacherEntropy, expected.teacherEntropy, 'teacherEntropy');
    expectNear(measured.studentEntropy, expected.studentEntropy, 'studentEntropy');
    expect([...measured.top1Agreement]).toEqual(expected.top1Agree);
    expect([...measured.top5Overlap]).toEqual(expected.top5Overlap);
    expect([...measured.teacherTop1InStudentTop5]).toEqual(expected.teacherTop1InStudentTop5);
  });

  it('equals the golden means over the rows that are kept', () => {
    const mean = meanDivergences(divergences(rows), expected.keepRow);
    const { jsdOverLn2, ...others } = expected.meanOverKeptRows;
    expectNear([mean.jsd / Math.LN2], [jsdOverLn2 as number], 'jsd / ln 2');
    for (const [name, value] of Object.entries(others)) expectNear([mean[name as keyof typeof mean]], [value], name);
    expect(meanDivergences(divergences(rows), new Array(10).fill(0)).kl).toBeNaN();
    expect(meanDivergences(divergences(rows)).kl).toBeCloseTo(expected.kl.reduce((sum, kl) => sum + kl) / 10, 9);
  });

  it.each(golden.probabilitiesWithZeros)(
    'equals the golden rows of probabilities with zeros: $p',
    ({ p, q, ...wanted }) => {
      const measured = divergences({ teacher: p, student: q, classes: 4, kind: 'probabilities' });
      if (wanted.kl === 'Infinity') expect(measured.kl[0]).toBe(Number.POSITIVE_INFINITY);
      else expectNear(measured.kl, [wanted.kl], 'kl');
      expectNear(measured.jsd, [wanted.jsd], 'jsd');
    },
  );

  it('is exact for float32 logits far from zero, and for -Infinity', () => {
    const teacher = Float32Array.from([1000, 1001, Number.NEGATIVE_INFINITY]);
    const student = Float32Array.from([-1001, -1000, Number.NEGATIVE_INFINITY]);
    const measured = divergences({ teacher, student, classes: 3, kind: 'logits' });
    expectNear([...measured.kl, ...measured.reverseKl, ...measured.jsd], [0, 0, 0], 'all');
  });

  it('reports NaN for rows that are not numbers', () => {
    const measured = divergences({ teacher: [Number.NaN, 1], student: [0, 1], classes: 2, kind: 'logits' });
    expect(measured.kl[0]).toBeNaN();
    expect(measured.jsd[0]).toBeNaN();
  });

  it('refuses rows of different sizes', () => {
    expect(() => divergences({ teacher: [1, 2], student: [1], classes: 2, kind: 'logits' })).toThrow(
      /rows of 2 classes/,
    );
    expect(() => divergences({ teacher: [1, 2, 3], student: [1, 2, 3], classes: 2, kind: 'logits' })).toThrow(
      RangeError,
    );
  });

  it('shares the overlap by the number of classes when there are fewer than five', () => {
    const measured = divergences({ teacher: [3, 2, 1], student: [1, 2, 3], classes: 3, kind: 'logits' });
    expect(measured.top5Overlap[0]).toBe(1);
    expect(measured.top1Agreement[0]).toBe(0);
  });
});

describe('topClasses', () => {
  it('equals the golden top five, ties to the lower index', () => {
    expect(expected.teacherLogits.map((row) => topClasses(row, 0, 9))).toEqual(expected.teacherTop5);
    expect(expected.studentLogits.map((row) => topClasses(row, 0, 9))).toEqual(expected.studentTop5);
    expect(topClasses([9, 1, 2, 2, 1, 2, 3], 1, 6, 4)).toEqual([5, 1, 2, 4]);
  });
});

describe('originalDifferenceScore', () => {
  it('sums KL over positions, divides by sentences, and takes the agreement off', () => {
    // two sentences of two positions over two classes; p = (1/2, 1/2) against q = (3/4, 1/4) at one position
    const teacherLogits = [0, 0, 1, 0, 0, 1, 0, 0];
    const studentLogits = [Math.log(3), 0, 1, 0, 0, 1, -1, 0];
    const uniformAgainst = (z: number) => -0.5 * (z - 2 * Math.log(1 + Math.exp(z))) - Math.LN2;
    const kl = (uniformAgainst(Math.log(3)) + uniformAgainst(-1)) / 2;
    const score = originalDifferenceScore({
      teacherLogits,
      studentLogits,
      teacherDecoded: [1, 2, 3, 4],
      studentDecoded: [1, 2, 3, 6],
      sentences: 2,
      classes: 2,
    });
    expect(score.klDivergence).toBeCloseTo(kl, 12);
    expect(uniformAgainst(Math.log(3))).toBeCloseTo(0.143841036226, 11);
    expect(score.representationDistance).toBe(1);
    // the tie of the last row goes to class 0 in the teacher, to class 1 in the student
    expect(score.agreementRate).toBe(0.75);
    expect(score.semanticDifferenceScore).toBeCloseTo(kl / 4, 12);
  });
});
