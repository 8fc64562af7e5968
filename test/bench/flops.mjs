// The physical limit: floating-point operations of the matrix products a non-pad target token needs (limit.py, part full), and
// which share of the machine's GEMM peak a rate is. Pads, softmaxes, norms, Adam count nothing: they are what can be saved.
import { SIZES, STUDENT_LAYERS, TEACHER_LAYERS } from './workload.mjs';

/** Hidden widths of channel encoder, channel decoder and its block, as in the reference. */
const CHANNEL = { hidden: 256, symbols: 16, decoder: 512 };

/**
 * MFLOP a non-pad target token of the forward passes and of the student's backward pass (two products for one), over sentences
 * of these lengths (START and END included). A product [n, a] x [a, b] is 2nab operations.
 */
export function megaflopsPerToken(lengths, vocabularySize) {
  const { dModel: d, dff } = SIZES;
  const sum = (of) => Array.from(lengths).reduce((total, length) => total + of(length), 0);
  const targets = sum((n) => n - 1);
  const sources = sum((n) => n) / targets;
  const squares = { source: sum((n) => n * n) / targets, target: sum((n) => (n - 1) ** 2) / targets };
  const crossed = sum((n) => n * (n - 1)) / targets;
  const encoderLayer = sources * (4 * d * d + 2 * d * dff) + 2 * d * squares.source;
  const decoderLayer = 6 * d * d + 2 * d * dff + sources * 2 * d * d + 2 * d * squares.target + 2 * d * crossed;
  const { hidden, symbols, decoder } = CHANNEL;
  const channel = sources * (d * hidden + hidden * symbols + symbols * d + 2 * d * decoder);
  const forward = (layers) => (2 * (layers * (encoderLayer + decoderLayer) + channel + d * vocabularySize)) / 1e6;
  const studentForward = forward(STUDENT_LAYERS);
  return { teacherForward: forward(TEACHER_LAYERS), studentForward, studentBackward: 2 * studentForward };
}

/** MFLOP a student token when one teacher pass serves `students` of them. */
export function megaflopsPerStudentToken({ teacherForward, studentForward, studentBackward }, students) {
  return teacherForward / students + studentForward + studentBackward;
}

/** Share of the peak that a rate of non-pad target tokens (summed over the students) reaches. */
export function shareOfPeak(tokensPerSecond, megaflopsEach, peakGflops) {
  return (tokensPerSecond * megaflopsEach) / 1e3 / peakGflops;
}
