// Guidance known before anything is trained: what is likely to disappoint, why, and the way out. Warnings never change a
// request; what cannot work at all is a fault (plan.ts).
import { hasSoftTerm, hyperparameterOf, isSliced, isTaught } from './dials.js';
import { rungEpochs } from './early-stopping.js';
import { compressionOf, countParameters, studentArchitecture } from './parameters.js';
import type { PlannedTrial } from './plan.js';
import type { CorpusRecord, Hyperparameters, TeacherRecord, Warning } from './records.js';
import type { EarlyStopping } from './requests.js';

/** What a planned sweep (or distillation) is judged by. */
export interface WarningContext {
  teacher: TeacherRecord;
  corpus: CorpusRecord;
  trials: readonly PlannedTrial[];
  /** As asked for; plans clamp it to the held-out sentences there are. */
  evaluationSentences: number;
  /** As asked for; absent: all are trained to the end. */
  earlyStopping?: EarlyStopping | undefined;
  /** Settings are drawn at random: what varies together does so by chance. */
  isDrawn?: boolean;
  /** Trials that are trained together. */
  bundles?: readonly string[][];
}

type Rule = (context: WarningContext, asked: Hyperparameters[]) => string | undefined;

/** All warnings about the planned trials, in a fixed order, one per code. */
export function warningsFor(context: WarningContext): Warning[] {
  const asked = context.trials.filter((trial) => trial.role === 'requested').map((trial) => trial.spec.hyperparameters);
  return Object.entries(RULES).flatMap(([code, rule]) => {
    const message = rule(context, asked);
    return message === undefined ? [] : [{ code, message }];
  });
}

