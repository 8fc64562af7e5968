// How the students of a bundle are measured, all of them together: decoding, distances to the teacher, floor, ceiling, and time.
import {
  type BleuCurves,
  type DecodedLink,
  type EvaluationRequest,
  keptSide,
  type Link,
  type MeasuredDivergence,
  measureBleu,
  measureDecoding,
  measureDivergence,
  type Sided,
} from '#distillation';
import type { Latency, SentenceValues, TrialEvaluation } from '#experiment';
import { disposeWeights, type Weights, weightsFromArrays } from '#semcom';
import { type BundleContext, kindOf } from './bundle-context.js';
import type { Model } from './files.js';
import { latencyOf, latencySentences } from './latency.js';
import { stack } from './stack.js';

/** Beyond, chance in the sentences is far below that between seeds, and the record would grow for nothing. */
const MOST_SENTENCE_VALUES = 2000;

/** BLEU of students, hybrids and teacher, distances to the teacher, floor and ceiling; one evaluation a trial, and how long a sentence takes. */
export async function evaluateBundle(
  context: BundleContext,
  models: { models: Model[]; untrained: Model },
  request: EvaluationRequest,
): Promise<{ evaluations: TrialEvaluation[]; latency: Latency }> {
  const { teacher, hyperparameters, port } = context;
  const owned: Weights[] = [];
  const own = (side: Sided): Sided => {
    owned.push(side.weights);
    return side;
  };
  const kept = keptSide(kindOf(hyperparameters));
  const teacherSide = own({ shape: teacher.shape, weights: weightsFromArrays(teacher.shape, teacher.arrays) });
  const linkOf = (side: Sided): Link => ({
    transmitter: kept === 'transmitter' ? teacherSide : side,
    receiver: kept === 'receiver' ? teacherSide : side,
  });
  const tell = (done: number) =>
    port.send({
      type: 'progress',
      phase: 'evaluating',
      fraction: done,
      step: 0,
      steps: 0,
      epoch: hyperparameters.epochs,
      epochs: hyperparameters.epochs,
      tokensPerSecond: 0,
      trainLoss: {},
    });
  try {
    const teacherLink = { transmitter: teacherSide, receiver: teacherSide };
    const students = linkOf(own(stack(models.models)));
    tell(0);
    const [teacherBleu] = await measureBleu(teacherLink, request);
    const decoded = await measureDecoding(students, request);
    const studentBleu = decoded.map(({ curves }) => curves);
    tell(0.4);
    const hybridBleu = hyperparameters.createHybrid
      ? await measureHybrids(context, models.models, studentBleu, request, own)
      : [];
    const divergence = await measureDivergence(teacherLink, students, request);
    tell(0.7);
    const [floor] = await measureDivergence(teacherLink, teacherLink, request, true);
    const [ceiling] = await measureDivergence(teacherLink, linkOf(own(stack([models.untrained]))), request);
    const alone = linkOf(own(stack(models.models.slice(0, 1))));
    const latency: Latency = {
      sentences: latencySentences(request),
      student: latencyOf(alone, request),
      teacher: latencyOf(teacherLink, request),
    };
    tell(1);
    const isKeptBySentence = request.sentences.length <= MOST_SENTENCE_VALUES;
    const evaluations = divergence.map(
      (one, k): TrialEvaluation => ({
        sentences: request.sentences.length,
        student: studentBleu[k] as BleuCurves,
        ...(hybridBleu[k] ? { hybrid: hybridBleu[k] as BleuCurves } : {}),
        teacher: teacherBleu as BleuCurves,
        divergence: one.divergence,
        floor: (floor as MeasuredDivergence).divergence,
        ceiling: (ceiling as MeasuredDivergence).divergence,
        likelihood: { student: one.likelihood, teacher: one.teacher },
        ...(isKeptBySentence ? { sentenceValues: sentenceValuesOf(one, decoded[k] as DecodedLink) } : {}),
      }),
    );
    return { evaluations, latency };
  } finally {
    for (const weights of owned) disposeWeights(weights);
  }
}

/** A frozen kept side makes the hybrid the student itself; else it is a link of its own and measured as one. */
async function measureHybrids(
  context: BundleContext,
  models: Model[],
  studentBleu: BleuCurves[],
  request: EvaluationRequest,
  own: (side: Sided) => Sided,
): Promise<BleuCurves[]> {
  const { teacher, hyperparameters } = context;
  if (keptSide(kindOf(hyperparameters)) !== null) return studentBleu;
  const students = own(stack(models));
  const teacherSide = own({ shape: teacher.shape, weights: weightsFromArrays(teacher.shape, teacher.arrays) });
  const isEncoder = hyperparameters.distillPart === 'encoder';
  const link = { transmitter: isEncoder ? students : teacherSide, receiver: isEncoder ? teacherSide : students };
  return measureBleu(link, request);
}

/** Seven digits hold all that float32 knows. */
function sentenceValuesOf({ sentences }: MeasuredDivergence, decoded: DecodedLink): SentenceValues {
  const short = (values: number[]) => values.map((value) => Number(value.toPrecision(7)));
  return { tokens: sentences.tokens, jsd: short(sentences.jsd), bleu1: short(decoded.sentences.bleu1) };
}
