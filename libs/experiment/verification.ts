// A stored model measured once more against the scores that stand in its record: what may be asked, and when it holds.
import type { Fault } from './errors.js';
import type { Field } from './fields.js';
import type { BleuCurve, Numerics, RecordedScores, Verification } from './records.js';
import { Described, readFields, refuse } from './validation.js';

export const VERIFICATION_FIELDS = {
  model: {
    kind: 'text',
    required: true,
    maxLength: 300,
    meaning: 'The model to measure again: name or id of a teacher, id of a trial or a hybrid, or TRIAL/FILE',
  },
} as const satisfies Record<string, Field>;

class VerificationBody {
  @Described(VERIFICATION_FIELDS.model) model!: string;
}

export interface VerificationRequest {
  model: string;
}

/** Parses the body of POST /v1/verifications. Throws InvalidRequest with all faults. */
export function parseVerificationRequest(body: unknown): VerificationRequest {
  const faults: Fault[] = [];
  const { model } = readFields(VerificationBody, VERIFICATION_FIELDS, body, '', faults);
  refuse(faults);
  return { model };
}

/**
 * How far a BLEU may lie from the recorded one when it was computed by another library, on another device or by another
 * number of threads: their last bits differ, and where two words are about equally likely the other one is then decoded.
 * As much as two sentences decoded altogether otherwise, and 0.01 at least.
 */
export function bleuTolerance(sentences: number): number {
  return Math.max(0.01, 2 / Math.max(1, sentences));
}

const ORDERS = ['bleu1', 'bleu2', 'bleu3', 'bleu4'] as const;

/** The same library, threads and device give the same numbers to the last bit. */
export function isSameNumerics(a: Numerics, b: Numerics): boolean {
  return a.backend === b.backend && a.library === b.library && a.threads === b.threads && a.device === b.device;
}

/** Holds the measured curve against the recorded one: exactly on the same numerics, else within the tolerance. */
export function compareScores(
  recorded: RecordedScores,
  measured: { scores: BleuCurve; numerics: Numerics },
): Omit<Verification, 'model' | 'sha256'> {
  const { scores, numerics } = measured;
  const isExact = recorded.numerics !== undefined && isSameNumerics(recorded.numerics, numerics);
  const tolerance = isExact ? 0 : bleuTolerance(recorded.sentences);
  let largest: Verification['largest'] = { order: 1, snrDb: scores.snrDb[0] ?? 0, recorded: 0, measured: 0 };
  let most = -1;
  for (const [index, order] of ORDERS.entries()) {
    for (const [point, snrDb] of recorded.scores.snrDb.entries()) {
      const [before, now] = [recorded.scores[order][point] ?? 0, scores[order][point] ?? 0];
      const difference = Math.abs(before - now);
      if (difference <= most) continue;
      most = difference;
      largest = { order: index + 1, snrDb, recorded: before, measured: now };
    }
  }
  return {
    // Where nothing was recorded nothing holds.
    holds: most >= 0 && most <= tolerance,
    tolerance,
    largest,
    sentences: recorded.sentences,
    recorded: recorded.scores,
    measured: scores,
    ...(recorded.numerics ? { recordedNumerics: recorded.numerics } : {}),
    numerics,
  };
}