const RULES: Record<string, Rule> = {
  'temperature-below-1': (_, asked) => {
    const cold = distinct(asked.map((h) => h.temperature).filter((t) => t < 1));
    if (cold.length === 0) return undefined;
    return `Temperature ${cold.join(', ')} is below 1: it sharpens the teacher's distribution towards its first choice, so little of what distillation passes on is left; use 1 or more.`;
  },
  'temperature-above-15': (_, asked) => {
    const hot = distinct(asked.map((h) => h.temperature).filter((t) => t > 15));
    if (hot.length === 0) return undefined;
    return `Temperature ${hot.join(', ')} is above 15: the softened distributions are nearly uniform over the vocabulary and T² KL then dominates by its scale; 1 to 10 is usual.`;
  },
  'weight-above-0.95': (_, asked) => {
    const heavy = distinct(asked.filter((h) => h.hardWeight === undefined).map((h) => h.distillWeight)).filter(
      (weight) => weight > 0.95,
    );
    if (heavy.length === 0) return undefined;
    return `Distillation weight ${heavy.join(', ')} is above 0.95: the true sentences hardly count any more and the student repeats the teacher's errors; 0.5 to 0.9 is usual.`;
  },
  'few-student-layers': ({ teacher }, asked) => {
    const most = Math.max(teacher.architecture.encoderLayers, teacher.architecture.decoderLayers);
    const few = distinct(asked.map((h) => h.studentLayers).filter((layers) => layers < most / 3));
    if (few.length === 0) return undefined;
    return `${few.join(', ')} student layers are less than a third of the teacher's ${most}: the student may be too small to follow; use at least ${Math.ceil(most / 3)}.`;
  },
  'more-layers-than-teacher': ({ teacher }, asked) => {
    const least = Math.min(teacher.architecture.encoderLayers, teacher.architecture.decoderLayers);
    const many = distinct(asked.map((h) => h.studentLayers).filter((layers) => layers > least));
    if (many.length === 0) return undefined;
    return `${many.join(', ')} student layers are more than the teacher's ${least}: the student is larger than what it learns from, and the layers beyond cannot start from the teacher; use at most ${least}.`;
  },
  'temperature-and-weight-varied': ({ isDrawn }, asked) => {
    if (isDrawn) return undefined;
    const taught = asked.filter(isTaught);
    const temperatures = distinct(taught.map((h) => h.temperature));
    const weights = distinct(taught.map((h) => h.distillWeight));
    if (temperatures.length < 2 || weights.length < 2) return undefined;
    const pairs = new Set(taught.map((h) => `${h.temperature} ${h.distillWeight}`));
    if (pairs.size === temperatures.length * weights.length) {
      return 'Temperature and distillation weight both vary: compare temperatures at one weight at a time, for the weight changes the gap more than the temperature does; the report tests only settings that differ in one of them.';
    }
    return 'Temperature and distillation weight vary together: their effects cannot be told apart (confounded); keep one weight for all temperatures, or vary both in full with "vary".';
  },
  'losses-at-one-weight': (_, asked) => {
    const losses = distinctTexts(asked.filter(isTaught).map((h) => h.distillLoss ?? 'kl'));
    if (losses.length < 2) return undefined;
    return `The distances ${losses.join(', ')} are of different size (T² JSD tends to a quarter of T² KL as T grows, mse to twice it): at one weight they also weigh the teacher differently (confounded); compare them at the weight that suits each, or at weight 1.`;
  },
  'dials-varied-together': (_, asked) => {
    const varied = DIALS_APART.filter((dial) => levelsOf(asked, dial) > 1);
    if (varied.length < 2 || varied.flat().every((name) => JUDGED_AS_PAIR.includes(name))) return undefined;
    const hidden = varied.filter((dial) => !isSeenAlone(asked, dial));
    if (hidden.length === 0) return undefined;
    return `${hidden.map((dial) => dial.join(' with ')).join(', ')} never change alone: no two settings differ in nothing else, so the effect cannot be told from that of the other dials (confounded); vary one at a time, or all of them in full with "vary".`;
  },
  'smoothing-above-0.3': (_, asked) => {
    const much = distinct(asked.map((h) => h.labelSmoothing ?? 0).filter((epsilon) => epsilon > 0.3));
    if (much.length === 0) return undefined;
    return `Label smoothing ${much.join(', ')} is above 0.3: so much of each target is spread over all words that a perfect student would be unsure of every one; 0.05 to 0.2 is usual.`;
  },
  'no-hard-loss': (_, asked) => {
    if (!asked.some((h) => h.hardWeight === 0)) return undefined;
    return 'The hard loss has weight 0: the true sentences do not count at all, and the student repeats the errors of the teacher; give hardWeight 0.05 or more unless that is what you study.';
  },
  'feature-weight-above-10': (_, asked) => {
    const heavy = distinct(asked.map((h) => h.featureWeight ?? 0).filter((weight) => weight > 10));
    if (heavy.length === 0) return undefined;
    return `Feature weight ${heavy.join(', ')} is above 10: the distance of hidden states then outweighs what is said, for both are of the size of 1; 0.1 to 2 is usual.`;
  },
  'slices-of-other-budgets': (_, asked) => {
    if (levelsOf(asked, ['trainShare', 'trainTopWords', 'trainWords']) < 2) return undefined;
    return 'The slices of the training sentences differ in size, so the same epochs are fewer steps on a smaller one (confounded with the budget): choose sentencesPerEpoch no larger than the smallest slice, so that all take as many steps.';
  },
  'small-slice': ({ corpus }, asked) => {
    const least = Math.min(...asked.map((h) => (h.trainShare ?? 1) * corpus.sentences.train));
    if (least >= 500 || !asked.some(isSliced)) return undefined;
    return `The smallest slice holds about ${Math.round(least)} training sentences: the student will learn them by heart, and the gap then shows its memory rather than its knowledge; use a larger trainShare.`;
  },
  'one-seed': ({ trials }) => {
    const seeds = distinct(trials.map((trial) => trial.spec.hyperparameters.seed));
    if (seeds.length > 1 || trials.length < 2) return undefined;
    return 'Only one seed: differences between settings cannot be told from chance, and the report will draw no conclusion; use at least 3 seeds, better 5.';
  },
  'no-baseline': ({ trials }, asked) => {
    const temperatures = distinct(asked.map((h) => h.temperature));
    if (temperatures.length < 2 || trials.some((trial) => !isTaught(trial.spec.hyperparameters))) return undefined;
    return 'No baseline without a teacher: the report cannot say whether distillation helped at all; set baseline to true.';
  },
  'temperature-without-effect': (_, asked) => {
    if (asked.some((h) => h.distillLoss === 'mse'))
      return 'With distillLoss mse the temperature has no effect, for it compares the logits as they are: such trials are shown at temperature 1.';
    if (asked.every(hasSoftTerm)) return undefined;
    return 'At distillation weight 0 the temperature has no effect: such trials are shown at temperature 1 and trained once per seed, as the baseline.';
  },
  'hybrid-not-frozen': (_, asked) => {
    if (!asked.some((h) => h.createHybrid && h.distillPart !== 'full' && !h.freezeKeptSide)) return undefined;
    return "A hybrid is asked for without a frozen kept side: the student's two sides then adapt to each other, and joined with the teacher's side the link breaks (BLEU-1 of 0.03 to 0.05 in place of 0.94 was measured); set freezeKeptSide to true.";
  },
  'hybrid-of-full-student': (_, asked) => {
    if (!asked.some((h) => h.createHybrid && h.distillPart === 'full')) return undefined;
    return "A hybrid is asked for although the whole student learns (distillPart full): it joins the teacher's transmitter with the student's receiver, a pair that never trained together; use distillPart encoder or decoder.";
  },
  'hardly-compresses': ({ teacher }, asked) => hardlyCompresses(teacher, asked),
  'student-larger': ({ teacher }, asked) => {
    const ratios = asked.map((h) => ratioOf(teacher, h).total);
    if (!ratios.some((ratio) => ratio < 1)) return undefined;
    return `The student has more parameters than the teacher (compression ${Math.min(...ratios).toFixed(3)}x): use fewer layers or smaller widths if compression is the aim.`;
  },
  'batch-larger-than-epoch': ({ corpus }, asked) => {
    const large = asked.find((h) => h.batchSize > sentencesOf(h, corpus));
    if (!large) return undefined;
    const sentences = sentencesOf(large, corpus);
    return `Batch size ${large.batchSize} is larger than the ${sentences} sentences of an epoch: each epoch is a single step; use a batch size of at most ${Math.max(1, Math.floor(sentences / 8))}.`;
  },
  'few-steps': ({ corpus }, asked) => {
    const steps = asked.map((h) => h.epochs * Math.ceil(sentencesOf(h, corpus) / h.batchSize));
    const least = Math.min(...steps);
    if (least >= 100) return undefined;
    return `Only ${least} training steps: the student will hardly have moved from where it starts; use more epochs, more sentences per epoch or a smaller batch.`;
  },
  'snr-outside-training': ({ trials }, asked) => {
    const measured = trials[0]?.spec.evaluation.snrDb ?? [];
    const missed = asked.find((h) => h.channel !== 'ideal' && !measured.some((snr) => isInside(h.trainSnrDb, snr)));
    if (!missed) return undefined;
    return `No measured SNR (${measured.join(', ')} dB) lies inside the training range ${missed.trainSnrDb.join(' to ')} dB: students are judged only where they never trained; add an SNR inside it.`;
  },
  'ideal-channel-ignores-snr': ({ trials }, asked) => {
    if (!asked.some((h) => h.channel === 'ideal') || (trials[0]?.spec.evaluation.snrDb.length ?? 0) < 2)
      return undefined;
    return 'The ideal channel has no noise: all measured SNRs give the same numbers; one SNR is enough.';
  },
  'channel-differs-from-teacher': ({ teacher }, asked) => {
    const { channel, channelProfile } = teacher.scores;
    const other = asked.find((h) => h.channel !== channel || h.channelProfile !== channelProfile);
    if (!other) return undefined;
    return `The teacher was trained and scored on ${channel} (${channelProfile}), students use ${other.channel} (${other.channelProfile}): part of the gap is then the channel's; use the teacher's channel unless that is what you study.`;
  },
  'teacher-untrained': ({ teacher }) => {
    const own = teacher.warnings?.find(({ code }) => code === 'teacher-untrained');
    if (!own) return undefined;
    return `Teacher ${teacher.name}: ${own.message} Students would learn noise from it; import it again with its own vocabulary, corpus and heads, or take another teacher.`;
  },
  'weak-teacher': ({ teacher }) => {
    if (teacher.warnings?.some(({ code }) => code === 'teacher-untrained')) return undefined;
    const best = Math.max(...teacher.scores.bleu1);
    if (!(best < 0.5)) return undefined;
    return `The teacher itself reaches only BLEU-1 ${best.toFixed(2)}: there is little to learn from it; train it longer first.`;
  },
  'no-rung': ({ earlyStopping }, asked) => {
    if (!earlyStopping || asked.some((h) => rungEpochs(earlyStopping, h.epochs).length > 0)) return undefined;
    return `Early stopping begins after ${earlyStopping.graceEpochs} epochs and no trial has more: nothing will be stopped; lower graceEpochs or train longer.`;
  },
  'stopped-in-bundles': ({ earlyStopping, bundles = [] }) => {
    if (!earlyStopping || !bundles.some(({ length }) => length > 1)) return undefined;
    const most = Math.max(...bundles.map(({ length }) => length));
    return `Up to ${most} students train together: one that is stopped early frees the device only when all of its bundle have ended; set trialsPerBundle to 1 if device time is to be saved.`;
  },
  'few-test-sentences': ({ trials, evaluationSentences }) => {
    const used = trials[0]?.spec.evaluation.sentences ?? evaluationSentences;
    if (used < evaluationSentences) {
      return `${evaluationSentences} test sentences are asked for but the corpus holds out only ${used}: all ${used} are used.`;
    }
    if (used >= 100) return undefined;
    return `Students are measured on ${used} sentences only: intervals will be wide; use some hundreds.`;
  },
};

