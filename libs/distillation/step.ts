// One training step of K students side by side: the teacher once for all of them, the channel's draws common to all, the
// loss and its gradients by parameter name. Knows no optimizer, no order of data, no epochs.
import * as tf from '@tensorflow/tfjs-core';
import {
  type Batch,
  type ChannelUse,
  type DeepscShape,
  type Dropout,
  frozen,
  lastDecoderScores,
  lastEncoderScores,
  shiftTargets,
  type Weights,
} from '#semcom';
import { attentionTerm, type FeatureMatching, type FeatureRows, type FeatureTap, featureTerm } from './features.js';
import { decodeReceived, type LastInputs, passThrough, type Sided } from './link.js';
import {
  chunkRowsFor,
  distillationLoss,
  isComposed,
  type LossDials,
  type LossGradients,
  type LossKernel,
  type LossOptions,
  type LossValues,
  lossValues,
  plainLossKernel,
  SKIP_ROW,
  SOFT_ROW,
  type TeacherOutput,
} from './loss.js';
import { keptSide, type StudentKind } from './students.js';

/** What a bundle's students have in common, and where they differ. */
export interface BundleModel {
  kind: StudentKind;
  student: DeepscShape;
  /** Absent when a teacher itself is trained. */
  teacher: Sided | null;
  temperature: readonly number[];
  distillWeight: readonly number[];
  /** What else they ask of the loss; absent where all ask for the usual. */
  dials?: LossDials;
  /** Hidden states that are matched as well; absent where none are. */
  features?: FeatureMatching;
  lossKernel: LossKernel;
  /**
   * 'masked': means over real tokens. 'original': as the original computes it (pads in both denominators and in the soft term,
   * and 0.5 MSE of encOut or decOut for the parts).
   */
  lossForm?: 'masked' | 'original';
  /** Rows of logits that exist at a time; as many as the caches like when absent. */
  chunkRows?: number;
  dropout?: Dropout | undefined;
}

export interface StepResult {
  values: LossValues;
  /** By trained parameter, [K, …]; the caller disposes them. Empty when only measured. */
  gradients: Map<string, tf.Tensor>;
}

interface Taps {
  /** [K, N, d]; null when the transmitter is the teacher's */
  encOut: tf.Tensor3D | null;
  /** [K, N', d] */
  decOut: tf.Tensor3D;
  last: LastInputs;
}

interface TeacherTaps {
  encOut: tf.Tensor3D;
  rx: tf.Tensor3D;
  decOut: tf.Tensor3D;
  last: LastInputs;
}

/** Losses and gradients of one batch. `trained` holds exactly the parameters that learn, [K, …]. */
export function bundleGradients(model: BundleModel, trained: Weights, batch: Batch, use: ChannelUse): StepResult {
  return runStep(model, trained, batch, use, true);
}

/** Losses of one batch without gradients and without dropout. */
export function bundleLosses(model: BundleModel, trained: Weights, batch: Batch, use: ChannelUse): LossValues {
  return runStep({ ...model, dropout: undefined }, trained, batch, use, false).values;
}

