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

/**
 * Multiply-accumulates of one sentence of n tokens (START and END included) from ids to decoded ids, each of the n - 1 decoded tokens
 * computed once (keys and values are kept): per encoder layer 4nd² + 2n²d + 2ndf; channel encoder n(256d + 256 16), channel decoder
 * n(16d + 2 512d); per decoder layer with m = n - 1: 6md² + 2nd² + m(m + 1)d + 2mnd + 2mdf; output layer mdV. Adds nothing for
 * norms, softmax and activations.
 */
export function countMacs(architecture: Architecture, tokens: number): number {
  const { vocabularySize: V, dModel: d, dff: f, encoderLayers, decoderLayers } = architecture;
  const [n, m] = [tokens, tokens - 1];
  const encoder = encoderLayers * (4 * n * d * d + 2 * n * n * d + 2 * n * d * f);
  const channel = n * (256 * d + 256 * 16) + n * (16 * d + 2 * 512 * d);
  const decoder = decoderLayers * (6 * m * d * d + 2 * n * d * d + m * (m + 1) * d + 2 * m * n * d + 2 * m * d * f);
  return encoder + channel + decoder + m * d * V;
}

/** Bytes of a model's parameters as they are stored, float32. */
export function parameterBytes({ total }: ParameterCounts): number {
  return 4 * total;
}
