// How large models are: the architecture a student gets from its hyperparameters, and parameter counts by formula.
import type { Architecture, Hyperparameters, ParameterCounts } from './records.js';

/**
 * Trainable parameters of a DeepSC, P = 3Vd + V + Le(4d² + 9d + 2df + f) + Ld(8d² + 15d + 2df + f) + channel encoder
 * (256d + 256 + 4112) + channel decoder (17d + 512d + 512 + 512d + d + 2d); `core` leaves out both embeddings and the
 * output layer (3Vd + V). The default DeepSC (V 22,234) has 10,582,762, core 2,022,672.
 */
export function countParameters(architecture: Architecture): ParameterCounts {
  const { vocabularySize: V, dModel: d, dff: f, encoderLayers, decoderLayers } = architecture;
  const feedForward = 2 * d * f + f + d;
  const encoder = encoderLayers * (4 * d * d + 4 * d + feedForward + 4 * d);
  const decoder = decoderLayers * (8 * d * d + 8 * d + feedForward + 6 * d);
  const channelEncoder = 256 * d + 256 + 256 * 16 + 16;
  const channelDecoder = 16 * d + d + (512 * d + 512) + (512 * d + d) + 2 * d;
  const core = encoder + decoder + channelEncoder + channelDecoder;
  return { total: 3 * V * d + V + core, core };
}

/**
 * The sizes of a student. A side that is kept frozen is the teacher's, with all its layers; only what learns gets
 * `studentLayers`. Heads are the teacher's.
 */
export function studentArchitecture(teacher: Architecture, hyperparameters: Hyperparameters): Architecture {
  const { distillPart, studentLayers, studentDModel, studentDff } = hyperparameters;
  const keepsTransmitter = distillPart === 'decoder' && hyperparameters.freezeKeptSide;
  const keepsReceiver = distillPart === 'encoder' && hyperparameters.freezeKeptSide;
  return {
    vocabularySize: teacher.vocabularySize,
    dModel: studentDModel ?? teacher.dModel,
    dff: studentDff ?? teacher.dff,
    heads: teacher.heads,
    encoderLayers: keepsTransmitter ? teacher.encoderLayers : studentLayers,
    decoderLayers: keepsReceiver ? teacher.decoderLayers : studentLayers,
  };
}

/** Teacher parameters over student parameters, in total and without embeddings and output layer. */
export function compressionOf(
  teacher: ParameterCounts,
  student: ParameterCounts,
): {
  total: number;
  core: number;
} {
  return { total: teacher.total / student.total, core: teacher.core / student.core };
}
