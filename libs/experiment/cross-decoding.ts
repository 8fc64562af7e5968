// Every transmitter of a sweep with every receiver: which models, on what, as a preparation of its own once the trials have ended. A pure
// function of the record, so that whoever plans it, plans the same.
import { studentArchitecture } from './parameters.js';
import type {
  CorpusRecord,
  CrossDecodingModel,
  PreparationRequest,
  StoredFile,
  SweepRecord,
  TeacherRecord,
  TrialResult,
  TrialSpec,
} from './records.js';

/** Pairs grow with the square; so many models are 256 pairs, some seconds to a few minutes. */
export const MOST_CROSSED_MODELS = 16;
const MOST_SENTENCES = 100;
/** What transmitters and receivers are joined at: the measured SNR nearest to this. */
export const HEADLINE_SNR_DB = 12;

export type CrossDecodingRequest = Extract<PreparationRequest, { kind: 'cross-decoding' }>;

/**
 * The teacher and the final students of the completed trials, whole seeds in the order of the sweep as long as they fit (the first seed
 * in any case, cut if it must be). `isStored` tells which model files are still there. Undefined where there is no student to join.
 */
export function planCrossDecoding(
  sweep: SweepRecord,
  teacher: TeacherRecord,
  corpus: CorpusRecord,
  results: readonly { spec: TrialSpec; result: TrialResult }[],
  isStored: (file: StoredFile) => boolean = () => true,
): CrossDecodingRequest | undefined {
  const order = new Map(sweep.trials.map(({ trialId }, index) => [trialId, index]));
  const bySeed = new Map<number, CrossDecodingModel[]>();
  const ordered = [...results].sort((a, b) => (order.get(a.result.trialId) ?? 0) - (order.get(b.result.trialId) ?? 0));
  for (const { spec, result } of ordered) {
    const file = result.artifacts.find(({ name }) => name === 'final_student_model.safetensors');
    if (result.status !== 'completed' || !file || !isStored(file)) continue;
    const { seed } = spec.hyperparameters;
    const architecture = studentArchitecture(teacher.architecture, spec.hyperparameters);
    bySeed.set(seed, [...(bySeed.get(seed) ?? []), { label: result.trialId, file, architecture }]);
  }
  const teacherFile = teacher.files.find(({ name }) => name === 'model.safetensors');
  const [first] = ordered;
  if (!teacherFile || !isStored(teacherFile) || !first || bySeed.size === 0) return undefined;
  const models: CrossDecodingModel[] = [{ label: 'teacher', file: teacherFile, architecture: teacher.architecture }];
  for (const students of bySeed.values()) {
    const room = MOST_CROSSED_MODELS - models.length;
    if (models.length > 1 && students.length > room) break;
    models.push(...students.slice(0, room));
  }
  const { channel, channelProfile } = first.spec.hyperparameters;
  const { snrDb, sentences } = first.spec.evaluation;
  return {
    kind: 'cross-decoding',
    name: sweep.name,
    corpusId: corpus.corpusId,
    models,
    channel,
    channelProfile,
    snrDb: snrDb[nearestIndex(snrDb, HEADLINE_SNR_DB)] ?? HEADLINE_SNR_DB,
    sentences: Math.min(sentences, MOST_SENTENCES),
  };
}

/** The place of the value nearest to the target; the first of equals. */
export function nearestIndex(values: readonly number[], target: number): number {
  let best = 0;
  values.forEach((value, index) => {
    if (Math.abs(value - target) < Math.abs((values[best] ?? Number.POSITIVE_INFINITY) - target)) best = index;
  });
  return best;
}
