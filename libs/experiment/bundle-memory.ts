// What training a bundle will take of memory, from the request alone: so that it goes to a worker that holds it. The same
// arithmetic as the trainer's own prediction for TensorFlow (libs/distillation/memory.ts, which may know no requests, and is held
// against this by test/integration/bundle-memory.spec.ts).
import { hasComposedLoss, matchedTaps } from './dials.js';
import { countParameters, studentArchitecture } from './parameters.js';
import type { Architecture, CorpusRecord, Hyperparameters, TeacherRecord, TeacherTraining } from './records.js';

const PROCESS_BYTES = 350e6;
/** Tensors as wide as the model that a layer leaves for the backward pass, a row each; and one as wide as its inner layer. */
const ENCODER_TENSORS = 8;
const DECODER_TENSORS = 14;
const CHANNEL_FLOATS = 3 * 256 + 6 * 16;
const RECEIVER_FLOATS = 4 * 512;
/** Logits that the loss has at a time, of one student; and as many of the teacher. */
const CHUNK_LOGITS = 90e6;
/** The same where the loss is composed of plain operations: how many a chunk has, and how many such tensors there are at a time. */
const COMPOSED = { logits: 20e6, tensors: 10 };

/** Bytes at the peak of training so many students together. */
export function bundleMemoryBytes(
  hyperparameters: Hyperparameters,
  students: number,
  teacher: Pick<TeacherRecord, 'architecture'>,
  corpus: Pick<CorpusRecord, 'maxTokens'>,
): number {
  const student = studentArchitecture(teacher.architecture, hyperparameters);
  const words = student.vocabularySize;
  const rows = hyperparameters.batchSize * corpus.maxTokens;
  const keepsTransmitter = hyperparameters.distillPart === 'decoder' && hyperparameters.freezeKeptSide;
  const taps = matchedTaps(hyperparameters);
  const wide = teacher.architecture.dModel;
  const isOfAttention = hyperparameters.featureKind === 'attention';
  const isMapped = taps > 0 && !isOfAttention && student.dModel !== wide;
  const maps = isMapped ? taps * student.dModel * wide : 0;
  const trained = students * (trainedParameters(student, hyperparameters) + maps);
  const taught = countParameters(teacher.architecture).total;
  const ofAttention = 8 * student.heads * corpus.maxTokens + 6 * student.dModel;
  const ofFeatures = taps * (isOfAttention ? ofAttention : wide * (isMapped ? 5 : 3));
  const onTape =
    students * rows * ((keepsTransmitter ? 0 : transmitterFloats(student)) + receiverFloats(student) + ofFeatures);
  const ofTeacher = rows * (transmitterFloats(teacher.architecture) + receiverFloats(teacher.architecture));
  const isComposed = hasComposedLoss(hyperparameters);
  return peakBytes({ trained, taught, activations: Math.max(onTape, ofTeacher), rows, words, isComposed });
}

/** Bytes at the peak of training such a teacher. */
export function teacherMemoryBytes(
  { layers, dModel, dff, heads, batchSize }: TeacherTraining,
  { maxTokens, vocabularySize }: Pick<CorpusRecord, 'maxTokens' | 'vocabularySize'>,
): number {
  const sizes = { vocabularySize, dModel, dff, heads, encoderLayers: layers, decoderLayers: layers };
  const rows = batchSize * maxTokens;
  const activations = rows * (transmitterFloats(sizes) + receiverFloats(sizes));
  const trained = countParameters(sizes).total;
  return peakBytes({ trained, taught: 0, activations, rows, words: vocabularySize, isComposed: false });
}

/** From counts of floats; `rows` are the tokens of a batch. */
function peakBytes(floats: {
  trained: number;
  taught: number;
  activations: number;
  rows: number;
  words: number;
  isComposed: boolean;
}) {
  const { trained, taught, activations, rows, words, isComposed } = floats;
  const chunk = Math.max(32, Math.floor((isComposed ? COMPOSED.logits : CHUNK_LOGITS) / words / 32) * 32);
  const parameters = 4 * (4 * trained + taught);
  const loss = 4 * Math.min(rows, chunk) * words * (isComposed ? COMPOSED.tensors : 2);
  const checkpoint = 4 * 3 * trained;
  return Math.round(PROCESS_BYTES + parameters + 4 * activations + loss + checkpoint);
}

/** Parameters that learn: all, or those of the one side. */
function trainedParameters(student: Architecture, { distillPart, freezeKeptSide }: Hyperparameters): number {
  const { total } = countParameters(student);
  if (distillPart === 'full' || !freezeKeptSide) return total;
  const { vocabularySize: V, dModel: d } = student;
  const core = countParameters({ ...student, vocabularySize: 0, decoderLayers: 0 }).core;
  const channelDecoder = 16 * d + d + (512 * d + 512) + (512 * d + d) + 2 * d;
  const transmitter = V * d + core - channelDecoder;
  return distillPart === 'encoder' ? transmitter : total - transmitter;
}

function transmitterFloats({ encoderLayers, dModel, dff }: Architecture): number {
  return 4 * dModel + encoderLayers * (ENCODER_TENSORS * dModel + dff) + CHANNEL_FLOATS;
}

function receiverFloats({ decoderLayers, dModel, dff }: Architecture): number {
  return 12 * dModel + decoderLayers * (DECODER_TENSORS * dModel + dff) + RECEIVER_FLOATS;
}