function runStep(model: BundleModel, trained: Weights, batch: Batch, use: ChannelUse, learns: boolean): StepResult {
  const names = [...trained.keys()];
  const options = lossOptions(model, batch);
  let output: LossGradients['output'];
  let sums: tf.Tensor2D | undefined;
  let features: tf.Tensor1D | undefined;
  const matched: tf.Tensor1D[] = [];
  const gradients = tf.tidy(() => {
    const isWatched = model.features?.kind === 'attention';
    const teacher = model.teacher ? teacherTaps(model.teacher, batch, use, isWatched) : null;
    const hiddenLoss = (hidden: tf.Tensor3D, kernel: tf.Tensor3D, bias: tf.Tensor) => {
      const wanted = learns ? (trained.has('dense.weight') ? 'all' : 'hidden') : 'none';
      const loss = distillationLoss({ hidden, kernel, bias }, teacherOutput(model.teacher, teacher), options, wanted);
      sums = tf.keep(loss.sums);
      if (loss.gradients?.output)
        output = { kernel: tf.keep(loss.gradients.output.kernel), bias: tf.keep(loss.gradients.output.bias) };
      return loss.gradients?.hidden;
    };
    const scalar = (weights: Weights): tf.Scalar => {
      const taps = studentTaps(model, weights, teacher, batch, use);
      const [kernel, bias] = outputLayer(model, weights);
      const measured = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
        const [hidden, save] = inputs as [tf.Tensor3D, tf.GradSaveFunc];
        const gradient = hiddenLoss(hidden, kernel, bias);
        if (gradient) save([gradient]);
        // The value on the tape is a placeholder; the true losses are in `sums`.
        return {
          value: tf.scalar(0),
          gradFunc: (_dy: tf.Tensor, saved: tf.Tensor[]) => tf.clone(saved[0] as tf.Tensor),
        };
      })(taps.decOut) as tf.Scalar;
      if (learns && model.features && teacher) {
        const { features: matching } = model;
        const record = (distances: tf.Tensor1D) => matched.push(tf.keep(distances));
        const terms = matching.taps.map((tap) => {
          const rows = featureRows(tap, batch, matching);
          if (matching.kind === 'attention') {
            const ours = sideOfTap(model, weights, tap);
            const scores = {
              student: scoresAt(tap, ours, batch, taps.last),
              teacher: scoresAt(tap, model.teacher as Sided, batch, teacher.last),
            };
            return attentionTerm(scores, rows, matching.weight, record);
          }
          const states = { student: taps[tap] as tf.Tensor3D, teacher: teacher[tap] };
          return featureTerm(tap, weights, states, rows, matching.weight, record);
        });
        return tf.addN([measured, ...terms]);
      }
      if (model.lossForm !== 'original' || !teacher) return measured;
      const distance = featureDistance(model.kind.part, taps, teacher);
      if (!distance) return measured;
      features = tf.keep(tf.clone(distance));
      return tf.add(measured, tf.sum(tf.mul(distance, tf.tensor1d(model.distillWeight.map((a) => 0.5 * a)))));
    };
    if (!learns) {
      scalar(trained);
      return [];
    }
    const onTape = names.filter((name) => name !== 'dense.weight' && name !== 'dense.bias');
    const { grads } = tf.engine().gradients(
      () => scalar(trained),
      onTape.map((name) => trained.get(name) as tf.Tensor),
    );
    return grads;
  });
  const byName = new Map<string, tf.Tensor>();
  if (learns) {
    const onTape = names.filter((name) => name !== 'dense.weight' && name !== 'dense.bias');
    for (const [i, name] of onTape.entries()) byName.set(name, gradients[i] as tf.Tensor);
    if (output) {
      byName.set('dense.weight', output.kernel);
      byName.set('dense.bias', output.bias);
    }
  }
  const values = lossValues((sums as tf.Tensor2D).dataSync() as Float32Array, options);
  if (features) addFeatures(values, features.dataSync() as Float32Array, model.distillWeight);
  if (model.features && matched.length > 0) addMatched(values, matched, model.features.weight);
  tf.dispose([sums as tf.Tensor, features ?? [], ...matched]);
  return { values, gradients: byName };
}

function addFeatures(values: LossValues, features: Float32Array, alpha: readonly number[]): void {
  features.forEach((feature, k) => {
    values.distillation[k] = (values.distillation[k] as number) + 0.5 * feature;
    values.total[k] = (values.total[k] as number) + 0.5 * (alpha[k] as number) * feature;
  });
}

function addMatched(values: LossValues, matched: tf.Tensor1D[], weight: readonly number[]): void {
  const taps = matched.map((distances) => distances.dataSync());
  values.features = weight.map((_, k) => taps.reduce((sum, distances) => sum + (distances[k] as number), 0));
  values.features.forEach((distance, k) => {
    values.total[k] = (values.total[k] as number) + (weight[k] as number) * distance;
  });
}

/** Tokens of the source, or of the target, that are no pads. */
function featureRows(tap: FeatureTap, batch: Batch, { sourcePerTarget }: FeatureMatching): FeatureRows {
  const { targets } = shiftTargets(batch);
  const ids = tap === 'encOut' ? batch.ids : targets;
  const keep = Float32Array.from(ids, (id) => (id === 0 ? 0 : 1));
  const count = (some: Int32Array) => some.reduce((sum, id) => sum + (id === 0 ? 0 : 1), 0);
  if (tap === 'decOut' || sourcePerTarget === undefined) return { keep, denominator: count(ids) };
  return { keep, denominator: count(targets) * sourcePerTarget };
}