function hardlyCompresses(teacher: TeacherRecord, asked: Hyperparameters[]): string | undefined {
  const { encoderLayers, decoderLayers } = teacher.architecture;
  const layers = Math.max(encoderLayers, decoderLayers);
  for (const h of asked) {
    const student = studentArchitecture(teacher.architecture, h);
    const isSmaller = student.encoderLayers < encoderLayers || student.decoderLayers < decoderLayers;
    if (!isSmaller || student.dModel < teacher.architecture.dModel) continue;
    const { total, core } = ratioOf(teacher, h);
    if (total >= 1.2) continue;
    return `Fewer layers alone hardly compress: ${h.studentLayers} of ${layers} layers make the model only ${total.toFixed(3)} times smaller (${core.toFixed(2)} times without embeddings and output layer, which hold most parameters); lower studentDModel (with init random) if size is the aim.`;
  }
  return undefined;
}

function ratioOf(teacher: TeacherRecord, hyperparameters: Hyperparameters): { total: number; core: number } {
  const student = countParameters(studentArchitecture(teacher.architecture, hyperparameters));
  return compressionOf(countParameters(teacher.architecture), student);
}

/** At most; how many a slice by words or lengths leaves is known to the trainer alone. */
function sentencesOf({ sentencesPerEpoch, trainShare = 1 }: Hyperparameters, corpus: CorpusRecord): number {
  const there = Math.round(trainShare * corpus.sentences.train);
  return Math.min(sentencesPerEpoch ?? there, there);
}

