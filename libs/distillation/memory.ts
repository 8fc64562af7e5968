// How much memory a bundle will take at its peak, from its sizes alone: what is said before the start, so that a bundle that cannot
// fit is seen in the log before the machine finds out. An estimate: the counts of tensors are those of the layers in libs/semcom.

import { CHANNEL_WIDTH, type DeepscShape, parameterShapes } from '#semcom';
import type { FeatureKind } from './features.js';
import { chunkRowsFor } from './loss.js';
import { isTrained, keptSide, type StudentKind } from './students.js';

export interface BundleSizes {
  kind: StudentKind;
  student: DeepscShape;
  /** Absent when a teacher itself is trained. */
  teacher: DeepscShape | null;
  /** K */
  students: number;
  batchSize: number;
  /** Tokens of the longest sentence, START and END included: batches are at most this wide. */
  tokens: number;
  /** Parts a batch is computed in. */
  parts?: number;
  /** Whether the engine has the layers as single operations. */
  fusedLayers: boolean;
  /** Whether the students ask for a loss that the engine's operation does not know. */
  composedLoss?: boolean;
  /** Places where hidden states are matched. */
  featureTaps?: number;
  featureKind?: FeatureKind;
}

/** Bytes, by what they are for; `total` is the peak, with what the process itself takes. */
export interface PredictedMemory {
  /** w, m, v of all students and the gradients; teacher */
  parameters: number;
  /** activations that the backward pass needs */
  activations: number;
  /** logits of one chunk of rows and their gradients */
  loss: number;
  /** the copy that a checkpoint is written from */
  checkpoint: number;
  total: number;
}

/** Node with TensorFlow loaded, corpus and code. */
const PROCESS_BYTES = 350e6;

/**
 * Tensors that one layer leaves on the tape, as multiples of the model width, of the feed-forward width, and of heads x
 * tokens (attention scores), a row each; and what follows from the layers.
 */
interface LayerCounts {
  encoder: { model: number; inner: number; scores: number };
  decoder: { model: number; inner: number; scores: number };
  /** The backward pass has gradients of activations alive beside what it was left. */
  backward: number;
  /** Tensors [chunk rows, V] alive at once, the teacher's among them. */
  loss: number;
}

/** Fused: [q k v] or q and [k v], context, projection and result of each attention, the feed-forward part's inner layer, output and result. */
const FUSED: LayerCounts = {
  encoder: { model: 8, inner: 1, scores: 0 },
  decoder: { model: 14, inner: 1, scores: 0 },
  backward: 1,
  loss: 2,
};

/** In plain operations; measured. */
const PLAIN: LayerCounts = {
  encoder: { model: 31, inner: 3, scores: 4 },
  decoder: { model: 52, inner: 3, scores: 8 },
  backward: 1.5,
  loss: 8,
};

/** Tensors [chunk rows, V] that the composed loss has alive at once; test/golden/dials-suite.ts counts them. */
const COMPOSED_LOSS = 10;

/** Peak memory of training this bundle. */
export function predictMemory(sizes: BundleSizes): PredictedMemory {
  const { kind, student, teacher, students } = sizes;
  const counts = sizes.fusedLayers ? FUSED : PLAIN;
  const sizeOf = (shape: number[]) => shape.reduce((product, n) => product * n, 1);
  const learns = parameterShapes(student).filter(({ name }) => isTrained(kind, name));
  const taps = sizes.featureTaps ?? 0;
  const wide = teacher?.dModel ?? 0;
  const isOfAttention = sizes.featureKind === 'attention';
  const isMapped = taps > 0 && !isOfAttention && student.dModel !== wide;
  const maps = isMapped ? taps * student.dModel * wide : 0;
  const trained = students * (learns.reduce((sum, { shape }) => sum + sizeOf(shape), 0) + maps);
  const taught = teacher ? parameterShapes(teacher).reduce((sum, { shape }) => sum + sizeOf(shape), 0) : 0;
  const rows = Math.ceil(sizes.batchSize / (sizes.parts ?? 1)) * sizes.tokens;
  const kept = keptSide(kind);
  const matchedFloats = isOfAttention ? attentionFloats(student, sizes.tokens) : wide * featureTensors(isMapped);
  const onTape =
    students * rows * (kept === 'transmitter' ? 0 : transmitterFloats(student, sizes.tokens, counts)) +
    students * rows * (receiverFloats(student, sizes.tokens, counts) + taps * matchedFloats);
  const ofTeacher = teacher
    ? rows * (transmitterFloats(teacher, sizes.tokens, counts) + receiverFloats(teacher, sizes.tokens, counts))
    : 0;
  const lossPath = sizes.composedLoss ? 'composed' : sizes.fusedLayers ? 'fused' : 'plain';
  const chunk = Math.min(rows, chunkRowsFor(student.vocabularySize, lossPath)) * student.vocabularySize;
  const parameters = 4 * (4 * trained + taught);
  // The teacher's pass is over before the students' begins.
  const activations = 4 * Math.max(counts.backward * onTape, ofTeacher);
  const loss = 4 * chunk * (sizes.composedLoss ? COMPOSED_LOSS : counts.loss);
  const checkpoint = 4 * 3 * trained;
  return {
    parameters,
    activations,
    loss,
    checkpoint,
    total: PROCESS_BYTES + parameters + activations + loss + checkpoint,
  };
}

/** Tensors as wide as the teacher that a matched place leaves, a row each: differences and their gradients, and what a map makes. */
function featureTensors(isMapped: boolean): number {
  return isMapped ? 5 : 3;
}

/** A row of scores a head, eight times (made, scaled, masked, their logarithms and gradients), and six times the width for q and k. */
function attentionFloats({ dModel, heads }: DeepscShape, tokens: number): number {
  return 8 * heads * tokens + 6 * dModel;
}

function layerFloats(shape: DeepscShape, tokens: number, layer: LayerCounts['encoder']): number {
  return layer.model * shape.dModel + layer.inner * shape.dff + layer.scores * shape.heads * tokens;
}

/** Floats a row (a token of a sentence) leaves on the tape: embedding, layers, channel encoder (256 wide), symbols. */
function transmitterFloats(shape: DeepscShape, tokens: number, counts: LayerCounts): number {
  const layers = shape.encoderLayers * layerFloats(shape, tokens, counts.encoder);
  return 4 * shape.dModel + layers + 3 * 256 + 6 * CHANNEL_WIDTH;
}

/** The same behind the channel: channel decoder (512 wide), embedding, layers. */
function receiverFloats(shape: DeepscShape, tokens: number, counts: LayerCounts): number {
  const layers = shape.decoderLayers * layerFloats(shape, tokens, counts.decoder);
  return 12 * shape.dModel + layers + 4 * 512;
}