function lossOptions(model: BundleModel, batch: Batch): LossOptions {
  const { targets } = shiftTargets(batch);
  const isOriginal = model.lossForm === 'original';
  const kernel = isComposed(model.dials) ? 'composed' : model.lossKernel === plainLossKernel ? 'plain' : 'fused';
  const labels = targets.map((id) => (id === 0 ? (isOriginal ? SOFT_ROW : SKIP_ROW) : id));
  const real = targets.reduce((count, id) => count + (id === 0 ? 0 : 1), 0);
  return {
    kernel: model.lossKernel,
    labels,
    temperature: model.temperature,
    distillWeight: model.distillWeight,
    ...(model.dials ? { dials: model.dials } : {}),
    denominator: isOriginal ? targets.length : real,
    chunkRows: model.chunkRows ?? chunkRowsFor(model.student.vocabularySize, kernel),
  };
}

/** The teacher's pass over the batch, without gradients. */
/** The teacher's pass. What went into its last layers is kept where it is asked for only. */
function teacherTaps(teacher: Sided, batch: Batch, use: ChannelUse, isWatched: boolean): TeacherTaps {
  const link = { transmitter: teacher, receiver: teacher };
  return tf.tidy(() => {
    const { last, ...taps } = passThrough(link, { source: batch, input: shiftTargets(batch).input, use });
    return { ...taps, last: isWatched ? last : {} };
  });
}

function teacherOutput(teacher: Sided | null, taps: TeacherTaps | null): TeacherOutput | null {
  if (!teacher || !taps) return null;
  return {
    hidden: taps.decOut,
    kernel: teacher.weights.get('dense.weight') as tf.Tensor3D,
    bias: teacher.weights.get('dense.bias') as tf.Tensor,
  };
}

/** The students' pass; which side is whose follows from the kind. */
function studentTaps(
  model: BundleModel,
  trained: Weights,
  teacher: TeacherTaps | null,
  batch: Batch,
  use: ChannelUse,
): Taps {
  const kept = keptSide(model.kind);
  const own: Sided = { shape: model.student, weights: trained };
  const options = { source: batch, input: shiftTargets(batch).input };
  const { dropout } = model;
  if (kept === 'transmitter') return receivedTaps(own, (teacher as TeacherTaps).rx, { ...options, dropout });
  // A frozen receiver passes gradients on but drops nothing out.
  const receiver = kept === 'receiver' ? frozenSide(model.teacher as Sided) : own;
  const receiverDropout = kept === 'receiver' ? undefined : dropout;
  return passThrough({ transmitter: own, receiver }, { ...options, use, transmitterDropout: dropout, receiverDropout });
}

function receivedTaps(own: Sided, rx: tf.Tensor3D, options: Parameters<typeof decodeReceived>[2]): Taps {
  const last: LastInputs = {};
  const watch = (x: tf.Tensor3D) => {
    last.decoder = x;
  };
  return { encOut: null, decOut: decodeReceived(own, rx, { ...options, watch }), last };
}

/** Whose weights the student's pass uses before the tap: its own, or those of the receiver that is the teacher's. */
function sideOfTap(model: BundleModel, trained: Weights, tap: FeatureTap): Sided {
  if (tap === 'decOut' && keptSide(model.kind) === 'receiver') return frozenSide(model.teacher as Sided);
  return { shape: model.student, weights: trained };
}

/** Self-attention scores of the last layer before the tap. */
function scoresAt(tap: FeatureTap, { weights, shape }: Sided, batch: Batch, last: LastInputs): tf.Tensor4D {
  if (tap === 'encOut') return lastEncoderScores(weights, shape, batch, last.encoder as tf.Tensor3D);
  return lastDecoderScores(weights, shape, shiftTargets(batch).input, last.decoder as tf.Tensor3D);
}

function frozenSide(side: Sided): Sided {
  return { shape: side.shape, weights: frozen(side.weights) };
}

function outputLayer(model: BundleModel, trained: Weights): [tf.Tensor3D, tf.Tensor] {
  const weights = trained.has('dense.weight') ? trained : (model.teacher as Sided).weights;
  return [weights.get('dense.weight') as tf.Tensor3D, weights.get('dense.bias') as tf.Tensor];
}

/** The original's extra term of a part: mean squared distance of encOut or decOut over everything, pads included; [K]. */
function featureDistance(part: StudentKind['part'], taps: Taps, teacher: TeacherTaps): tf.Tensor1D | null {
  if (part === 'decoder') return tf.mean(tf.square(tf.sub(taps.decOut, teacher.decOut)), [1, 2]) as tf.Tensor1D;
  if (part === 'encoder' && taps.encOut)
    return tf.mean(tf.square(tf.sub(taps.encOut, teacher.encOut)), [1, 2]) as tf.Tensor1D;
  return null;
}