type Dial = readonly (keyof Hyperparameters)[];

/** Dials whose effects hide each other where they change together; what belongs together is one. */
const DIALS_APART: readonly Dial[] = [
  ['temperature'],
  ['distillWeight'],
  ['distillLoss'],
  ['labelSmoothing'],
  ['weightSchedule', 'finalWeight'],
  ['hardWeight'],
  ['featureWeight', 'featureTaps', 'featureKind'],
  ['trainShare', 'trainTopWords', 'trainWords'],
];

/** These two have a rule of their own. */
const JUDGED_AS_PAIR: readonly string[] = ['temperature', 'distillWeight'];

/** The values of some dials as one text. */
function turnedTo(h: Hyperparameters, dials: readonly Dial[]): string {
  return JSON.stringify(dials.flat().map((name) => hyperparameterOf(h, name) ?? null));
}

/** How many values of a dial there are among the trials that a teacher teaches. */
function levelsOf(asked: Hyperparameters[], dial: Dial): number {
  return new Set(asked.filter(isTaught).map((h) => turnedTo(h, [dial]))).size;
}

/** Whether two of these trials differ in this dial and in no other. */
function isSeenAlone(asked: Hyperparameters[], dial: Dial): boolean {
  const others = DIALS_APART.filter((one) => one !== dial);
  const values = new Map<string, string>();
  return asked.filter(isTaught).some((h) => {
    const [rest, value] = [turnedTo(h, others), turnedTo(h, [dial])];
    const before = values.get(rest) ?? value;
    values.set(rest, before);
    return before !== value;
  });
}

function distinctTexts(values: string[]): string[] {
  return [...new Set(values)];
}

function isInside([low, high]: [number, number], value: number): boolean {
  return value >= low && value <= high;
}

function distinct(values: number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}
