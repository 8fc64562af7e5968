// Every measure of one trial over SNR under its name in the report, and the curves that all trials have in common. A measure that a
// record of an earlier version lacks, or that has no value somewhere, is absent, never 0.
import type { DivergenceCurve, LikelihoodCurve, TrialEvaluation } from '../records.js';
import { mean } from '../statistics/index.js';
import {
  type CurveName,
  DECODED_CURVES,
  DIVERGENCE_CURVES,
  type DivergenceCurveName,
  LIKELIHOOD_CURVES,
  type OwnCurveName,
  type PerCurve,
  type Report,
} from './report.js';

const ORDERS = ['1', '2', '3', '4'] as const;

/** The curves of a trial: the student's own, its hybrid's, what it lacks of the teacher, its distances to the teacher. */
export function curvesOf({ student, hybrid, teacher, divergence, likelihood }: TrialEvaluation): PerCurve<number[]> {
  const curves: PerCurve<number[]> = {};
  const put = (name: CurveName, values: readonly (number | null)[] | undefined) => {
    const numbers = values?.filter((value): value is number => typeof value === 'number' && Number.isFinite(value));
    if (numbers && numbers.length === values?.length) curves[name] = numbers;
  };
  for (const name of DECODED_CURVES) put(name, student[name]);
  for (const order of ORDERS) {
    put(`hybridBleu${order}`, hybrid?.[`bleu${order}`]);
    const ours = student[`bleu${order}`];
    put(
      `gapBleu${order}`,
      teacher[`bleu${order}`].map((value, index) => value - (ours[index] ?? Number.NaN)),
    );
  }
  for (const name of LIKELIHOOD_CURVES) put(name, likelihood?.student[name]);
  for (const name of DIVERGENCE_CURVES) put(name, divergenceOf(divergence, name));
  return curves;
}

/** Means over trials: the teacher's own curves, teacher against itself, untrained student. Null without trials. */
export function anchorsOf(evaluations: readonly TrialEvaluation[]): Report['anchors'] {
  if (evaluations.length === 0) return null;
  const averaged = <Name extends string>(names: readonly Name[], of: (one: TrialEvaluation, name: Name) => unknown) => {
    const made: { [name in Name]?: number[] } = {};
    for (const name of names) {
      const curves = evaluations.map((one) => of(one, name));
      if (curves.every(isWhole))
        made[name] = (curves[0] ?? []).map((_, index) => mean(curves.map((curve) => curve[index] ?? Number.NaN)));
    }
    return made;
  };
  return {
    teacher: averaged<OwnCurveName>([...DECODED_CURVES, ...LIKELIHOOD_CURVES], ({ teacher, likelihood }, name) =>
      isLikelihood(name) ? likelihood?.teacher[name] : teacher[name],
    ),
    floor: averaged(DIVERGENCE_CURVES, ({ floor }, name) => divergenceOf(floor, name)),
    ceiling: averaged(DIVERGENCE_CURVES, ({ ceiling }, name) => divergenceOf(ceiling, name)),
  };
}

function divergenceOf(curve: DivergenceCurve, name: DivergenceCurveName): readonly (number | null)[] | undefined {
  return name === 'jsdShare' ? curve.jsd.map((value) => value / Math.LN2) : curve[name];
}

function isLikelihood(name: string): name is Exclude<keyof LikelihoodCurve, 'snrDb'> {
  return (LIKELIHOOD_CURVES as readonly string[]).includes(name);
}

function isWhole(curve: unknown): curve is number[] {
  return Array.isArray(curve) && curve.every((value) => typeof value === 'number' && Number.isFinite(value));
}
