// What is measured of a model while it trains and when it has, as records hold it.

/**
 * What greedy decoding gives; index = SNR. bleu1 to bleu4: mean over sentences of nltk-style sentence BLEU, order n alone (weight 1
 * on n-grams), no smoothing. What follows them is absent in records of earlier versions.
 */
export interface BleuCurve {
  snrDb: number[];
  bleu1: number[];
  bleu2: number[];
  bleu3: number[];
  bleu4: number[];
  /** Mean sentence BLEU with weight 1/n on each order up to n; that of order 1 is bleu1. */
  cumulativeBleu2?: number[];
  cumulativeBleu3?: number[];
  cumulativeBleu4?: number[];
  /** Cumulative BLEU-4 with matches, n-grams and lengths summed over all sentences first */
  corpusBleu?: number[];
  /** Share of the sentences that arrive word for word */
  exactSentences?: number[];
  /** Word edits (substitutions, insertions, deletions) over words sent, all sentences together */
  wordErrorRate?: number[];
  /** Mean cosine of a sentence encoder's vectors of what was sent and what arrived; only where it was asked for */
  sentenceSimilarity?: number[];
  /** The same with each sentence beside another that was sent: what unrelated sentences get */
  sentenceSimilarityFloor?: number[];
}

type Similarity = 'sentenceSimilarity' | 'sentenceSimilarityFloor';
/** As this version measures it: whole, but for what was not asked for. */
export type DecodedCurve = Required<Omit<BleuCurve, Similarity>> & Pick<BleuCurve, Similarity>;

/** What a model says of the words that were sent, teacher-forced, means over non-pad tokens; index = SNR. */
export interface LikelihoodCurve {
  snrDb: number[];
  /** held-out loss, nats per token */
  crossEntropy: number[];
  /** Share of the tokens whose word is the likeliest */
  tokenAccuracy: number[];
  /** Expected calibration error of the likeliest word's probability, 15 bins of equal width */
  calibrationError: number[];
}

/** Teacher-forced distances between two models' output distributions, mean over non-pad tokens, on common noise; index = SNR. */
export interface DivergenceCurve {
  snrDb: number[];
  /** KL(teacher || student), nats per token */
  kl: number[];
  reverseKl: number[];
  /** Jensen-Shannon divergence, nats per token, at most ln 2 */
  jsd: number[];
  top1Agreement: number[];
  top5Overlap: number[];
  // Absent in records of earlier versions; null where there is nothing to measure (a teacher that is never wrong).
  /** top-1 agreement on the tokens where the teacher's likeliest word is the right one */
  agreementTeacherRight?: (number | null)[];
  /** and where it is not */
  agreementTeacherWrong?: (number | null)[];
  /** entropy of the teacher's distribution minus that of the student's, nats */
  entropyGap?: number[];
  /** linear CKA of the representations after the semantic encoder, the channel encoder, the channel decoder, the semantic decoder */
  ckaEncOut?: (number | null)[];
  ckaChEncOut?: (number | null)[];
  ckaMemory?: (number | null)[];
  ckaDecOut?: (number | null)[];
}

/** Per sentence, the mean over SNR, in the order of the test split: what the bootstrap over sentences draws from. */
export interface SentenceValues {
  /** non-pad tokens, END included */
  tokens: number[];
  /** nats per token */
  jsd: number[];
  bleu1: number[];
}

export interface EpochMetrics {
  /** from 1 */
  epoch: number;
  step: number;
  /** (1 - alpha) CE + alpha T^2 KL, mean over the epoch's steps */
  trainLoss: number;
  /** cross-entropy, nats per non-pad token */
  trainCrossEntropy: number;
  /** T^2 KL */
  trainDistillation: number;
  /** cross-entropy on held-out sentences at 17 dB label (sigma 0.1), nats per non-pad token */
  validationLoss: number;
  seconds: number;
  tokensPerSecond: number;
}

export interface TrialEvaluation {
  sentences: number;
  student: BleuCurve;
  hybrid?: BleuCurve;
  teacher: BleuCurve;
  /** student against teacher on common noise */
  divergence: DivergenceCurve;
  /** teacher against itself under other noise: no distance below this means anything */
  floor: DivergenceCurve;
  /** the untrained student against the teacher */
  ceiling: DivergenceCurve;
  // Absent in records of earlier versions.
  likelihood?: { student: LikelihoodCurve; teacher: LikelihoodCurve };
  /** Kept of evaluations of at most 2,000 sentences; beyond, chance in the sentences is far below that between seeds. */
  sentenceValues?: SentenceValues;
}

/** Time from tokens to decoded tokens of one sentence by itself, milliseconds on the device of `numerics`. */
export interface Latency {
  sentences: number;
  student: { medianMs: number; p95Ms: number };
  teacher: { medianMs: number; p95Ms: number };
}
